"""How sure an estimate is: closed forms, and a bootstrap that draws patients, not films.

Films of one child are alike. So shares have Wilson's interval over as many films as they are worth
(or over patients, where few of them err), AUCs DeLong's summed by patient or Newcombe's, whichever
says less, and what is made of two such is put together from theirs. Other measures are drawn: a
draw gives each patient a weight (how often it was picked), and every measure is computed on films
weighted so, by the same draws.

All intervals are two-sided, 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.evaluate.calibration import Floats, sigmoid, to_logit
from firstread.evaluate.closed_form import (
    NONE,
    Z95,
    Range,
    delong_interval,
    design_effect,
    newcombe,
    wilson,
)
from firstread.evaluate.metrics import (
    LOSS_FLOOR,
    Bools,
    auc,
    average_precision,
    calibration_line,
    ratio,
)

DRAWS = 2000
CHUNK = 2_000_000
"""Weights (draws times films, or patients) held at once as numbers to multiply by: 16 MB."""

FEW = 20
"""Patients from which on an interval is drawn. From fewer, far too few of the drawn ones hold the
truth."""

RARE = 10
"""Patients of the rarer answer from which on it is known how alike the films of one are."""

T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010,
        2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009)  # fmt: skip
"""97.5 % points of Student's t for 1 to 18 degrees of freedom (any table of it)."""


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


