"""Where a probability becomes a decision: thresholds and the refer band.

Everything is chosen on validation films, never on the films a result is reported on, and
every number carries the sentence that says how it was chosen. Distances are measured in
calibrated logits, since near 0 and 1 a small step in probability is a large one in evidence.

A cut never lies on a film but halfway between two neighbours, so that rounding on another
machine cannot turn a validation film over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.evaluate.calibration import Floats, Platt, checked, fit_platt, sigmoid, to_logit

MARGIN = 0.5
"""Logits beyond the outermost film at which a cut is put that has films on one side only."""

LIMIT = 30.0
"""Calibrated logits are clipped to ± this, so that every cut is a probability below 1."""

KEPT_ERROR = 0.01
KEPT_SHARE = 0.80
LEAST_REFERRED = 0.02


@dataclass(frozen=True)
class Threshold:
    """A calibrated probability; at or above it a film is called pneumonia. `how`: the rule."""

    value: float
    how: str


@dataclass(frozen=True)
class ReferBand:
    """Calibrated probabilities from `low` to `high`: too near the threshold to decide."""

    low: float
    high: float
    how: str


@dataclass(frozen=True)
class OperatingPoint:
    """Calibration, thresholds by name ("decision" is the one in use) and the refer band."""

    calibration: Platt
    thresholds: dict[str, Threshold]
    refer: ReferBand

    @property
    def threshold(self) -> float:
        """The decision threshold, a calibrated probability."""
        return self.thresholds["decision"].value

    def to_card(self) -> dict[str, Any]:
        """The card's "calibration", "thresholds" and "refer" entries, ready for JSON."""
        c, r = self.calibration, self.refer
        return {
            "calibration": {"slope": c.slope, "intercept": c.intercept, "how": c.how},
            "thresholds": {
                name: {"value": t.value, "how": t.how} for name, t in self.thresholds.items()
            },
            "refer": {"low": r.low, "high": r.high, "how": r.how},
        }


@dataclass(frozen=True)
class _Cuts:
    """Every way to cut the films in two, from all-positive to all-negative.

    `low`, `high` (m,): the stretch of logits in which a cut gives the same decisions.
    `sensitivity`, `specificity` (m,): of those decisions.
    """

    low: Floats
    high: Floats
    sensitivity: Floats
    specificity: Floats

    @property
    def balanced(self) -> Floats:
        return (self.sensitivity + self.specificity) / 2.0

    def says(self, z: float) -> str:
        i = int(np.searchsorted(self.high, z, side="left"))
        i = min(i, len(self.high) - 1)
        return f"sensitivity {self.sensitivity[i]:.3f}, specificity {self.specificity[i]:.3f} there"


def _cuts(z: Floats, truth: npt.NDArray[np.bool_]) -> _Cuts:
    values, index = np.unique(z, return_inverse=True)
    positives = np.bincount(index, weights=truth, minlength=len(values))
    negatives = np.bincount(index, weights=~truth, minlength=len(values))
    return _Cuts(
        low=np.concatenate([[values[0] - 2 * MARGIN], values]),
        high=np.concatenate([values, [values[-1] + 2 * MARGIN]]),
        sensitivity=1.0 - np.concatenate([[0.0], np.cumsum(positives)]) / positives.sum(),
        specificity=np.concatenate([[0.0], np.cumsum(negatives)]) / negatives.sum(),
    )


def _best(cuts: _Cuts) -> float:
    """The middle of the widest stretch of cuts with the highest balanced accuracy."""
    score = cuts.balanced
    winners = np.flatnonzero(score >= score.max() - 1e-12)
    # Neighbouring winners are one plateau.
    runs = np.split(winners, np.flatnonzero(np.diff(winners) > 1) + 1)
    low, high = max(
        ((cuts.low[r[0]], cuts.high[r[-1]]) for r in runs), key=lambda lh: float(lh[1] - lh[0])
    )
    return float(low + high) / 2.0


