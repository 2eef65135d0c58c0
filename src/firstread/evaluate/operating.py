"""Where a probability becomes a decision: thresholds and the refer band.

Everything is chosen on validation films, never on the films a result is reported on, and
every number carries the sentence that says how it was chosen. Distances are measured in
calibrated logits, since near 0 and 1 a small step in probability is a large one in evidence.

Two points come with a stated risk instead of a wanted rate: "rule_out" and "rule_in", by
split-conformal prediction within each class (Mondrian; Vovk, "Conditional validity of inductive
conformal predictors", 2012). If a new film is drawn like the validation films of its class, then
with at most `RISK` it falls on the wrong side of the point: a film with pneumonia below
"rule_out", one without at or above "rule_in". The chance is over validation sets and films
together, and nothing is promised for films that are drawn otherwise.

Where a cut may lie: `evaluate.cuts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import DataError
from firstread.evaluate.calibration import (
    Floats,
    Platt,
    checked,
    checked_weights,
    fit_platt,
    sigmoid,
    to_logit,
)
from firstread.evaluate.cuts import Cuts, best_cut, cut_expected, cut_reaching, cuts_of
from firstread.read.card import Refer, Threshold

LIMIT = 30.0
"""Calibrated logits are clipped to ± this, so that every cut is a probability below 1."""

KEPT_ERROR = 0.01
KEPT_SHARE = 0.80
LEAST_REFERRED = 0.02

RISK = 0.02
"""Highest chance with which a film of either class may fall beyond "rule_out" or "rule_in"."""


@dataclass(frozen=True)
class OperatingPoint:
    """Calibration, thresholds by name ("decision" is the one in use) and the refer band."""

    calibration: Platt
    thresholds: dict[str, Threshold]
    refer: Refer

    @property
    def threshold(self) -> float:
        """The decision threshold, a calibrated probability."""
        return self.thresholds["decision"].value

    def to_card(self) -> dict[str, Any]:
        """The card's "calibration", "thresholds" and "refer" entries, ready for JSON."""
        c, r = self.calibration, self.refer
        bends = {"bends": [list(pair) for pair in c.bends]} if c.bends else {}
        return {
            "calibration": {
                "slope": c.slope,
                "intercept": c.intercept,
                "prevalence": c.prevalence,
                "how": c.how,
                **bends,
            },
            "thresholds": {
                name: {"value": t.value, "how": t.how} for name, t in self.thresholds.items()
            },
            "refer": {"low": r.low, "high": r.high, "how": r.how},
        }


def _conformal(cuts: Cuts, on: str) -> dict[str, Threshold]:
    """The points "rule_out" and "rule_in": at most `RISK` of either class beyond them.

    A new film's p-value is (k + 1) / (n + 1), with k of the class's n validation films at least
    as strange as it; it is put beyond the point if that is at most `RISK`. So k films may lie
    beyond the point, k = `RISK` (n + 1) - 1, which is none for n below 49: then nothing is ruled
    out or in, and the point lies beyond all logits.
    """
    points = {}
    for name, n, right in (
        ("rule_out", cuts.n1, cuts.sensitivity),
        ("rule_in", cuts.n0, cuts.specificity),
    ):
        out = name == "rule_out"
        whose, where = ("with pneumonia", "below") if out else ("without", "at or above")
        beyond = RISK * (n + 1.0) - 1.0
        good = np.flatnonzero((1.0 - right) * n <= beyond + 1e-9)
        how = (
            f"split-conformal within the class (Vovk 2012): a film {whose} that is drawn like "
            f"those of {on} lies {where} with a chance of at most {RISK:.0%}"
        )
        if beyond < -1e-9:
            z = -LIMIT if out else LIMIT
            how += f"; {n:.0f} such films are too few to promise it for any, so none lies there"
        else:
            i = int(good[-1] if out else good[0])
            z = float(cuts.low[i] + cuts.high[i]) / 2.0
            how += f"; {cuts.says(z)}"
        points[name] = Threshold(float(sigmoid(z)), how)
    if points["rule_out"].value > points["rule_in"].value:
        says = "; above the point rule_in: films between the two are like neither class"
        points["rule_out"] = Threshold(points["rule_out"].value, points["rule_out"].how + says)
    return points


