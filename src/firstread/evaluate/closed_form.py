"""Intervals without drawing: Wilson's of a share; DeLong's and Newcombe's of an AUC.

All are two-sided, 95 %.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from firstread.cohort.ranks import midranks
from firstread.evaluate.calibration import Floats, checked, sigmoid, to_logit
from firstread.evaluate.metrics import Bools

Z95 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""

Range = tuple[float, float]

NONE: Range = (float("nan"), float("nan"))


def wilson(k: float, n: float, z: float = Z95) -> Range:
    """Wilson's score interval for `k` of `n` (Wilson 1927); NaN where n is 0.

    `z`: the normal point that says how sure, 95 % unless told otherwise.

    >>> [round(x, 4) for x in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    if n <= 0:
        return NONE
    p, z2 = k / n, z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p))


def newcombe(area: float, n1: int, n0: int) -> Range:
    """The score interval of an AUC of `n1` ill and `n0` well patients; NaN where one is 0.

    Newcombe, Statistics in Medicine 25, 2006, method 5: Hanley & McNeil's variance, taken at the
    interval's own ends. It knows how many patients there are and nothing of their scores, so that
    no pair in the wrong order is no certainty. Of one patient a class it is Wilson's of 1 of 1.

    >>> [round(x, 4) for x in newcombe(1.0, 40, 40)]
    [0.9501, 1.0]
    """
    if not (n1 and n0 and math.isfinite(area)):
        return NONE

    def too_far(t: float) -> bool:
        rest = (1 - t) / (2 - t) + t / (1 + t)
        variance = t * (1 - t) * (1 + ((n1 + n0) / 2 - 1) * rest) / (n1 * n0)
        return (area - t) ** 2 > Z95**2 * variance

    ends = []
    for inner, outer in ((area, 0.0), (area, 1.0)):
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if too_far(middle) else (middle, outer)
        ends.append(inner)
    return ends[0], ends[1]


def delong(
    scores: npt.ArrayLike, labels: npt.ArrayLike, patients: npt.ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """AUCs (k,) and their covariance (k, k) of k scores (k, n) of the same n films.

    DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988, by midranks (Sun & Xu 2014); with
    `patients` (n,), a key a film, what films add is summed by patient (Obuchowski, Biometrics 53,
    1997), else films count as independent. The covariance is NaN with one patient of a class.
    Raises `DataError` without both classes.
    """
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    truth = checked(table[0], labels)[1]
    n1, n0 = int(truth.sum()), int((~truth).sum())
    v1, v0 = np.empty((len(table), n1)), np.empty((len(table), n0))
    for i, row in enumerate(table):
        ranks = midranks(checked(row, labels)[0])
        v1[i] = (ranks[truth] - midranks(row[truth])) / n0
        v0[i] = 1.0 - (ranks[~truth] - midranks(row[~truth])) / n1
    areas = v1.mean(axis=1)
    keys = np.arange(len(truth)) if patients is None else np.asarray(patients)
    m, index = _numbered(keys)
    parts = [
        _by_patient((v - areas[:, None]) / v.shape[1], index[side], m)
        for v, side in ((v1, truth), (v0, ~truth))
    ]
    covariance = np.zeros((len(table), len(table)))
    for part, side in zip(parts, (truth, ~truth), strict=True):
        of_class = len(np.unique(index[side]))
        if of_class < 2:
            return areas, np.full_like(covariance, np.nan)
        covariance += part @ part.T * (of_class / (of_class - 1))
    cross = parts[0] @ parts[1].T * (m / (m - 1))
    return areas, covariance + cross + cross.T


def delong_interval(
    scores: npt.ArrayLike, labels: npt.ArrayLike, patients: npt.ArrayLike | None = None
) -> Range:
    """DeLong's interval of one AUC, on the logit scale so that it stays in 0 to 1 (Pepe 2003).

    NaN where no two pairs differ, and with one patient of a class.
    """
    values, covariance = delong(scores, labels, patients)
    a, variance = float(values[0]), float(covariance[0, 0])
    if not (0.0 < a < 1.0 and variance > 0.0):
        return NONE
    half = Z95 * math.sqrt(variance) / (a * (1 - a))
    z = float(to_logit(a))
    return float(sigmoid(z - half)), float(sigmoid(z + half))


def design_effect(hit: Bools, patients: npt.NDArray[np.int64]) -> float:
    """How many films count as one, at least 1: the variance of the share of `hit` (n,) over
    patients (n,) as of a ratio (Cochran 1977, section 11.8), against that of independent films."""
    m, index = _numbered(patients)
    p, n = float(hit.mean()), len(hit)
    if m < 2 or p in (0.0, 1.0):
        return 1.0
    off = np.bincount(index, hit - p, m)
    return max(1.0, float(off @ off) * m / (m - 1) / (n * p * (1 - p)))


def _numbered(keys: npt.NDArray[np.generic]) -> tuple[int, npt.NDArray[np.int64]]:
    names, index = np.unique(keys, return_inverse=True)
    return len(names), index


def _by_patient(values: Floats, index: npt.NDArray[np.int64], m: int) -> Floats:
    """Rows of `values` (k, n) summed by patient, (k, m)."""
    return np.stack([np.bincount(index, row, m) for row in values])
