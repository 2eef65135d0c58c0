"""What spoils a film on its way: softness, sharpening, coarse pixels, noise, compression.

Each kind strikes a share of the films, a half unless told otherwise (pixels and compression: half
of that), so that clean films stay common and no two kinds always come together.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from firstread.train.strengths import Augment


def degrade(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) in [0, 1] to the same, each film spoilt in its own way."""
    if how.blur:
        films = _blur(films, how, rng)
    if how.sharpen:
        films = _sharpen(films, how, rng)
    if how.pixelate < 1:
        films = _pixelate(films, how, rng)
    if how.noise:
        films = films + _grain(films, how.noise, how.spoilt, rng)
    if how.speckle:
        films = films * (1 + _grain(films, how.speckle, how.spoilt, rng))
    if how.impulse:
        films = _impulse(films, how, rng)
    films = films.clamp(0.0, 1.0)
    return _jpeg(films, how, rng) if how.jpeg else films


def uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """n draws from [low, high), on the CPU."""
    return torch.rand(n, generator=rng) * (high - low) + low


def _struck(n: int, share: float, rng: torch.Generator) -> Tensor:
    """Indices of the films that are struck."""
    return (torch.rand(n, generator=rng) < share).nonzero().squeeze(1)


def _smooth(films: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian of its own width for each film, separable, truncated at 3 pixels."""
    k = len(films)
    taps = torch.arange(-3.0, 4.0).unsqueeze(0)
    kernel = torch.exp(-0.5 * (taps / sigma.unsqueeze(1)) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(films)
    out = films.transpose(0, 1)  # (1, k, s, s): one group a film
    for shape, pad in (((k, 1, 1, 7), (3, 3, 0, 0)), ((k, 1, 7, 1), (0, 0, 3, 3))):
        out = F.conv2d(F.pad(out, pad, mode="replicate"), kernel.reshape(shape), groups=k)
    return out.transpose(0, 1)


def _blur(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    chosen = _struck(len(films), how.spoilt, rng)
    if len(chosen) == 0:
        return films
    sigma = uniform(len(chosen), 0.2, how.blur, rng)
    chosen = chosen.to(films.device)
    return films.index_copy(0, chosen, _smooth(films[chosen], sigma))


def _sharpen(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """Unsharp masking, which many detectors' software applies."""
    chosen = _struck(len(films), how.spoilt, rng)
    if len(chosen) == 0:
        return films
    sigma = uniform(len(chosen), 0.5, 2.0, rng)
    amount = uniform(len(chosen), 0.0, how.sharpen, rng).reshape(-1, 1, 1, 1).to(films)
    chosen = chosen.to(films.device)
    sharp = films[chosen]
    sharp = sharp + amount * (sharp - _smooth(sharp, sigma))
    return films.index_copy(0, chosen, sharp)


def _pixelate(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """Fewer pixels and back, by area and by nearest neighbour."""
    size = films.shape[-1]
    films = films.clone()
    for i in _struck(len(films), how.spoilt / 2, rng).tolist():
        side = max(2, round(size * float(uniform(1, how.pixelate, 1.0, rng))))
        small = F.interpolate(films[i : i + 1], size=(side, side), mode="area")
        films[i : i + 1] = F.interpolate(small, size=(size, size), mode="nearest")
    return films


def _grain(films: Tensor, most: float, share: float, rng: torch.Generator) -> Tensor:
    """Gaussian grain of a strength of its own for a share of the films, none for the others."""
    n = len(films)
    chosen = (torch.rand(n, generator=rng) < share).float()
    sigma = (uniform(n, 0.0, most, rng) * chosen).reshape(n, 1, 1, 1)
    return (torch.randn(films.shape, generator=rng) * sigma).to(films)


def _impulse(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """Salt and pepper, half each."""
    n = len(films)
    chosen = (torch.rand(n, generator=rng) < how.spoilt).float()
    share = (uniform(n, 0.0, how.impulse, rng) * chosen).reshape(n, 1, 1, 1)
    draw = torch.rand(films.shape, generator=rng)
    salt, pepper = draw < share / 2, (draw >= share / 2) & (draw < share)
    return films.masked_fill(salt.to(films.device), 1.0).masked_fill(pepper.to(films.device), 0.0)


def _jpeg(films: Tensor, how: Augment, rng: torch.Generator) -> Tensor:
    """Some of the films stored as JPEG of a quality from `how.jpeg` to 90."""
    chosen = _struck(len(films), how.spoilt / 2, rng)
    quality = torch.randint(how.jpeg, 91, (len(chosen),), generator=rng)
    films = films.clone()
    for i, q in zip(chosen.tolist(), quality.tolist(), strict=True):
        pixels = (films[i, 0] * 255).round().to(torch.uint8).cpu().numpy()
        stored = io.BytesIO()
        Image.fromarray(pixels).save(stored, "JPEG", quality=q)
        back = np.asarray(Image.open(stored), dtype=np.float32) / 255
        films[i, 0] = torch.from_numpy(back).to(films)
    return films
