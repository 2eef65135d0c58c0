"""What is different at a clinic: how common pneumonia is, apart from how the films look."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from firstread.clinic.calibrate import Films
from firstread.clinic.point import Told, told
from firstread.evaluate.calibration import Floats, sigmoid, to_logit
from firstread.evaluate.closed_form import Z95
from firstread.evaluate.intervals import Estimate, Sampler
from firstread.evaluate.recalibrate import in_the_large


def shift_of(films: Films, seed: int, draws: int) -> Told:
    """What differs here: how common pneumonia is, apart from how the films look to the model."""
    n = len(films.z)
    sampler = Sampler([str(p) for p in films.patients], seed, draws)
    here = sampler.proportion(films.truth)
    slope, _ = sampler.calibration(sigmoid(films.z), films.truth)
    large, left = large_and_left(films)
    at = films.at
    return {
        "prevalence": {
            "shipped": at,
            "here": told(here, n),
            "logit": None if at is None else float(to_logit(here.value) - to_logit(at)),
        },
        "films": {
            "slope": told(slope, n),
            "in_the_large": told(large, n),
            "left": None if left is None else told(left, n),
        },
        "says": _says(slope, left),
        "how": "a shift in prevalence moves the intercept by the difference of the shares' logits "
        "and leaves the slope at 1; what is left of the intercept, and a slope away from 1, comes "
        "from the films: another machine, age or kind of patient, or labels made otherwise",
    }


def _says(slope: Estimate, left: Estimate | None) -> str:
    moved = []
    if math.isfinite(slope.low) and not slope.low <= 1.0 <= slope.high:
        moved.append("the model is too sure of itself here" if slope.value < 1 else
                     "the model is not sure enough here")  # fmt: skip
    if left is not None and not left.low <= 0.0 <= left.high:
        moved.append(
            f"films look {'more' if left.value < 0 else 'less'} like pneumonia to it than the "
            "share of pneumonia explains"
        )
    if not moved:
        return "no shift of films could be shown; what differs may be the share of pneumonia alone"
    return "the films differ from those it was calibrated on: " + ", and ".join(moved)


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
