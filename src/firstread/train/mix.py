"""Two films made one: another film's surroundings, or a blend of two films and their labels.

And what is left of one film with its lungs hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.train.strengths import Augment

LUNGS = (18 / 224, 200 / 224, 27 / 224, 198 / 224)
"""A box that holds the lungs on these films: top, bottom, left, right, as shares of the side."""

JITTER = 0.06
"""Most that each side of the box moves, as a share of the film's side."""

SEAM = 0.04
"""Width of the seam between the two films, as a share of the film's side."""

MARGIN = 2
"""Cells of the grid of lungs that a hidden silhouette reaches beyond the lungs, at least."""

PAINT = 0.15
"""Most that the paint over hidden lungs departs from the film's mean, of the grey scale."""


def swap_surroundings(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) to the same: around some films' lungs stands what another film has there.

    What surrounds the lungs (arms, belly, borders, letters) nearly gives the label away in this
    set. Where it comes from a film drawn at random it tells nothing, and the label is that of
    the lungs. A box and no mask, since the outline of a lung mask tells the label too.
    """
    n = len(films)
    struck = torch.rand(n, generator=rng) < how.swap
    other = torch.randperm(n, generator=rng)
    own = lung_box(n, films.shape[-1], rng)
    own = torch.where(struck.reshape(n, 1, 1, 1), own, torch.ones_like(own)).to(films)
    return films * own + films[other.to(films.device)] * (1 - own)


def lung_box(n: int, size: int, rng: torch.Generator) -> Tensor:
    """A box that holds the lungs, moved a little for every film: (n, 1, size, size) in [0, 1]."""
    moved = (torch.rand(n, 4, generator=rng) * 2 - 1) * JITTER + torch.tensor(LUNGS)
    place = (torch.arange(size) + 0.5) / size

    def inside(low: Tensor, high: Tensor) -> Tensor:
        """1 within, 0 outside, a straight slope between; (n, size)."""
        edge = torch.minimum(place - low.unsqueeze(1), high.unsqueeze(1) - place)
        return (edge / SEAM + 0.5).clamp(0.0, 1.0)

    rows, columns = inside(moved[:, 0], moved[:, 1]), inside(moved[:, 2], moved[:, 3])
    return (rows.unsqueeze(2) * columns.unsqueeze(1)).unsqueeze(1)


def hide_lungs(
    films: Tensor, lungs: Tensor, how: Augment, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Paint some films' lungs over; films (n, 1, s, s) and lungs (n, 1, g, g) to the same.

    Half of them by a box, half by their own silhouette and what lies around it. Of such a film
    `lungs` has none left, though an edge may show: whoever looks at it has nothing to go by.
    """
    n, size = len(films), films.shape[-1]
    struck = (torch.rand(n, generator=rng) < how.hide).reshape(n, 1, 1, 1)
    boxed = (torch.rand(n, generator=rng) < 0.5).reshape(n, 1, 1, 1)
    box = (lung_box(n, size, rng) > 0).to(films)
    around = F.max_pool2d(lungs, 2 * MARGIN + 1, 1, MARGIN)
    silhouette = (F.interpolate(around, size=(size, size), mode="bilinear") > 0.5).to(films)
    cover = torch.where(boxed.to(films.device), box, silhouette) * struck.to(films)
    return films * (1 - cover) + painted(films, rng) * cover, lungs * (~struck).to(films)


def painted(films: Tensor, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) to the same: a grey near each film's mean, plain or coarsely mottled."""
    n, size = len(films), films.shape[-1]
    grey = films.mean(dim=(2, 3), keepdim=True)
    shift = ((torch.rand(n, 1, 1, 1, generator=rng) * 2 - 1) * PAINT).to(films)
    mottle = torch.rand(n, 1, 1, 1, generator=rng) * torch.randn(n, 1, 14, 14, generator=rng)
    grain = F.interpolate(mottle.to(films) * PAINT, size=(size, size), mode="bilinear")
    return (grey + shift + grain).clamp(0.0, 1.0)


def certainty(lungs: Tensor, least: float) -> Tensor:
    """How much a label says of crops that show `lungs` (n, 1, g, g): (n,) in [0, 1].

    All of it where `least` of the crop is lung, nothing where none is.
    """
    return (lungs.mean(dim=(1, 2, 3)) / least).clamp(max=1.0)


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
