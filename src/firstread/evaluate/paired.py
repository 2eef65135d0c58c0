"""Two models on the same films: is the difference more than chance?

Paired tests, since both models find the same films hard: McNemar's for decisions, DeLong's
for AUCs, and a bootstrap for the size of the difference in accuracy. All of them take patients,
not films, as what varies by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import DataError
from firstread.evaluate.closed_form import NONE, Z95, delong, wilson
from firstread.evaluate.intervals import Estimate, Sampler
from firstread.evaluate.metrics import Bools


@dataclass(frozen=True)
class McNemar:
    """`only_a`, `only_b`: films that one model alone called rightly. `p_value`: two-sided."""

    only_a: int
    only_b: int
    p_value: float


def mcnemar(
    right_a: npt.ArrayLike, right_b: npt.ArrayLike, patients: Sequence[str] | None = None
) -> McNemar:
    """McNemar's exact test on which films each model called rightly, (n,) bool each.

    `patients` (n,): whose films they are; None counts each film as a patient. What counts is by
    how many films one model did better in a patient; were the models alike, it could as well
    have been the other one, so all signs are turned (the randomisation test of Fisher 1935, whose
    null distribution is had by convolution). With one film a patient it is McNemar's. Raises
    `DataError` where the two are not of the same films.
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    _same(a, b)
    index = np.arange(len(a))
    if patients is not None:
        _same(a, np.asarray(patients))
        index = np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1]
    better = np.rint(np.bincount(index, a.astype(np.float64) - b)).astype(np.int64)
    return McNemar(int((a & ~b).sum()), int((b & ~a).sum()), _signs_turned(better))


def _signs_turned(better: npt.NDArray[np.int64]) -> float:
    """How often the sum is as far from 0 as it is, where each of its terms has either sign."""
    chances = np.ones(1)  # of the sum of the terms that are positive
    sizes, counts = np.unique(np.abs(better[better != 0]), return_counts=True)
    for size, n in zip(sizes.tolist(), counts.tolist(), strict=True):
        whole = math.lgamma(n + 1) - n * math.log(2)
        of_size = np.zeros(n * size + 1)
        of_size[::size] = [
            math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(n + 1)
        ]
        chances = np.convolve(chances, of_size)
    sums = 2 * np.arange(len(chances)) - (len(chances) - 1)
    return min(1.0, float(chances[np.abs(sums) >= abs(int(better.sum()))].sum()))


@dataclass(frozen=True)
class PairedAuc:
    """AUCs of two models and their difference (a minus b) with DeLong's test and interval."""

    auc_a: float
    auc_b: float
    difference: Estimate
    z: float
    p_value: float


def delong_paired(
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    labels: npt.ArrayLike,
    patients: Sequence[str] | None = None,
) -> PairedAuc:
    """DeLong's test of two AUCs on the same films; scores and labels (n,). Raises `DataError`.

    `patients` (n,): whose films they are, so that what these add is summed by patient (Obuchowski
    1997); None counts each film as a patient. Where the difference has no variance it has no
    interval: p is 1 if the AUCs are equal, else that of m patients who all differ one way, 2 / 2^m.
    One patient of a class says nothing of how they vary: p is then 1.
    """
    a, b = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    _same(a, b)
    if patients is not None:
        _same(a, np.asarray(patients))
    values, covariance = delong(np.stack([a, b]), labels, patients)
    difference = float(values[0] - values[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    z, p, interval = math.nan, 1.0, NONE
    if variance > 1e-18:
        spread = math.sqrt(variance)
        z = difference / spread
        p = math.erfc(abs(z) / math.sqrt(2.0))
        interval = max(-1.0, difference - Z95 * spread), min(1.0, difference + Z95 * spread)
    elif abs(difference) < 1e-12:
        z = 0.0
    elif not math.isnan(variance):
        z = math.copysign(math.inf, difference)
        p = min(1.0, 2.0 * 0.5 ** len(set(patients or range(len(a)))))
    return PairedAuc(
        float(values[0]), float(values[1]), Estimate(difference, *interval, "DeLong"), z, p
    )


def accuracy_difference(right_a: Bools, right_b: Bools, patients: Sequence[str]) -> Estimate:
    """Accuracy of a minus that of b with a paired patient bootstrap.

    `right_a`, `right_b` (n,) bool: which films each model called rightly; `patients` (n,). Where
    both call every film alike, the ends are Wilson's for no patient of so many who differs. Raises
    `DataError` where they are not of the same films.
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    _same(a, b)
    _same(a, np.asarray(patients))
    sampler = Sampler(patients)
    if (a == b).all():
        end = wilson(0, sampler.m)[1]
        return Estimate(0.0, -end, end, "Wilson over patients")
    return sampler.mean(a.astype(np.float64) - b, least=-1.0, most=1.0)


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise DataError(
            f"{a.shape} against {b.shape} films; a paired test needs the same films for both"
        )
