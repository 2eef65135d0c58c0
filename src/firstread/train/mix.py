"""Two films made one: another film's surroundings, or a blend of two films and their labels."""

from __future__ import annotations

import torch
from torch import Tensor

from firstread.train.recipe import Augment

LUNGS = (18 / 224, 200 / 224, 27 / 224, 198 / 224)
"""A box that holds the lungs on these films: top, bottom, left, right, as shares of the side."""

JITTER = 0.06
"""Most that each side of the box moves, as a share of the film's side."""

SEAM = 0.04
"""Width of the seam between the two films, as a share of the film's side."""


def swap_surroundings(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) to the same: around some films' lungs stands what another film has there.

    What surrounds the lungs (arms, belly, borders, letters) nearly gives the label away in this
    set. Where it comes from a film drawn at random it tells nothing, and the label is that of
    the lungs. A box and no mask, since the outline of a lung mask tells the label too.
    """
    n, size = len(films), films.shape[-1]
    struck = torch.rand(n, generator=rng) < how.swap
    other = torch.randperm(n, generator=rng)
    moved = (torch.rand(n, 4, generator=rng) * 2 - 1) * JITTER + torch.tensor(LUNGS)
    place = (torch.arange(size) + 0.5) / size

    def inside(low: Tensor, high: Tensor) -> Tensor:
        """1 within, 0 outside, a straight slope between; (n, size)."""
        edge = torch.minimum(place - low.unsqueeze(1), high.unsqueeze(1) - place)
        return (edge / SEAM + 0.5).clamp(0.0, 1.0)

    rows, columns = inside(moved[:, 0], moved[:, 1]), inside(moved[:, 2], moved[:, 3])
    own = (rows.unsqueeze(2) * columns.unsqueeze(1)).unsqueeze(1)
    own = torch.where(struck.reshape(n, 1, 1, 1), own, torch.ones_like(own)).to(films)
    return films * own + films[other.to(films.device)] * (1 - own)


def mixup(
    films: Tensor, labels: Tensor, how: Augment, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend each film and its label with another's (Zhang et al. 2018, arXiv:1710.09412).

    The share of the other is drawn from Beta(a, a) by two gamma draws, mirrored below one half.
    """
    n = len(films)
    alpha = torch.full((n,), how.mixup)
    a, b = (torch._standard_gamma(alpha, generator=rng) for _ in range(2))
    share = (a / (a + b).clamp(min=1e-8)).clamp(0.0, 1.0)
    share = torch.minimum(share, 1 - share).to(films)
    other = torch.randperm(n, generator=rng).to(films.device)
    wide = share.reshape(n, 1, 1, 1)
    return films * (1 - wide) + films[other] * wide, labels * (1 - share) + labels[other] * share
