"""Random changes to a batch of films, on whatever device the batch is on.

All randomness comes from one `torch.Generator` that the fit seeds anew for every step, so
a run that was killed and resumed sees the same films as one that was not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.train.degrade import degrade, uniform
from firstread.train.strengths import Augment


def augment(films: Tensor, how: Augment, size: int, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) in [0, 1] to (n, 1, size, size) in [0, 1], each film changed on its own."""
    return spoil(resampled(films, geometry(len(films), how, rng), size), how, rng)


def spoil(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """All changes but those of place: (n, 1, s, s) in [0, 1] to the same."""
    return degrade(_intensity(films, how, rng).clamp_(0.0, 1.0), how, rng)


def geometry(n: int, how: Augment, rng: torch.Generator) -> Tensor:
    """Crop, stretch, mirror and rotate as one affine map a film, (n, 2, 3).

    As one, so that a film is resampled only once.
    """
    area = uniform(n, *how.crop, rng)
    log_ratio = uniform(n, -math.log(how.stretch), math.log(how.stretch), rng)
    # Sides of the crop as shares of the film's; a stretched crop must still fit inside.
    width = (area * log_ratio.exp()).sqrt().clamp(max=1.0)
    height = (area * (-log_ratio).exp()).sqrt().clamp(max=1.0)
    x = (torch.rand(n, generator=rng) * 2 - 1) * (1 - width)
    y = (torch.rand(n, generator=rng) * 2 - 1) * (1 - height)
    mirror = 1 - 2 * (torch.rand(n, generator=rng) < how.flip).float()
    return affine(width, height, mirror, uniform(n, -how.rotate, how.rotate, rng), x, y)


def affine(
    width: Tensor, height: Tensor, mirror: Tensor, degrees: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    """Maps (n, 2, 3) to pieces of films: sides as shares of the film's, `mirror` 1 or -1, and the
    middle on [-1, 1]; each (n,)."""
    angle = degrees * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([width * cos * mirror, -width * sin, x], dim=1),
        torch.stack([height * sin * mirror, height * cos, y], dim=1),
    ]
    return torch.stack(rows, dim=1)


def resampled(films: Tensor, theta: Tensor, size: int) -> Tensor:
    """(n, 1, s, s) through the maps `theta` (n, 2, 3) to (n, 1, size, size)."""
    # In bfloat16 a place on a film of 224 px would be off by up to half a pixel.
    with torch.autocast(films.device.type, enabled=False):
        grid = F.affine_grid(theta.to(films), [len(films), 1, size, size], align_corners=False)
    return F.grid_sample(
        films, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _intensity(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    n = len(films)

    def factor(strength: float) -> Tensor:
        return uniform(n, 1 - strength, 1 + strength, rng).reshape(n, 1, 1, 1).to(films)

    if how.gamma:
        power = uniform(n, -how.gamma, how.gamma, rng).exp().reshape(n, 1, 1, 1).to(films)
        films = films.clamp(min=1e-4) ** power
    if how.brightness:
        films = films * factor(how.brightness)
    if how.contrast:
        mean = films.mean(dim=(2, 3), keepdim=True)
        films = (films - mean) * factor(how.contrast) + mean
    if how.tone:
        films = _tone(films.clamp(0.0, 1.0), how.tone, rng)
    if how.shade:
        films = films * _shade(n, films.shape[-1], how.shade, rng).to(films)
    return films


def _tone(films: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """A rising curve of its own for every film, as another developer or look-up table gives.

    Five straight pieces whose steepness is log-normal, scaled to run from 0 to 1.
    """
    n, pieces = len(films), 5
    steps = (torch.randn(n, pieces, generator=rng) * strength).exp()
    steps = steps / steps.sum(dim=1, keepdim=True)
    knots = F.pad(steps.cumsum(dim=1), (1, 0)).to(films)
    place = films.flatten(1) * pieces
    left = place.long().clamp(0, pieces - 1)
    low, high = knots.gather(1, left), knots.gather(1, left + 1)
    return (low + (high - low) * (place - left)).reshape(films.shape)


def _shade(n: int, size: int, strength: float, rng: torch.Generator) -> Tensor:
    """A smooth field around 1 over each film, (n, 1, size, size): uneven exposure, heel effect."""
    coarse = (torch.rand(n, 1, 4, 4, generator=rng) * 2 - 1) * strength
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True).exp()
