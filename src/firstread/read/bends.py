"""A calibration that is more than a line: logits bent through a few points.

A bend is straight between its points and runs on in parallel beyond the outermost ones. So it
rises everywhere and keeps the order of the films, and the same pairs turned round undo it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bends = tuple[tuple[float, float], ...]
"""Pairs of logits, from and to, both rising strictly; none: nothing is bent."""


def bend(z: npt.ArrayLike, bends: Bends) -> npt.NDArray[np.float64]:
    """The logits `z`, of any shape, bent through the points of `bends`.

    >>> bend([-9.0, 1.0, 9.0], ((0.0, 1.0), (2.0, 2.0)))
    array([-8. ,  1.5,  9. ])
    """
    z = np.asarray(z, dtype=np.float64)
    if not bends:
        return z
    x, y = np.array(bends).T
    beyond = np.minimum(z - x[0], 0.0) + np.maximum(z - x[-1], 0.0)
    return np.asarray(np.interp(z, x, y) + beyond)


def turned(bends: Bends) -> Bends:
    """The bends that undo these."""
    return tuple((y, x) for x, y in bends)
