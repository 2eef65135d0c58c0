"""Two models on the same films: is the difference more than chance?

Paired tests, since both models find the same films hard: McNemar's for decisions, DeLong's
for AUCs, and a patient bootstrap for the size of the difference in accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import DataError
from firstread.evaluate.intervals import DRAWS, Z95, Estimate, Sampler, delong, finite
from firstread.evaluate.metrics import Bools


@dataclass(frozen=True)
class McNemar:
    """`only_a`, `only_b`: films that one model alone called rightly. `p_value`: two-sided."""

    only_a: int
    only_b: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """The fields, with the name of the test."""
        return {
            "test": "McNemar, exact",
            "only_a": self.only_a,
            "only_b": self.only_b,
            "p_value": self.p_value,
        }


def mcnemar(right_a: npt.ArrayLike, right_b: npt.ArrayLike) -> McNemar:
    """McNemar's exact test on which films each model called rightly, (n,) bool each.

    Binomial over the films on which they disagree; films count as independent. Raises
    `DataError` where the two are not of the same films.
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    _same(a, b)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n, few = only_a + only_b, min(only_a, only_b)
    term = total = 1
    for i in range(few):  # sums the binomial coefficients in whole numbers, so exactly
        term = term * (n - i) // (i + 1)
        total += term
    p = min(1.0, 2 * total / 2**n) if n else 1.0
    return McNemar(only_a, only_b, p)


@dataclass(frozen=True)
class PairedAuc:
    """AUCs of two models and their difference (a minus b) with DeLong's test and interval."""

    auc_a: float
    auc_b: float
    difference: Estimate
    z: float
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """The fields, with the name of the test."""
        return {
            "test": "DeLong, paired",
            "auc_a": self.auc_a,
            "auc_b": self.auc_b,
            "difference": self.difference.to_json(),
            "z": finite(self.z),
            "p_value": self.p_value,
        }


def delong_paired(
    scores_a: npt.ArrayLike, scores_b: npt.ArrayLike, labels: npt.ArrayLike
) -> PairedAuc:
    """DeLong's test of two AUCs on the same films; scores and labels (n,). Raises `DataError`.

    Where the difference has no variance (both order all pairs alike) p is 1 if the AUCs are
    equal and 0 if not. One film of a class says nothing of how films vary: p is then 1 and the
    difference has no interval.
    """
    a, b = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    _same(a, b)
    values, covariance = delong(np.stack([a, b]), labels)
    difference = float(values[0] - values[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if math.isnan(variance):
        z, p, spread = math.nan, 1.0, math.nan
    elif variance <= 1e-18:
        same = abs(difference) < 1e-12
        z, p = (0.0, 1.0) if same else (math.copysign(math.inf, difference), 0.0)
        spread = 0.0
    else:
        spread = math.sqrt(variance)
        z = difference / spread
        p = math.erfc(abs(z) / math.sqrt(2.0))
    estimate = Estimate(difference, difference - Z95 * spread, difference + Z95 * spread, "DeLong")
    return PairedAuc(float(values[0]), float(values[1]), estimate, z, p)


def accuracy_difference(
    right_a: Bools, right_b: Bools, patients: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Accuracy of a minus that of b with a paired patient bootstrap.

    `right_a`, `right_b` (n,) bool: which films each model called rightly; `patients` (n,).
    Raises `DataError` where they are not of the same films.
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    _same(a, b)
    _same(a, np.asarray(patients))
    return Sampler(patients, seed, draws).mean(a.astype(np.float64) - b)


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise DataError(
            f"{a.shape} against {b.shape} films; a paired test needs the same films for both"
        )