def json_of(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate for JSON; null where nothing could be measured."""
    return None if estimate is None else estimate.to_json()


def mix(a: Estimate, b: Estimate, share: float = 0.5) -> Estimate:
    """`share` of the estimate `a` and the rest of `b`, independent of it, by the intervals that
    each has (MOVER, Zou & Donner, Statistics in Medicine 27, 2008): where one of them has no
    error to be drawn, a bootstrap would take it for certain.
    """
    u, v = share, 1 - share
    value = u * a.value + v * b.value
    if not all(math.isfinite(x) for e in (a, b) for x in (e.value, e.low, e.high)):
        return Estimate(value)
    below = math.hypot(u * (a.value - a.low), v * (b.value - b.low))
    above = math.hypot(u * (a.high - a.value), v * (b.high - b.value))
    return Estimate(value, max(0.0, value - below), min(1.0, value + above), "MOVER")


def predictive_value(right: Estimate, other: Estimate, share: float) -> Estimate:
    """The share of the calls of one class that are right, where `share` of all are of it.

    `right`: the share of that class that is called so, `other`: of the other class. With the
    sensitivity and the specificity it is the PPV, turned round, and with the rest of the share,
    the NPV. Interval by MOVER on the logarithm of the likelihood ratio (Zou & Donner 2008);
    where one class has no error, from the ends of both.

    >>> sure = Estimate(0.9, 0.9, 0.9), Estimate(0.8, 0.8, 0.8)
    >>> [round(predictive_value(*pair, 0.1).value, 3) for pair in (sure, sure[::-1])]
    [0.333, 0.471]
    """

    def value(hits: float, spared: float) -> float:
        return ratio(hits * share, hits * share + (1 - spared) * (1 - share))

    at = value(right.value, other.value)
    if not (right.value > 0 and other.value < 1):
        ends = value(right.low, other.low), value(right.high, other.high)
        return Estimate(at, *ends, "from the ends of both")
    hits, alarms = math.log(right.value), math.log1p(-other.value)
    down = math.hypot(hits - _log(right.low), _log(1 - other.low) - alarms)
    up = math.hypot(_log(right.high) - hits, alarms - _log(1 - other.high))
    low, high = (to_logit(share) + hits - alarms + by for by in (-down, up))
    return Estimate(at, float(sigmoid(low)), float(sigmoid(high)), "MOVER")


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


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
        self.n, self.m, self.draws, self._seed = len(index), len(names), draws, seed
        self.index: npt.NDArray[np.int64] = index

    @cached_property
    def _weights(self) -> npt.NDArray[np.uint8]:
        """(draws, m) how often each patient was picked in m picks; drawn only where it is asked
        for, since shares and AUCs have closed forms. In a byte, the smallest that holds them: over
        255 of m picks fall on one patient in no draw that anybody will live to see."""
        rng = np.random.default_rng(self._seed)
        weights = np.empty((self.draws, self.m), np.uint8)
        for row in weights:
            row[:] = np.bincount(rng.integers(0, self.m, self.m), minlength=self.m)
        return weights

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
        sums = np.empty((self.draws, c.shape[1]))
        step = max(1, CHUNK // self.m)
        for i in range(0, self.draws, step):
            sums[i : i + step] = self._weights[i : i + step].astype(np.float64) @ by_patient
        return sums

    def interval(self, drawn: Floats) -> Range:
        """The 2.5 and 97.5 percentiles of a measure over the draws.

        NaN where fewer than half of the draws had a value, and with one patient.
        """
        good = drawn[np.isfinite(drawn)]
        if len(good) < self.draws / 2 or self.m < 2:
            return NONE
        low, high = np.percentile(good, [2.5, 97.5])
        return float(low), float(high)

    def from_sums(self, columns: npt.ArrayLike, measure: Callable[[Floats], Floats]) -> Estimate:
        """A measure of sums over films, such as a mean: `columns` (n, k) what is summed; `measure`
        takes sums (..., k) to values (...)."""
        c = np.asarray(columns, dtype=np.float64).reshape(self.n, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(measure(c.sum(axis=0)))
            low, high = self.interval(measure(self.sums(c)))
        return Estimate(value, low, high, self.method)

    def mean(self, values: Floats, least: float = -math.inf, most: float = math.inf) -> Estimate:
        """The mean of one number a film, `values` (n,), which lies between `least` and `most`; with
        fewer than `FEW` patients by Student's t over them, as for a ratio (Cochran 1977, section
        2.11)."""
        if self.m >= FEW:
            columns = np.stack([values, np.ones(self.n)], axis=1)
            return self.from_sums(columns, _divide)
        value, sizes = float(values.mean()), np.bincount(self.index, minlength=self.m)
        if self.m < 2:
            return Estimate(value, *NONE, "none with one patient")
        off = np.bincount(self.index, values, self.m) - value * sizes
        half = T975[self.m - 2] * float(off.std(ddof=1)) / math.sqrt(self.m) / sizes.mean()
        low, high = max(least, value - half), min(most, value + half)
        return Estimate(value, low, high, "t over patients")

    def mean_within(self, values: Floats, among: Bools | None = None) -> Estimate:
        """The mean of `values` (n,) in 0 to 1 over the films of `among`, all if None: patient
        bootstrap, or Wilson's over patients where there are fewer than `FEW` or nothing varies."""
        among = np.ones(self.n, bool) if among is None else among
        m, n = len(np.unique(self.index[among])), int(among.sum())
        value = ratio(float(values[among].sum()), n)
        low, high = self.interval(_divide(self.sums(np.stack([values * among, among], axis=1))))
        if not high - low > 1e-9 or value in (0.0, 1.0) or m < FEW:
            return Estimate(value, *wilson(value * m, m), "Wilson over patients")
        return Estimate(value, low, high, self.method)

    def proportion(self, hit: Bools, among: Bools | None = None) -> Estimate:
        """The share of `hit` (n,) among the films of `among` (n,), all if None, with Wilson's
        interval: over films where each patient has one; over as many as they are worth (Kish's
        design effect) where patients have several; over patients where there are fewer than `FEW`
        of them, or fewer than `RARE` with the rarer answer. Wilson over films always stands beside
        it.
        """
        base = np.ones(self.n, bool) if among is None else among
        hits, index = hit[base], self.index[base]
        k, n, m = int(hits.sum()), len(hits), len(np.unique(index))
        films = wilson(k, n)
        beside = {"wilson": films}
        if m == n:
            return Estimate(ratio(k, n), *films, "Wilson", beside)
        rarer = min(len(np.unique(index[side])) for side in (hits, ~hits))
        if m < FEW or rarer < RARE:
            return Estimate(k / n, *wilson(k / n * m, m), "Wilson over patients", beside)
        worth = n / design_effect(hits, index)
        low, high = wilson(k / n * worth, worth)
        return Estimate(k / n, low, high, "Wilson with a design effect of patients", beside)

    def auc(self, scores: Floats, truth: Bools) -> Estimate:
        """The AUC, with the wider of two intervals: DeLong's over patients, which is too narrow
        where a few pairs make all the errors, and Newcombe's, which knows how many patients of each
        class there are and nothing more."""
        value = auc(scores, truth)
        n1, n0 = (len(np.unique(self.index[side])) for side in (truth, ~truth))
        low, high = newcombe(value, n1, n0)
        beside = {"delong": delong_interval(scores, truth, self.index)}
        if math.isfinite(beside["delong"][0]):
            low, high = min(low, beside["delong"][0]), max(high, beside["delong"][1])
        return Estimate(value, low, high, "DeLong's or Newcombe's, whichever is wider", beside)

    def average_precision(self, scores: Floats, truth: Bools) -> Estimate:
        """The area under the precision-recall curve; no interval with fewer than `FEW` patients
        of a class, nor where no draw differs."""
        value = average_precision(scores, truth)
        if self.fewest(truth) < FEW:
            return Estimate(value, *NONE, f"none with fewer than {FEW} patients of a class")
        low, high = self.interval(self._precisions(scores, truth))
        if not high - low > 1e-9:
            return Estimate(value, *NONE, "none where no film is out of order")
        return Estimate(value, low, high, self.method)

    def fewest(self, truth: Bools) -> int:
        """Patients of the class that has fewer of them."""
        return min(len(np.unique(self.index[side])) for side in (truth, ~truth))

    def _precisions(self, scores: Floats, truth: Bools) -> Floats:
        """(draws,) average precisions."""
        order = np.argsort(-scores, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(scores[order])) + 1])
        who, y = self.index[order], truth[order].astype(np.float64)
        precisions = np.empty(self.draws)
        step = max(1, CHUNK // self.n)
        for i in range(0, self.draws, step):
            w = self._weights[i : i + step][:, who].astype(np.float64)
            tp = np.add.reduceat(w * y, starts, axis=1)
            above = np.cumsum(tp, axis=1)
            called = np.cumsum(np.add.reduceat(w, starts, axis=1), axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                precision = np.where(called > 0, above / called, 0.0)
                precisions[i : i + step] = np.sum(tp * precision, axis=1) / above[:, -1]
        return precisions

    def calibration(self, p: Floats, truth: Bools) -> tuple[Estimate, Estimate]:
        """Slope and intercept of the calibration line, with patient-robust Wald intervals.

        Sandwich variance over patients (Liang & Zeger 1986); a bootstrap would refit the
        line for every draw and fail in those that part the classes. No interval with fewer than
        `FEW` patients of a class.
        """
        slope, intercept = calibration_line(p, truth)
        if not (math.isfinite(slope) and math.isfinite(intercept)):
            return Estimate(float("nan")), Estimate(float("nan"))
        if self.fewest(truth) < FEW:
            none = f"none with fewer than {FEW} patients of a class"
            return Estimate(slope, *NONE, none), Estimate(intercept, *NONE, none)
        z = to_logit(np.clip(p, LOSS_FLOOR, 1.0 - LOSS_FLOOR))
        x = np.stack([z, np.ones(self.n)], axis=1)
        q = sigmoid(slope * z + intercept)
        bread = np.linalg.pinv((x * (q * (1 - q))[:, None]).T @ x)
        residual = x * (truth - q)[:, None]
        scores = np.stack(
            [np.bincount(self.index, weights=residual[:, j], minlength=self.m) for j in (0, 1)], 1
        )
        meat = scores.T @ scores * (self.m / (self.m - 1))
        spread = np.sqrt(np.diag(bread @ meat @ bread))
        name = "patient-robust Wald" if self.clustered else "robust Wald"
        return (
            Estimate(slope, slope - Z95 * spread[0], slope + Z95 * spread[0], name),
            Estimate(intercept, intercept - Z95 * spread[1], intercept + Z95 * spread[1], name),
        )


def _divide(sums: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])
