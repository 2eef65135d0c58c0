"""Making the probabilities come true at a clinic, judged on films that had no part in it.

Five ways, from knowing least to fitting most: "as_shipped"; "prevalence", one number from the
clinic's share of pneumonia (Saerens, Latinne & Decaestecker 2002); "intercept", one number fitted
(calibration in the large); "slope", two numbers fitted, the slope shrunk towards 1
(`evaluate.recalibrate.refit`); "isotonic", that line bent through up to ten points
(`evaluate.isotonic`). An intercept is fitted from `LEAST_CLASS` patients of each class on, a slope
from `LEAST_SLOPE`, a bend from `LEAST_CURVE`. Of those allowed, the one in use is that with the
lowest cross-fitted log loss, the simpler one where two are alike.

Cross-fitted: patients are dealt into ten parts, evenly by class; each part is judged by what was
fitted on the other nine. Every choice that follows (threshold, refer band) is made anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firstread.clinic.need import LEAST_CLASS, LEAST_CURVE, LEAST_SLOPE
from firstread.evaluate.calibration import Floats, Platt, sigmoid, to_logit
from firstread.evaluate.isotonic import fit_isotonic
from firstread.evaluate.metrics import Bools, film_losses
from firstread.evaluate.operating import OperatingPoint, fit_operating_point
from firstread.evaluate.recalibrate import in_the_large, refit

METHODS = ("as_shipped", "prevalence", "intercept", "slope", "isotonic")
FOLDS = 10
ALIKE = 1e-4
"""Difference of mean log losses, in nats, below which the simpler way is taken."""

RULE = (
    f"an intercept is fitted from {LEAST_CLASS} patients of each class on, slope and intercept "
    f"from {LEAST_SLOPE} (ten for each number, Peduzzi et al. 1996), the slope with a normal prior "
    f"around 1 (shrinkage: Steyerberg et al. 2004), a bent line from {LEAST_CURVE} (isotonic by "
    "tenths of the films, centred: Oron & Flournoy 2017); among those allowed, the way with the "
    "lowest cross-fitted log loss, the simpler one where two are alike"
)

HOW = {
    "as_shipped": "nothing fitted (no way of fitting was better out of sample)",
    "prevalence": "the intercept moved for the share of pneumonia (Saerens et al. 2002)",
    "intercept": "the intercept fitted (calibration in the large)",
    "slope": "slope and intercept fitted by logistic regression",
    "isotonic": "slope and intercept fitted by logistic regression, then bent (isotonic)",
}
"""What each way does, for the card."""


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
    if least >= LEAST_CURVE:
        methods.append("isotonic")
    return methods


def fit(method: str, films: Films) -> Platt:
    """What `method` makes of `films`, which hold both classes: on top of the shipped logit."""
    if method == "as_shipped":
        return Platt()
    if method == "prevalence":
        assert films.at is not None
        return Platt(1.0, float(to_logit(films.truth.mean()) - to_logit(films.at)))
    if method == "intercept":
        return Platt(1.0, in_the_large(films.z, films.truth))
    slope, intercept, _ = refit(films.z, films.truth)
    line = Platt(slope, intercept)
    if method == "slope":
        return line
    return replace(line, bends=fit_isotonic(line.logit(films.z), films.truth))


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
    """(to fit on, to judge) for each part."""
    fold = folds_of(films, seed)
    return [(fold != k, fold == k) for k in np.unique(fold)]


def cross_fitted(films: Films, methods: list[str], seed: int) -> dict[str, Floats]:
    """Logits (n,) by each of `methods`, each film's by a fit on other patients."""
    out = {m: films.z.copy() for m in methods}
    for fit_on, judge in _parts(films, seed):
        for m in methods:
            out[m][judge] = fit(m, films.some(fit_on)).logit(films.z[judge])
    return out


def choose(logits: dict[str, Floats], truth: Bools) -> str:
    """The way with the lowest log loss; `logits` in the order of `METHODS`."""
    loss = {m: float(film_losses(sigmoid(z), truth).mean()) for m, z in logits.items()}
    best = min(loss.values())
    return next(m for m in METHODS if m in loss and loss[m] <= best + ALIKE)


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
        platt = fit(method, films.some(fit_on))
        point = point_on(films.some(fit_on), platt, sensitivity, "the other parts")
        p = platt.probability(films.z[judge])
        calls[judge] = p >= point.threshold
        referred[judge] = (p >= point.refer.low) & (p <= point.refer.high)
    return Judged(calls, referred)
