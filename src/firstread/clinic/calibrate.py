"""Making the probabilities come true at a clinic, judged on films that had no part in it.

Four ways, from knowing least to fitting most: "as_shipped"; "prevalence", one number from the
clinic's share of pneumonia (Saerens, Latinne & Decaestecker 2002); "intercept", one number fitted
(calibration in the large); "slope", two numbers fitted, the slope shrunk towards 1
(`evaluate.recalibrate.refit`). An intercept is fitted from `LEAST_CLASS` patients of each class
on, a slope from `LEAST_SLOPE`. Of those allowed, the one in use is that with the lowest
cross-fitted log loss, the simpler one where two are alike.

Cross-fitted: patients are dealt into ten parts, evenly by class; each part is judged by what was
fitted on the other nine. Every choice that follows (threshold, refer band) is made anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.clinic.need import LEAST_CLASS, LEAST_SLOPE
from firstread.evaluate.calibration import Floats, Platt, sigmoid, to_logit
from firstread.evaluate.intervals import Z95, Estimate
from firstread.evaluate.metrics import Bools, film_losses
from firstread.evaluate.operating import OperatingPoint, fit_operating_point
from firstread.evaluate.recalibrate import in_the_large, refit

METHODS = ("as_shipped", "prevalence", "intercept", "slope")
FOLDS = 10
ALIKE = 1e-4
"""Difference of mean log losses, in nats, below which the simpler way is taken."""

RULE = (
    f"an intercept is fitted from {LEAST_CLASS} patients of each class on, slope and intercept "
    f"from {LEAST_SLOPE} (ten for each number, Peduzzi et al. 1996), the slope with a normal prior "
    "around 1 (shrinkage: Steyerberg et al. 2004); among those allowed, the way with the lowest "
    "cross-fitted log loss, the simpler one where two are alike"
)


@dataclass(frozen=True)
class Films:
    """Films that were read: `z` (n,) the shipped calibrated logit, `truth` (n,), `patients` (n,).

    `at`: the share of pneumonia at which the shipped probabilities are true, None if not told.
    """

    z: Floats
    truth: Bools
    patients: npt.NDArray[np.str_]
    at: float | None

    def patients_of(self, pneumonia: bool) -> int:
        """Patients with a film of that class."""
        return len(np.unique(self.patients[self.truth == pneumonia]))

    def some(self, keep: Bools) -> Films:
        """The films of `keep` (n,)."""
        return Films(self.z[keep], self.truth[keep], self.patients[keep], self.at)


@dataclass(frozen=True)
class Line:
    """A calibration on top of the shipped one: slope and intercept on its logit.

    `held`: the slope came out at or below 0 and was held just above.
    """

    slope: float
    intercept: float
    held: bool = False


def allowed(films: Films) -> list[str]:
    """The ways that these films are enough for, simplest first."""
    least = min(films.patients_of(False), films.patients_of(True))
    methods = ["as_shipped"]
    if films.at is not None and least:
        methods.append("prevalence")
    if least >= LEAST_CLASS:
        methods.append("intercept")
    if least >= LEAST_SLOPE:
        methods.append("slope")
    return methods


def fit_line(method: str, films: Films) -> Line:
    """What `method` makes of `films`, which hold both classes."""
    if method == "as_shipped":
        return Line(1.0, 0.0)
    if method == "prevalence":
        assert films.at is not None
        return Line(1.0, float(to_logit(films.truth.mean()) - to_logit(films.at)))
    if method == "intercept":
        return Line(1.0, in_the_large(films.z, films.truth))
    return Line(*refit(films.z, films.truth))


def folds_of(films: Films, seed: int) -> npt.NDArray[np.int64]:
    """(n,) the part of each film, patients whole, classes spread evenly; fewer than ten parts
    where a class has fewer patients."""
    names, index = np.unique(films.patients, return_inverse=True)
    ill = np.zeros(len(names), bool)
    ill[index[films.truth]] = True
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(ill[order], kind="stable")]
    least = min(films.patients_of(False), films.patients_of(True))
    part = np.empty(len(names), np.int64)
    part[order] = np.arange(len(names)) % max(2, min(FOLDS, least))
    return np.asarray(part[index], dtype=np.int64)


def _parts(films: Films, seed: int) -> list[tuple[Bools, Bools]]:
    """(to fit on, to judge) for each part; parts without both classes to fit on are left out."""
    fold = folds_of(films, seed)
    pairs = [(fold != k, fold == k) for k in np.unique(fold)]
    return [(a, b) for a, b in pairs if films.truth[a].any() and not films.truth[a].all()]


def cross_fitted(films: Films, methods: list[str], seed: int) -> dict[str, Floats]:
    """Logits (n,) by each of `methods`, each film's by a fit on other patients."""
    out = {m: films.z.copy() for m in methods}
    for fit_on, judge in _parts(films, seed):
        for m in methods:
            line = fit_line(m, films.some(fit_on))
            out[m][judge] = line.slope * films.z[judge] + line.intercept
    return out


