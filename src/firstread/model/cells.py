"""Where the cells of a network's map look.

A layer that halves a film looks with each of its cells at an odd number of pixels, or pads at one
end only (TensorFlow's SAME), so that the middle of what a cell looks at is not the middle of its
share of the film. Five such layers make up to half a cell: drawn as if the cells shared the film
evenly, a map shows evidence above and to the left of where it was seen. Which way and how far also
hangs on the film's side, since SAME pads an odd side at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from firstread.model.net import FilmNet

ALIGNED = 0.5
"""Pixels that a cell may look beside the middle of its share without the map being moved."""

FINER = 2
"""Parts of a placed map for each cell and side: enough to tell half a cell."""


@dataclass(frozen=True)
class Cells:
    """The cells of one side of a map. `centres`: pixels from the film's edge; `side`: its own."""

    centres: tuple[float, ...]
    side: int

    @property
    def aligned(self) -> bool:
        """Whether each cell looks at the middle of its even share of the film."""
        pitch = self.side / len(self.centres)
        return all(abs(c - (i + 0.5) * pitch) <= ALIGNED for i, c in enumerate(self.centres))

    @property
    def pitch(self) -> float:
        """Pixels from one cell to the next."""
        if len(self.centres) == 1:
            return float(self.side)
        return (self.centres[-1] - self.centres[0]) / (len(self.centres) - 1)

    def shares(self, grid: int) -> Tensor:
        """What each cell looks at, of a film in `grid` parts: (cells, grid), each row sums to 1.

        A pitch around each centre, as far as it lies on the film.
        """
        edges = torch.arange(grid + 1, dtype=torch.float64) * self.side / grid
        middle = torch.tensor(self.centres, dtype=torch.float64).unsqueeze(1)
        low, high = middle - self.pitch / 2, middle + self.pitch / 2
        inside = (torch.minimum(edges[1:], high) - torch.maximum(edges[:-1], low)).clamp(min=0.0)
        return (inside / inside.sum(dim=1, keepdim=True)).float()

    def spread(self, grid: int) -> Tensor:
        """The cells' values onto a film in `grid` even parts: (grid, cells), each column sums to 1.

        Linear between the centres of two cells and falling to nothing one pitch off, so that the
        whole of a cell's value stays on the film.
        """
        parts = (torch.arange(grid, dtype=torch.float64) + 0.5) * self.side / grid
        middle = torch.tensor(self.centres, dtype=torch.float64)
        near = (1.0 - (parts.unsqueeze(1) - middle).abs() / self.pitch).clamp(min=0.0)
        return (near / near.sum(dim=0, keepdim=True)).float()

    def placed(self, heat: Tensor) -> Tensor:
        """Maps (n, h, h) as finer ones, drawn where their cells look; their sums stay the same.

        Where the cells are aligned, as they are.
        """
        if self.aligned:
            return heat
        spread = self.spread(FINER * len(self.centres)).to(heat)
        # Products and sums, not a product of matrices: in a graph these are no weights of a layer.
        rows = (spread.unsqueeze(-1) * heat.unsqueeze(1)).sum(dim=2)
        return (rows.unsqueeze(2) * spread).sum(dim=3)


def cells_of(net: FilmNet, side: int) -> Cells:
    """Where the map of a network looks, for square films of `side` pixels.

    By one pass of an empty film: of each layer that makes films smaller or moves them, in the order
    they are used, how it pads and how far it reaches. A layer beside another does neither.
    """
    steps: list[tuple[int, float]] = []  # stride, and how far beside it the middle lies

    def note(layer: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        stride, reach, before = _geometry(layer, given[0].shape[3])
        if stride > 1 or reach - 1 != 2 * before:
            steps.append((stride, (reach - 1) / 2 - before))

    layers = [m for m in net.trunk.modules() if isinstance(m, (nn.Conv2d, nn.MaxPool2d))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    was = net.training
    film = torch.zeros(1, 1, side, side, device=net.mean.device)
    try:
        with torch.inference_mode():
            found = net.eval().features(film)
    finally:
        net.train(was)
        for hook in hooks:
            hook.remove()
    centres = []
    for cell in range(found.shape[3]):
        at = float(cell)
        for stride, off in reversed(steps):
            at = stride * at + off
        centres.append(min(max(at + 0.5, 0.0), float(side)))
    return Cells(tuple(centres), side)


def _geometry(layer: Any, side: int) -> tuple[int, int, int]:
    """Stride, reach and padding before the first pixel of a layer that meets films of `side`."""
    first = [n if isinstance(n, int) else n[-1] for n in (layer.stride, layer.kernel_size)]
    before = getattr(layer, "before", None)
    if before is not None:
        return first[0], first[1], before(side)
    padding = layer.padding if isinstance(layer.padding, int) else layer.padding[-1]
    return first[0], first[1], int(padding)