def _at_sensitivity(cuts: _Cuts, wanted: float) -> float:
    """The highest cut that still reaches a sensitivity; it exists, since the lowest reaches 1."""
    i = int(np.flatnonzero(cuts.sensitivity >= wanted - 1e-12)[-1])
    return float(cuts.low[i] + cuts.high[i]) / 2.0


def _refer_band(z: Floats, truth: npt.NDArray[np.bool_], cut: float, on: str) -> ReferBand:
    """The smallest band around `cut`, symmetric in logits, that leaves few errors outside."""
    n = len(z)
    order = np.argsort(np.abs(z - cut), kind="stable")
    distance = np.abs(z - cut)[order]
    wrong = ((z >= cut) != truth)[order]
    left = np.concatenate([np.cumsum(wrong[::-1])[::-1], [0]])  # errors if the k nearest go
    k = np.arange(n + 1)
    error = left / np.maximum(n - k, 1)
    # Films at one and the same distance are referred together or not at all.
    possible = np.concatenate([[True], distance[1:] > distance[:-1], [False]])
    possible &= n - k >= KEPT_SHARE * n
    enough = possible & (k >= min(np.ceil(LEAST_REFERRED * n), k[possible].max()))
    good = np.flatnonzero(enough & (error <= KEPT_ERROR))
    chosen = int(good[0]) if len(good) else int(np.flatnonzero(enough)[-1])
    half = float(distance[chosen - 1] + distance[chosen]) / 2.0 if chosen else 0.0
    rule = (
        f"the smallest band around the decision threshold, symmetric in calibrated logits, that "
        f"holds at least {LEAST_REFERRED:.0%} of {on} and outside of which at most "
        f"{KEPT_ERROR:.0%} are wrong"
    )
    if not len(good):
        rule += f"; not reached while {KEPT_SHARE:.0%} are kept, so the widest that keeps these"
    how = (
        f"{rule}: {chosen} of {n} referred, error among the others {error[chosen]:.4f} "
        f"(all: {error[0]:.4f})"
    )
    return ReferBand(float(sigmoid(cut - half)), float(sigmoid(cut + half)), how)


def fit_operating_point(
    logits: npt.ArrayLike, labels: npt.ArrayLike, on: str = "the validation films"
) -> OperatingPoint:
    """Calibration, thresholds and refer band from validation films.

    `logits` (n,): the network's, uncalibrated; `labels` (n,): 1 pneumonia, 0 normal; `on`
    names the films in the sentences on the card. Raises `DataError` if a class is missing, a
    logit is no number, or the lengths differ.

    The threshold in use is "best", not 0.5 or a wanted sensitivity: films of another batch
    come out shifted, and the middle of the plateau between the classes is furthest from harm.
    """
    raw, truth = checked(logits, labels)
    platt = fit_platt(raw, truth, on)
    z = np.clip(platt.logit(raw), -LIMIT, LIMIT)
    cuts = _cuts(z, truth)
    best = _best(cuts)
    best_how = (
        f"highest balanced accuracy (Youden's index) on {on}, middle of the plateau in "
        f"calibrated logits; {cuts.says(best)}"
    )
    at = {wanted: _at_sensitivity(cuts, wanted / 100) for wanted in (95, 98)}
    thresholds = {
        "decision": Threshold(float(sigmoid(best)), f'the threshold "best": {best_how}'),
        "0.5": Threshold(0.5, f"even odds after calibration; on {on} {cuts.says(0.0)}"),
        "best": Threshold(float(sigmoid(best)), best_how),
    }
    for wanted, z_cut in at.items():
        thresholds[f"sensitivity_{wanted}"] = Threshold(
            float(sigmoid(z_cut)),
            f"the highest with sensitivity {wanted} % on {on}, halfway to the next film below; "
            f"{cuts.says(z_cut)}",
        )
    cut = float(to_logit(thresholds["decision"].value))
    return OperatingPoint(platt, thresholds, _refer_band(z, truth, cut, on))
