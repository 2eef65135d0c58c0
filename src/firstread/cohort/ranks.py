"""Ranks, and the area under the ROC curve that follows from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def midranks(x: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank."""
    _, index, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[index], dtype=np.float64)


def area_by_ranks(scores: Floats, truth: npt.NDArray[np.bool_]) -> float:
    """P(a true one scores higher), ties counting one half, of `scores` (n,) for `truth` (n,) of
    both classes: the Mann-Whitney form of the AUC (Hanley and McNeil 1982).

    >>> area_by_ranks(np.array([1.0, 2, 2, 3]), np.array([False, False, True, True]))
    0.875
    """
    n1, n0 = int(truth.sum()), int((~truth).sum())
    rank_sum = float(midranks(scores)[truth].sum())
    return (rank_sum - n1 * (n1 + 1) / 2.0) / (n1 * n0)
