"""Random changes to films and their lung masks together, for the lung net.

Wider than the classifier's: what the net must survive is other hospitals, adults, films that
were cropped or lie askew in a black frame, and lungs that are white with disease. Few films are
mirrored: the right half of the diaphragm stands higher, and that helps where it is not seen. A
faint patch is painted into some films, the mask left as it is: consolidated lung is lung; with
strong patches the net took the bright belly of some adults for lung.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.train.augment import affine
from firstread.train.degrade import uniform

ZOOM = (0.7, 1.3)
"""Side of the piece that is shown, as a share of the film's: below 1 a crop, above a frame."""

STRETCH = 1.3
FLIP = 0.1
SHIFT = 0.1
ROTATE = 10.0
GAMMA = 0.6
CONTRAST = 0.4
BRIGHTNESS = 0.15
NOISE = 0.08
PATCHES = 0.3
"""Share of films with a patch; whose half axes are 0.05 to 0.25 of the film's."""


def lung_augment(
    films: Tensor, masks: Tensor, size: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """uint8 films (n, s, s) and bool masks (n, s, s) to changed ones, each in its own way.

    Returns films (n, 1, size, size) in [0, 1] and masks (n, size, size) in [0, 1], soft at the
    edges. Both are resampled once and together.
    """
    pair = torch.stack([films.float() / 255.0, masks.float()], dim=1)
    n = len(pair)
    grid = F.affine_grid(_placement(n, rng), [n, 2, size, size], align_corners=False)
    pair = F.grid_sample(pair, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _intensity(pair[:, :1], rng), pair[:, 1]


def _placement(n: int, rng: torch.Generator) -> Tensor:
    zoom = uniform(n, math.log(ZOOM[0]), math.log(ZOOM[1]), rng).exp()
    stretch = uniform(n, -math.log(STRETCH) / 2, math.log(STRETCH) / 2, rng).exp()
    width, height = zoom * stretch, zoom / stretch
    mirror = 1 - 2 * (torch.rand(n, generator=rng) < FLIP).float()
    degrees = uniform(n, -ROTATE, ROTATE, rng)
    # A crop is looked for inside of the film, a frame only nearly so.
    x = uniform(n, -1, 1, rng) * ((1 - width).abs() + SHIFT)
    y = uniform(n, -1, 1, rng) * ((1 - height).abs() + SHIFT)
    return affine(width, height, mirror, degrees, x, y)


def _intensity(films: Tensor, rng: torch.Generator) -> Tensor:
    n, _, size, _ = films.shape

    def each(low: float, high: float) -> Tensor:
        return uniform(n, low, high, rng).reshape(n, 1, 1, 1)

    films = films.clamp(min=1e-3) ** each(-GAMMA, GAMMA).exp()
    films = films + _patches(n, size, rng)
    films = (films - 0.5) * each(1 - CONTRAST, 1 + CONTRAST) + 0.5
    films = films + each(-BRIGHTNESS, BRIGHTNESS)
    if torch.rand(1, generator=rng).item() < 0.3:  # a whole batch: blur is dear
        films = F.avg_pool2d(films, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.randn(films.shape, generator=rng)
    films = films + noise * each(-NOISE, NOISE).clamp(min=0)
    return films.clamp(0.0, 1.0)


def _patches(n: int, size: int, rng: torch.Generator) -> Tensor:
    """(n, 1, size, size): a soft bright ellipse on `PATCHES` of the films, 0 elsewhere."""
    line = torch.linspace(-1, 1, size)
    x = (line[None] - uniform(n, -0.8, 0.8, rng)[:, None]) / uniform(n, 0.1, 0.5, rng)[:, None]
    y = (line[None] - uniform(n, -0.8, 0.8, rng)[:, None]) / uniform(n, 0.1, 0.5, rng)[:, None]
    inside = torch.sigmoid(6 * (1 - x[:, None, :] ** 2 - y[:, :, None] ** 2))
    strength = uniform(n, 0.05, 0.3, rng) * (torch.rand(n, generator=rng) < PATCHES).float()
    return (inside * strength[:, None, None]).unsqueeze(1)