def choose(logits: dict[str, Floats], truth: Bools) -> str:
    """The way with the lowest log loss; `logits` in the order of `METHODS`."""
    loss = {m: float(film_losses(sigmoid(z), truth).mean()) for m, z in logits.items()}
    best = min(loss.values())
    return next(m for m in METHODS if m in loss and loss[m] <= best + ALIKE)


def composed(shipped: Platt, line: Line, shift: float, how: str, prevalence: float) -> Platt:
    """The calibration of the network's own logit: shipped, then `line`, then the intercept
    `shift` that moves it from the share of pneumonia in the films to `prevalence`."""
    return Platt(
        line.slope * shipped.slope,
        line.slope * shipped.intercept + line.intercept + shift,
        how,
        prevalence,
    )


def point_on(films: Films, platt: Platt, sensitivity: float, on: str) -> OperatingPoint:
    """Thresholds and refer band on `films`; `platt` is on top of the shipped calibrated logit."""
    return fit_operating_point(
        films.z, films.truth.astype(np.int8), on, calibration=platt, sensitivity=sensitivity
    )


@dataclass(frozen=True)
class Judged:
    """Cross-fitted decisions: `calls`, `referred` (n,), called pneumonia and in the band."""

    calls: Bools
    referred: Bools


def cross_decided(films: Films, method: str, sensitivity: float, seed: int) -> Judged:
    """Decisions on each film by a calibration, threshold and band chosen on other patients."""
    calls, referred = np.zeros(len(films.z), bool), np.zeros(len(films.z), bool)
    for fit_on, judge in _parts(films, seed):
        line = fit_line(method, films.some(fit_on))
        platt = Platt(line.slope, line.intercept)
        point = point_on(films.some(fit_on), platt, sensitivity, "the other parts")
        p = platt.probability(films.z[judge])
        calls[judge] = p >= point.threshold
        referred[judge] = (p >= point.refer.low) & (p <= point.refer.high)
    return Judged(calls, referred)


def large_and_left(films: Films) -> tuple[Estimate, Estimate | None]:
    """Calibration in the large, and what of it the share of pneumonia does not explain.

    Both on the shipped logit at slope 1. The second is the first less the difference of the
    shares' logits; None where the card does not tell the share. Patient-robust Wald intervals
    by the influence of each film (Liang & Zeger 1986); the share is of the same films, so their
    common error is counted once.
    """
    y, n = films.truth.astype(np.float64), len(films.z)
    a = in_the_large(films.z, films.truth)
    p = sigmoid(films.z + a)
    weigh = float(np.sum(p * (1 - p)))
    psi = (y - p) / max(weigh, 1e-12)
    large = _wald(a, psi, films.patients)
    if films.at is None:
        return large, None
    share = float(y.mean())
    shift = float(to_logit(share) - to_logit(films.at))
    return large, _wald(a - shift, psi - (y - share) / (n * share * (1 - share)), films.patients)


def _wald(value: float, influence: Floats, patients: npt.NDArray[np.str_]) -> Estimate:
    index = np.unique(patients, return_inverse=True)[1]
    half = Z95 * float(np.sqrt(np.sum(np.bincount(index, weights=influence) ** 2)))
    return Estimate(value, value - half, value + half, "patient-robust Wald")
