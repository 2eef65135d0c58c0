"""What a network does to a film before its trunk sees it, as a part of the exported graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.model.names import Opening

TYPICAL_MEAN, TYPICAL_SPREAD = 0.5, 0.22
"""Of the grey values of a film on [0, 1], as the Guangzhou films have them, rounded."""

STEPS = (1, 2)
"""Distances in pixels between the taps of the two passes that a film is evened by. Together they
are about as wide as a Gaussian of 1.6 px, and leave 0.4 % of white noise's grain."""


def opened(film: Tensor, how: Opening) -> Tensor:
    """(n, 1, h, w) in [0, 1] to the same, in single precision: fine detail is lost in another."""
    if how == Opening():
        return film
    film = film.float()
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
    blind to edges and slopes leaves, here at every second pixel of every second row. 0.008 to
    0.019 on the Guangzhou films at 224 px.
    """
    mask = film.new_tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
    left = F.conv2d(film, mask.reshape(1, 1, 3, 3), stride=2).abs().mean(dim=(2, 3), keepdim=True)
    return left * (math.sqrt(math.pi / 2) / 6) / spread


def softer(film: Tensor, step: int) -> Tensor:
    """(n, 1, h, w) averaged with its neighbours `step` pixels away: a quarter, a half, a quarter,
    along the rows and along the columns; borders repeated."""
    taps = film.new_tensor([0.25, 0.5, 0.25])
    film = F.pad(film, (step, step, step, step), mode="replicate")
    # Both ways in one: onnxruntime makes sixteen channels of every convolution's one.
    return F.conv2d(film, torch.outer(taps, taps).reshape(1, 1, 3, 3), dilation=step)


def evened(film: Tensor, grain: float) -> Tensor:
    """(n, 1, h, w) to the same, each smoothed just so far that its grain is `grain` or less.

    Of the film as it is and two softer ones, the two neighbours are blended whose grain lies on
    either side. Passes with holes between their taps (a trous: Starck & Murtagh 1994, A&A 288) are
    faster than Gaussians of that width.
    """
    centred = film - film.mean(dim=(2, 3), keepdim=True)
    spread = (centred * centred).mean(dim=(2, 3), keepdim=True).clamp(min=1e-12).sqrt() + 1e-2
    films = [film]
    for step in STEPS:
        films.append(softer(films[-1], step))
    grains = [grain_of(one, spread) for one in films]
    out = films[-1]
    for sharper, much, little in zip(films[-2::-1], grains[-2::-1], grains[:0:-1], strict=True):
        share = ((grain - little) / (much - little).clamp(min=1e-6)).clamp(0.0, 1.0)
        out = out + share * (sharper - out)
    return out
