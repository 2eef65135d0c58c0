"""Stored values to grey on 0 to 255, and how colourful a picture is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

DEPTHS = (8, 10, 12, 14, 16)
"""Bits a detector uses."""

FEW = 16
"""Negative values are clipped where the highest one is over this many times as far from 0."""

STRIP = 2**21
"""Pixels of a picture that become grey at a time: a copy of the whole would double its memory."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in grey: ITU-R BT.601, as in JPEG and Pillow."""


def used_range(low: float, high: float, stored: int = 16) -> tuple[float, float]:
    """The value range a picture with extremes `low` and `high` was made for.

    A file often says 16 bits where the detector used 10 or 12, so the smallest depth in
    `DEPTHS` that holds every pixel is taken, `stored` bits at most; with negative values,
    the smallest signed one; but where these are few steps beside `high`, such as a dead pixel's
    -1, they are clipped. The range never follows the pixels themselves, so that a film
    keeps its brightness; only beyond 16 bits is there nothing better.
    """
    if -high / FEW < low < 0:
        low = 0.0
    depths = [*(bits for bits in DEPTHS if bits < stored), stored]
    for bits in depths:
        bottom = -(2.0 ** (bits - 1)) if low < 0 else 0.0
        top = bottom + 2.0**bits - 1
        if bottom <= low and high <= top:
            return bottom, top
    return min(low, 0.0), high


def to_scale(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float32]:
    """`values` with `low` at 0 and `high` at 255, clipped; overwrites `values`."""
    if low != 0:
        values -= np.float32(low)
    values *= np.float32(255.0 / (high - low) if high > low else 0.0)
    return np.clip(values, 0, 255, out=values)


def deep_to_grey(values: npt.NDArray[np.float32], whole: bool) -> npt.NDArray[np.float32]:
    """A picture deeper than 8 bits onto 0 to 255; overwrites `values`.

    `whole` and errors: as of `range_of`.
    """
    return to_scale(values, *range_of(float(values.min()), float(values.max()), whole))


def range_of(low: float, high: float, whole: bool) -> tuple[float, float]:
    """`used_range` of a picture that tells no depth, perhaps of floating point.

    `whole`: the values are whole numbers. Floating point pictures within 0 to 1 are taken
    to use that range, as is the custom. Raises ValueError for values that are no numbers.
    """
    if not np.isfinite((low, high)).all():  # min and max pass NaN on
        raise ValueError("pixels that are no numbers")
    if -high / FEW < low < 0:  # a few dead pixels tell of no other range
        low = 0.0
    return (0.0, 1.0) if not whole and low >= 0 and high <= 1 else used_range(low, high)


def colourfulness(rgb: Image.Image) -> float:
    """How much colour of an RGB picture is more than one tint: 0 for grey, up to 255.

    The mean spread between the channels of a 64 x 64 reduction, after the mean colour of
    each of 16 grey levels is taken out; so a sepia or bluish print of a film, whose colour
    follows from its grey, counts as little coloured (measured on films: up to 6) and a
    photograph as much (18 to 41 on three), where the plain spread cannot tell them apart
    (33 to 91, against 26 to 71).
    """
    small = np.asarray(rgb.resize((64, 64), Image.Resampling.BOX)).astype(np.float32)
    flat = small.reshape(-1, 3)
    if not (flat != flat[:, :1]).any():
        return 0.0
    grey = flat @ LUMA
    level = np.minimum(grey / 16, 15).astype(np.intp)
    count = np.maximum(np.bincount(level, minlength=16), 1)
    tint = np.stack([np.bincount(level, c - grey, minlength=16) / count for c in flat.T], axis=1)
    rest = flat - grey[:, None] - tint[level]
    return float((rest.max(axis=1) - rest.min(axis=1)).mean())
