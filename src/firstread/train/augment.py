"""Random changes to a batch of films, on whatever device the batch is on.

All randomness comes from one `torch.Generator` that the fit seeds anew for every step, so
a run that was killed and resumed sees the same films as one that was not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.train.recipe import Augment


def augment(films: Tensor, how: Augment, size: int, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) in [0, 1] to (n, 1, size, size) in [0, 1], each film changed on its own."""
    films = _geometry(films, how, size, rng)
    films = _intensity(films, how, rng)
    if how.blur:
        films = _blur(films, how.blur, rng)
    if how.noise:
        films = _noise(films, how.noise, rng)
    return films.clamp_(0.0, 1.0)


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return torch.rand(n, generator=rng) * (high - low) + low


def _geometry(films: Tensor, how: Augment, size: int, rng: torch.Generator) -> Tensor:
    """Crop, stretch, mirror and rotate as one resampling, so that a film is blurred only once."""
    n = len(films)
    area = _uniform(n, *how.crop, rng)
    log_ratio = _uniform(n, -math.log(how.stretch), math.log(how.stretch), rng)
    # Sides of the crop as shares of the film's; a stretched crop must still fit inside.
    width = (area * log_ratio.exp()).sqrt().clamp(max=1.0)
    height = (area * (-log_ratio).exp()).sqrt().clamp(max=1.0)
    x = (torch.rand(n, generator=rng) * 2 - 1) * (1 - width)
    y = (torch.rand(n, generator=rng) * 2 - 1) * (1 - height)
    mirror = 1 - 2 * (torch.rand(n, generator=rng) < how.flip).float()
    angle = _uniform(n, -how.rotate, how.rotate, rng) * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([width * cos * mirror, -width * sin, x], dim=1),
        torch.stack([height * sin * mirror, height * cos, y], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(films)
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    return F.grid_sample(
        films, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _intensity(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    n = len(films)

    def factor(strength: float) -> Tensor:
        return _uniform(n, 1 - strength, 1 + strength, rng).reshape(n, 1, 1, 1).to(films)

    if how.gamma:
        power = _uniform(n, -how.gamma, how.gamma, rng).exp().reshape(n, 1, 1, 1).to(films)
        films = films.clamp(min=1e-4) ** power
    if how.brightness:
        films = films * factor(how.brightness)
    if how.contrast:
        mean = films.mean(dim=(2, 3), keepdim=True)
        films = (films - mean) * factor(how.contrast) + mean
    return films


def _blur(films: Tensor, most: float, rng: torch.Generator) -> Tensor:
    """A Gaussian of its own width for half of the films, separable, truncated at 3 pixels."""
    n = len(films)
    chosen = (torch.rand(n, generator=rng) < 0.5).nonzero().squeeze(1)
    if len(chosen) == 0:
        return films
    sigma = _uniform(len(chosen), 0.2, most, rng).unsqueeze(1)
    taps = torch.arange(-3.0, 4.0).unsqueeze(0)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(films)
    chosen = chosen.to(films.device)
    picked = films[chosen].transpose(0, 1)  # (1, k, s, s): one group a film
    k = len(chosen)
    for shape, pad in (((k, 1, 1, 7), (3, 3, 0, 0)), ((k, 1, 7, 1), (0, 0, 3, 3))):
        picked = F.conv2d(F.pad(picked, pad, mode="replicate"), kernel.reshape(shape), groups=k)
    return films.index_copy(0, chosen, picked.transpose(0, 1))


def _noise(films: Tensor, most: float, rng: torch.Generator) -> Tensor:
    n = len(films)
    chosen = (torch.rand(n, generator=rng) < 0.5).float()
    sigma = (_uniform(n, 0.0, most, rng) * chosen).reshape(n, 1, 1, 1)
    noise = torch.randn(films.shape, generator=rng) * sigma
    return films + noise.to(films)
