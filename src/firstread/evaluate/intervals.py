"""How sure an estimate is: Wilson, DeLong, and a bootstrap that draws patients, not films.

Films of one child are alike, so the patient is what is drawn: a draw gives each patient a
weight (how often it was picked), and every measure is computed on films weighted so. All
measures share the same draws. Where each patient has one film, Wilson's interval is taken for
proportions. Where no draw differs from another (no error at all), a bootstrap would claim
certainty; Wilson's interval over patients stands in, and so it does where a class has few patients.

All intervals are two-sided, 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.evaluate.calibration import Floats, checked, sigmoid, to_logit
from firstread.evaluate.metrics import (
    LOSS_FLOOR,
    Bools,
    auc,
    average_precision,
    calibration_line,
    midranks,
    ratio,
)

Z95 = 1.959963984540054
"""97.5 % point of the standard normal distribution."""

DRAWS = 2000
CHUNK = 2_000_000
"""Weights (draws times films) held at once while an AUC is drawn: 16 MB."""

FEW = 20
"""Patients from which on an interval is drawn. From fewer, far too few of the drawn ones hold the
truth."""

T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010,
        2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009)  # fmt: skip
"""97.5 % points of Student's t for 1 to 18 degrees of freedom (any table of it)."""

NONE = (float("nan"), float("nan"))

Range = tuple[float, float]


def finite(x: float) -> float | None:
    """The number for JSON, which knows no NaN and no infinity."""
    return float(x) if math.isfinite(x) else None


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval; NaN where something cannot be computed.

    `method` names the interval; `beside`: other intervals, by name.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    method: str = ""
    beside: dict[str, Range] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """{"value", "low", "high", "method"} and {"low", "high"} of each other interval."""
        out: dict[str, Any] = {
            "value": finite(self.value),
            "low": finite(self.low),
            "high": finite(self.high),
            "method": self.method,
        }
        for name, (low, high) in self.beside.items():
            out[name] = {"low": finite(low), "high": finite(high)}
        return out


def wilson(k: float, n: float, z: float = Z95) -> Range:
    """Wilson's score interval for `k` of `n` (Wilson 1927); NaN where n is 0.

    `z`: the normal point that says how sure, 95 % unless told otherwise.

    >>> [round(x, 4) for x in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    if n <= 0:
        return float("nan"), float("nan")
    p, z2 = k / n, z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, min(centre - half, p)), min(1.0, max(centre + half, p))


def delong(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    """AUCs (k,) and their covariance (k, k) of k scores (k, n) of the same n films.

    DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988, by midranks (Sun & Xu 2014). Films
    count as independent. The covariance is NaN with one film of a class. Raises `DataError`
    without both classes.
    """
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    truth = checked(table[0], labels)[1]
    n1, n0 = int(truth.sum()), int((~truth).sum())
    v1, v0 = np.empty((len(table), n1)), np.empty((len(table), n0))
    for i, row in enumerate(table):
        ranks = midranks(checked(row, labels)[0])
        v1[i] = (ranks[truth] - midranks(row[truth])) / n0
        v0[i] = 1.0 - (ranks[~truth] - midranks(row[~truth])) / n1
    covariance = np.zeros((len(table), len(table)))
    if min(n1, n0) < 2:
        return v1.mean(axis=1), np.full_like(covariance, np.nan)
    for v in (v1, v0):
        covariance += np.atleast_2d(np.cov(v)) / v.shape[1]
    return v1.mean(axis=1), covariance


def delong_interval(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Range:
    """DeLong's interval of one AUC, on the logit scale so that it stays in 0 to 1 (Pepe 2003)."""
    values, covariance = delong(scores, labels)
    a, variance = float(values[0]), float(covariance[0, 0])
    if not (0.0 < a < 1.0 and variance > 0.0):
        return NONE
    half = Z95 * math.sqrt(variance) / (a * (1 - a))
    z = float(to_logit(a))
    return float(sigmoid(z - half)), float(sigmoid(z + half))


def mean_of_two(a: Estimate, b: Estimate) -> Estimate:
    """The mean of two independent estimates by the intervals that each has (MOVER, Zou & Donner,
    Statistics in Medicine 27, 2008): where one of them has no error to be drawn, a bootstrap of the
    mean would take it for certain.
    """
    value = (a.value + b.value) / 2
    if not all(math.isfinite(x) for e in (a, b) for x in (e.value, e.low, e.high)):
        return Estimate(value)
    below = math.hypot(a.value - a.low, b.value - b.low) / 2
    above = math.hypot(a.high - a.value, b.high - b.value) / 2
    return Estimate(value, max(0.0, value - below), min(1.0, value + above), "MOVER")