def _refer_band(
    z: Floats, truth: npt.NDArray[np.bool_], weights: Floats, cut: float, on: str
) -> Refer:
    """The smallest band around `cut`, symmetric in logits, that leaves few errors outside."""
    order = np.argsort(np.abs(z - cut), kind="stable")
    distance = np.abs(z - cut)[order]
    w = weights[order]
    n = float(w.sum())
    wrong = ((z >= cut) != truth)[order] * w
    left = np.concatenate([np.cumsum(wrong[::-1])[::-1], [0]])  # errors if the k nearest go
    gone = np.concatenate([[0.0], np.cumsum(w)])
    kept = n - gone
    error = left / np.where(kept > 1e-9, kept, 1.0)
    # Films at one and the same distance are referred together or not at all.
    possible = np.concatenate([[True], distance[1:] > distance[:-1], [False]])
    possible &= kept >= KEPT_SHARE * n - 1e-9
    enough = possible & (gone >= min(np.ceil(LEAST_REFERRED * n), gone[possible].max()) - 1e-9)
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
        f"{rule}: {gone[chosen]:.0f} of {n:.0f} referred, error among the others "
        f"{error[chosen]:.4f} (all: {error[0]:.4f})"
    )
    return Refer(float(sigmoid(cut - half)), float(sigmoid(cut + half)), how)


def sensitivity_name(sensitivity: float) -> str:
    """What the threshold for a sensitivity is called on the card.

    >>> sensitivity_name(0.95)
    'sensitivity_95'
    """
    return f"sensitivity_{100 * sensitivity:g}"


def checked_sensitivity(sensitivity: float) -> float:
    """The sensitivity itself. Raises `DataError` where no threshold can be chosen by it."""
    if not 0.5 <= sensitivity < 1.0:
        raise DataError(f"sensitivity {sensitivity:g} cannot be had; give one of 0.5 to below 1")
    return sensitivity


def fit_operating_point(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    on: str = "the validation films",
    *,
    weights: npt.ArrayLike | None = None,
    calibration: Platt | None = None,
    sensitivity: float | None = None,
) -> OperatingPoint:
    """Calibration, thresholds and refer band from validation films.

    `logits` (n,): the network's, uncalibrated; `labels` (n,): 1 pneumonia, 0 normal; `on`
    names the films in the sentences on the card. `weights` (n,): how many films each row counts
    for; of several validation sets put in one row, or of clean and corrupted copies of a film,
    which share a weight of 1 (more would let the conformal points promise too much).
    `calibration`: one that was fitted already, in place of Platt scaling here. `sensitivity`, 0.5
    to below 1: the threshold in use is the one that reaches it on average on new films, each film
    counting once, under the name "sensitivity_90" or the like. Raises `DataError` if a class is
    missing, a logit is no number, or the lengths differ.

    By default the threshold in use is "best", not 0.5 or a wanted sensitivity: films of another
    batch come out shifted, and the middle of the plateau between the classes is furthest from
    harm.
    """
    raw, truth = checked(logits, labels)
    w = checked_weights(weights, truth)
    platt = fit_platt(raw, truth, on, weights) if calibration is None else calibration
    z = np.clip(platt.logit(raw), -LIMIT, LIMIT)
    cuts = cuts_of(z, truth, w)
    best = best_cut(cuts)
    named = {
        "0.5": Threshold(0.5, f"even odds after calibration; on {on} {cuts.says(0.0)}"),
        "best": Threshold(
            float(sigmoid(best)),
            f"highest balanced accuracy (Youden's index) on {on}, middle of the plateau in "
            f"calibrated logits; {cuts.says(best)}",
        ),
    }
    for wanted in (0.95, 0.98):
        z_cut = cut_reaching(cuts, wanted)
        named[sensitivity_name(wanted)] = Threshold(
            float(sigmoid(z_cut)),
            f"the highest with sensitivity {100 * wanted:g} % on {on}, "
            f"halfway to the next film below; {cuts.says(z_cut)}",
        )
    if sensitivity is not None:
        z_cut = cut_expected(cuts, z[truth], checked_sensitivity(sensitivity))
        name = sensitivity_name(sensitivity)
        expected = Threshold(
            float(sigmoid(z_cut)),
            f"sensitivity {100 * sensitivity:g} % on average of films drawn like those of {on} "
            f"(quantile by Weibull's plotting position); {cuts.says(z_cut)}",
        )
        named = {"0.5": named.pop("0.5"), "best": named.pop("best"), name: expected} | {
            k: t for k, t in named.items() if k != name
        }
    rule = "best" if sensitivity is None else sensitivity_name(sensitivity)
    used = named[rule]
    decision = Threshold(used.value, f'the threshold "{rule}": {used.how}')
    refer = _refer_band(z, truth, w, float(to_logit(used.value)), on)
    return OperatingPoint(platt, {"decision": decision, **named, **_conformal(cuts, on)}, refer)
