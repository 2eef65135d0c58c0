"""How much two maps of one film have in common, and how much is too much.

A map that stays when all weights are drawn anew shows the film or the architecture, and nothing
that was learned (Adebayo et al. 2018, arXiv:1810.03292).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from firstread.cohort.ranks import midranks
from firstread.evaluate.intervals import Estimate

DRAWS = 3
"""Sets of random weights; the measures of a film are averaged over them."""

MOST_ALIKE = 0.5
"""Absolute correlation below which a map counts as changed: a quarter of the variance shared.
Two smooth maps of 7 x 7 that have nothing to do with each other come to 0.1 to 0.3."""

Map = npt.NDArray[np.float32]


def pearson(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Pearson's correlation of two maps of one shape; 0 where one is flat, for it shows nothing."""
    x, y = (np.asarray(m, np.float64).ravel() for m in (a, b))
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0.0 else 0.0


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's: Pearson's of the ranks, ties sharing theirs."""
    x, y = (midranks(np.asarray(m, np.float64).ravel()) for m in (a, b))
    return pearson(x, y)


def alike(heat: Map, after: Sequence[Map], how: Callable[[Map, Map], float]) -> float:
    """Mean absolute correlation of a map with those in `after`; NaN where there is no telling.

    A map without heat or without relief is like no other, but not because the weights changed.
    """
    if not _has_relief(heat) or float(heat.max()) <= 0.0:
        return float("nan")
    known = [abs(how(heat, m)) for m in after if _has_relief(m)]
    return float(np.mean(known)) if known else float("nan")


def upright(heat: Map) -> Map:
    """A map with random weights, turned so that its sum is positive.

    Their sign is a toss of a coin: with the head's weights negated they are just as likely.
    """
    heat = np.nan_to_num(heat, posinf=0.0, neginf=0.0)
    return heat if float(heat.sum()) >= 0.0 else -heat


def changed(*correlations: Estimate | None) -> bool:
    """Whether all mean absolute correlations are small enough, to the end of their intervals.

    Of one patient there is no interval; nothing may pass by having no upper end.
    """
    return all(
        e is not None and np.isfinite(e.high) and max(e.value, e.high) < MOST_ALIKE
        for e in correlations
    )


def _has_relief(heat: Map) -> bool:
    return bool(heat.max() > heat.min())