def basic(drawn: Estimate, by_chance: Range) -> Estimate:
    """The basic bootstrap interval in place of percentiles (Davison & Hinkley 1997, section 5.2).

    For a measure of at least 0 that chance can only raise, such as the ECE: each draw adds chance
    of its own, so that percentiles lie above the estimate, and twice as far above the truth.
    `by_chance`: where 95 % of such estimates lie if the truth is 0; it stands beside, and below
    its upper end the interval begins at 0. The upper end is never below the estimate.
    """
    value, beside = drawn.value, {**drawn.beside, "by_chance": by_chance}
    if not (math.isfinite(drawn.low) and math.isfinite(drawn.high)):
        return Estimate(value, *NONE, drawn.method, beside)
    low = 0.0 if value <= by_chance[1] else max(0.0, 2 * value - drawn.high)
    high = max(value, 2 * value - drawn.low)
    return Estimate(value, low, high, f"{drawn.method}, basic", beside)


class Sampler:
    """Seeded bootstrap over the patients of n films, and the estimates made with it.

    `patients`: (n,) one key a film. The same `seed` and `draws` give the same intervals. `index`:
    (n,) the number of each film's patient, of `m`.
    """

    def __init__(self, patients: Sequence[str], seed: int = 0, draws: int = DRAWS):
        names, index = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        self.n, self.m, self.draws = len(index), len(names), draws
        self.index: npt.NDArray[np.int64] = index
        rng = np.random.default_rng(seed)
        # Each row: how often each patient was picked in m picks. Counts are exact in float32.
        self._weights = np.empty((draws, self.m), np.float32)
        for row in self._weights:
            row[:] = np.bincount(rng.integers(0, self.m, self.m), minlength=self.m)

    @property
    def clustered(self) -> bool:
        """True where some patient has more than one film."""
        return self.m < self.n

    @property
    def method(self) -> str:
        """What the bootstrap drew, for the JSON."""
        return "patient bootstrap" if self.clustered else "film bootstrap"

    def sums(self, columns: npt.ArrayLike) -> Floats:
        """(draws, k) sums over the films of each draw, of `columns` (n, k)."""
        c = np.asarray(columns, dtype=np.float64).reshape(self.n, -1)
        by_patient = np.stack(
            [np.bincount(self.index, weights=c[:, j], minlength=self.m) for j in range(c.shape[1])],
            axis=1,
        )
        return np.asarray(self._weights.astype(np.float64) @ by_patient, dtype=np.float64)

    def interval(self, drawn: Floats) -> Range:
        """The 2.5 and 97.5 percentiles of a measure over the draws.

        NaN where fewer than half of the draws had a value, and with one patient.
        """
        good = drawn[np.isfinite(drawn)]
        if len(good) < self.draws / 2 or self.m < 2:
            return NONE
        low, high = np.percentile(good, [2.5, 97.5])
        return float(low), float(high)

    def from_sums(
        self,
        columns: npt.ArrayLike,
        measure: Callable[[Floats], Floats],
        instead: Range | None = None,
        few: bool = False,
    ) -> Estimate:
        """A measure of sums over films, such as F1 of counts.

        `columns` (n, k) what is summed; `measure` takes sums (..., k) to values (...);
        `instead`: the interval to give where no draw differs from another, or where there are
        too `few` patients to draw from.
        """
        c = np.asarray(columns, dtype=np.float64).reshape(self.n, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(measure(c.sum(axis=0)))
            low, high = self.interval(measure(self.sums(c)))
        if instead is not None and (few or not high - low > 1e-9):
            return Estimate(value, *instead, "from Wilson over patients")
        return Estimate(value, low, high, self.method)

    def mean(self, values: Floats) -> Estimate:
        """The mean of one number a film, `values` (n,); with fewer than `FEW` patients by Student's
        t over them, as for a ratio (Cochran 1977, section 2.11)."""
        if self.m < FEW:
            value, sizes = float(values.mean()), np.bincount(self.index, minlength=self.m)
            off = np.bincount(self.index, values, self.m) - value * sizes
            if self.m < 2:
                return Estimate(value, *NONE, "none with one patient")
            half = T975[self.m - 2] * float(off.std(ddof=1)) / math.sqrt(self.m) / sizes.mean()
            return Estimate(value, value - half, value + half, "t over patients")
        columns = np.stack([values, np.ones(self.n)], axis=1)
        return self.from_sums(columns, lambda s: s[..., 0] / s[..., 1])

    def mean_within(self, values: Floats, among: Bools | None = None) -> Estimate:
        """The mean of `values` (n,) in 0 to 1 over the films of `among`, all if None: patient
        bootstrap, or Wilson's over patients as in `proportion`."""
        among = np.ones(self.n, bool) if among is None else among
        m, n = len(np.unique(self.index[among])), int(among.sum())
        value = ratio(float(values[among].sum()), n)
        low, high = self.interval(_divide(self.sums(np.stack([values * among, among], axis=1))))
        if not high - low > 1e-9 or value in (0.0, 1.0) or m < FEW:
            return Estimate(value, *wilson(value * m, m), "Wilson over patients")
        return Estimate(value, low, high, self.method)

    def proportion(self, hit: Bools, among: Bools | None = None) -> Estimate:
        """The share of `hit` (n,) among the films of `among` (n,), all if None.

        Patient bootstrap; Wilson over films where each patient has one film; Wilson over
        patients where the share is 0 or 1, or where there are fewer than `FEW` of them. Wilson
        over films always stands beside it.
        """
        base = np.ones(self.n, bool) if among is None else among
        k, n = int((hit & base).sum()), int(base.sum())
        films = wilson(k, n)
        beside = {"wilson": films}
        if not n or not self.clustered:
            return Estimate(ratio(k, n), *films, "Wilson", beside)
        m = len(np.unique(self.index[base]))
        low, high = self.interval(_divide(self.sums(np.stack([hit & base, base], axis=1))))
        if not high - low > 1e-9 or k in (0, n) or m < FEW:
            return Estimate(k / n, *wilson(k / n * m, m), "Wilson over patients", beside)
        return Estimate(k / n, low, high, self.method, beside)

    def auc(self, scores: Floats, truth: Bools) -> Estimate:
        """The AUC. Where no pair is in the wrong order, or all are, or a class has fewer than
        `FEW` patients, the interval is Wilson's over as many pairs of patients as can be formed
        without using one twice.
        """
        value, pairs = auc(scores, truth), self.fewest(truth)
        beside = {"delong": delong_interval(scores, truth)}
        if value in (0.0, 1.0) or pairs < FEW:
            return Estimate(value, *wilson(value * pairs, pairs), "Wilson over pairs", beside)
        return Estimate(value, *self.interval(self._ranked(scores, truth)[0]), self.method, beside)

    def average_precision(self, scores: Floats, truth: Bools) -> Estimate:
        """The area under the precision-recall curve; no interval with fewer than `FEW` patients
        of a class."""
        value = average_precision(scores, truth)
        if self.fewest(truth) < FEW:
            return Estimate(value, *NONE, f"none with fewer than {FEW} patients of a class")
        return Estimate(value, *self.interval(self._ranked(scores, truth)[1]), self.method)

    def fewest(self, truth: Bools) -> int:
        """Patients of the class that has fewer of them."""
        return min(len(np.unique(self.index[side])) for side in (truth, ~truth))

    def _ranked(self, scores: Floats, truth: Bools) -> tuple[Floats, Floats]:
        """(draws,) AUCs and average precisions."""
        order = np.argsort(-scores, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(scores[order])) + 1])
        who, y = self.index[order], truth[order].astype(np.float64)
        areas, precisions = np.empty(self.draws), np.empty(self.draws)
        step = max(1, CHUNK // self.n)
        for i in range(0, self.draws, step):
            w = self._weights[i : i + step][:, who].astype(np.float64)
            tp = np.add.reduceat(w * y, starts, axis=1)
            fp = np.add.reduceat(w * (1.0 - y), starts, axis=1)
            above, all_fp = np.cumsum(tp, axis=1), np.cumsum(fp, axis=1)
            positives, negatives = above[:, -1], all_fp[:, -1]
            with np.errstate(divide="ignore", invalid="ignore"):
                # Each negative loses to the positives above it, and to half of those beside.
                won = np.sum(fp * (above - tp / 2.0), axis=1)
                areas[i : i + step] = won / (positives * negatives)
                precision = np.where(above + all_fp > 0, above / (above + all_fp), 0.0)
                precisions[i : i + step] = np.sum(tp * precision, axis=1) / positives
        return areas, precisions

    def calibration(self, p: Floats, truth: Bools) -> tuple[Estimate, Estimate]:
        """Slope and intercept of the calibration line, with patient-robust Wald intervals.

        Sandwich variance over patients (Liang & Zeger 1986); a bootstrap would refit the
        line for every draw and fail in those that part the classes.
        """
        slope, intercept = calibration_line(p, truth)
        if not (math.isfinite(slope) and math.isfinite(intercept)):
            return Estimate(float("nan")), Estimate(float("nan"))
        z = to_logit(np.clip(p, LOSS_FLOOR, 1.0 - LOSS_FLOOR))
        x = np.stack([z, np.ones(self.n)], axis=1)
        q = sigmoid(slope * z + intercept)
        bread = np.linalg.pinv((x * (q * (1 - q))[:, None]).T @ x)
        residual = x * (truth - q)[:, None]
        scores = np.stack(
            [np.bincount(self.index, weights=residual[:, j], minlength=self.m) for j in (0, 1)], 1
        )
        spread = np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread))
        name = "patient-robust Wald" if self.clustered else "robust Wald"
        return (
            Estimate(slope, slope - Z95 * spread[0], slope + Z95 * spread[0], name),
            Estimate(intercept, intercept - Z95 * spread[1], intercept + Z95 * spread[1], name),
        )


def _divide(sums: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])
