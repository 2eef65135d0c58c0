"""What a network does to a film before its trunk sees it, as a part of the exported graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.model.names import Opening

TYPICAL_MEAN, TYPICAL_SPREAD = 0.5, 0.22
"""Of the grey values of a film on [0, 1], as the Guangzhou films have them, rounded."""

WIDTHS = (0.7, 1.2, 2.0)
"""Of the Gaussians that a film is evened by, in pixels: the last leaves hardly any grain."""


def opened(film: Tensor, how: Opening) -> Tensor:
    """(n, 1, h, w) in [0, 1] to the same, in single precision: fine detail is lost in another."""
    if how == Opening():
        return film
    with torch.autocast(film.device.type, enabled=False):
        if how.smooth:
            film = smoothed(film, how.smooth)
        if how.grain:
            film = evened(film, how.grain)
        if how.standardise:
            centred = film - film.mean(dim=(2, 3), keepdim=True)
            spread = (centred * centred).mean(dim=(2, 3), keepdim=True).sqrt()
            film = centred / (spread + 1e-3) * TYPICAL_SPREAD + TYPICAL_MEAN
    return film


def smoothed(film: Tensor, sigma: float) -> Tensor:
    """(n, 1, h, w) convolved with a Gaussian of `sigma` pixels, borders repeated."""
    reach = math.ceil(3 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1.0) / sigma) ** 2).to(film)
    taps = taps / taps.sum()
    film = F.pad(film, (reach, reach, reach, reach), mode="replicate")
    film = F.conv2d(film, taps.reshape(1, 1, 1, -1))
    return F.conv2d(film, taps.reshape(1, 1, -1, 1))


def grain_of(film: Tensor, spread: Tensor) -> Tensor:
    """(n, 1, h, w) to (n, 1, 1, 1): the fine detail of a film, in units of its `spread`.

    The estimate of noise by Immerkaer 1996 (doi:10.1006/cviu.1996.0060): what a mask that is
    blind to edges and slopes leaves. 0.008 to 0.019 on the Guangzhou films at 224 px.
    """
    mask = film.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
    left = F.conv2d(film, mask.reshape(1, 1, 3, 3)).abs().mean(dim=(2, 3), keepdim=True)
    return left * (math.sqrt(math.pi / 2) / 6) / spread


def evened(film: Tensor, grain: float) -> Tensor:
    """(n, 1, h, w) to the same, each smoothed just so far that its grain is `grain` or less.

    Between the film as it is and Gaussians of rising width the two neighbours are blended whose
    grain lies on either side.
    """
    centred = film - film.mean(dim=(2, 3), keepdim=True)
    spread = (centred * centred).mean(dim=(2, 3), keepdim=True).sqrt() + 1e-2
    steps = [film, *(smoothed(film, sigma) for sigma in WIDTHS)]
    grains = [grain_of(step, spread) for step in steps]
    out = steps[-1]
    for step, sharp, soft in zip(steps[-2::-1], grains[-2::-1], grains[:0:-1], strict=True):
        share = ((grain - soft) / (sharp - soft + 1e-6)).clamp(0.0, 1.0)
        out = share * step + (1 - share) * out
    return out
