"""The tables and curves of the metrics object; its layout is described in `result`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import DataError
from firstread.evaluate.calibration import Floats, to_logit
from firstread.evaluate.closed_form import NONE, Range, wilson
from firstread.evaluate.intervals import (
    FEW,
    Estimate,
    Sampler,
    basic,
    finite,
    mix,
    predictive_value,
)
from firstread.evaluate.metrics import (
    ECE_BINS,
    Bools,
    bin_of,
    ece,
    pr_points,
    reliability_bins,
    risk_coverage,
    roc_points,
)
from firstread.evaluate.score import Scored
from firstread.read.card import LABELS

PREVALENCES = (0.01, 0.05, 0.1, 0.25, 0.5)
"""Shares of pneumonia for which predictive values are always given."""

KEPT_SHARE = 0.80
"""Share of the films kept where selective reading is judged at a fixed coverage."""

CHANCE_DRAWS = 500
"""Sets of labels drawn from the probabilities, for the ECE that chance alone gives."""

CURVE_POINTS = 400
"""Most points of a curve in the JSON; more cannot be seen."""


def decisions(sampler: Sampler, truth: Bools, calls: Bools) -> dict[str, Any]:
    """The measures of one set of decisions, `calls` (n,) against `truth` (n,)."""
    sensitivity = sampler.proportion(calls, truth)
    specificity = sampler.proportion(~calls, ~truth)
    return {
        "sensitivity": sensitivity.to_json(),
        "specificity": specificity.to_json(),
        "accuracy": sampler.proportion(calls == truth).to_json(),
        "precision": sampler.proportion(truth, calls).to_json(),
        "npv": sampler.proportion(~truth, ~calls).to_json(),
        "f1": _f1(sampler, truth, calls),
        "balanced_accuracy": mix(sensitivity, specificity).to_json(),
    }


def calibration_error(sampler: Sampler, p: Floats, truth: Bools, seed: int = 0) -> Estimate:
    """The ECE of probabilities `p` (n,), and beside it where chance alone would have it.

    For that, films of one patient share their luck, as their films are alike. No interval with
    fewer than `FEW` patients of a class.
    """
    rows = np.zeros((len(p), ECE_BINS + 1))
    rows[np.arange(len(p)), bin_of(p)] = p - truth
    rows[:, -1] = 1.0
    rng = np.random.default_rng(seed)
    chance = [ece(p, rng.random(sampler.m)[sampler.index] < p) for _ in range(CHANCE_DRAWS)]
    low, high = np.percentile(chance, [2.5, 97.5])
    drawn = sampler.from_sums(rows, lambda s: np.abs(s[..., :-1]).sum(axis=-1) / s[..., -1])
    if sampler.fewest(truth) < FEW:
        drawn = Estimate(drawn.value, *NONE, f"none with fewer than {FEW} patients of a class")
    return basic(drawn, (float(low), float(high)))


def _f1(sampler: Sampler, truth: Bools, calls: Bools) -> dict[str, Any]:
    # F1 = 2 J / (1 + J) of the Jaccard share J, and J is a proportion: it lends its interval.
    jaccard = sampler.proportion(truth & calls, truth | calls)
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high))
    return Estimate(value, low, high, f"{jaccard.method}, of the Jaccard share").to_json()


def classes(sampler: Sampler, truth: Bools, calls: Bools) -> dict[str, Any]:
    """The classification report: precision, recall and F1 a class, and their averages."""
    report: dict[str, Any] = {}
    for name, is_it, called in ((LABELS[0], ~truth, ~calls), (LABELS[1], truth, calls)):
        report[name] = {
            "precision": sampler.proportion(is_it, called).to_json(),
            "recall": sampler.proportion(called, is_it).to_json(),
            "f1": _f1(sampler, is_it, called),
            "support": int(is_it.sum()),
        }
    support = [report[name]["support"] for name in LABELS]
    for name, weights in (("macro avg", [1, 1]), ("weighted avg", support)):
        average: dict[str, Any] = {"support": sum(support)}
        for what in ("precision", "recall", "f1"):
            values = [report[label][what]["value"] for label in LABELS]
            # A class never called has no precision; like sklearn, it averages as nought.
            average[what] = float(np.average([v or 0.0 for v in values], weights=weights))
        report[name] = average
    return report


def selective(sampler: Sampler, scored: Scored, calls: Bools) -> dict[str, Any]:
    """Coverage and error if films that are referred, and rejected ones, go to a person."""
    low, high = scored.refer
    kept = ~scored.referred & ~scored.rejected
    truth = scored.truth
    wrong = calls != truth
    doubt = np.abs(to_logit(scored.scores) - to_logit(scored.threshold))
    coverage, error = risk_coverage(wrong[~scored.rejected], doubt[~scored.rejected])
    pick = _thin(len(coverage))
    share = float((~scored.rejected).mean())
    return {
        "low": low,
        "high": high,
        "how": "films in the refer band, those referred for another reason (their age, the gate) "
        "and rejected ones go to a person, all others are decided. The curve keeps films in the "
        "order of their distance from the threshold",
        "coverage": sampler.proportion(kept).to_json(),
        "error": sampler.proportion(wrong, kept).to_json(),
        "error_all": sampler.proportion(wrong).to_json(),
        "sensitivity": sampler.proportion(calls, truth & kept).to_json(),
        "specificity": sampler.proportion(~calls, ~truth & kept).to_json(),
        "n_kept": int(kept.sum()),
        "at_80": _at_coverage(sampler, scored, calls, doubt),
        "curve": {"coverage": _list(coverage[pick] * share), "error": _list(error[pick])},
    }


def _at_coverage(
    sampler: Sampler, scored: Scored, calls: Bools, distance: Floats
) -> dict[str, Any]:
    """The error on the `KEPT_SHARE` of films with the largest `distance` (n,) from the threshold.

    Unlike the refer band it has no edge that was chosen somewhere: models can be compared by
    it. Rejected films are the first to go; where more are rejected than may go, as many of them as
    are too many count, as errors: the first in the table, since they have no order.
    """
    d = np.where(scored.rejected, -1.0, distance)
    wanted = int(np.ceil(KEPT_SHARE * len(d)))
    order = np.argsort(-d, kind="stable")
    cut = d[order[wanted - 1]]
    kept = (d >= cut) & ~scored.rejected
    kept[order[:wanted]] = True
    truth = scored.truth
    return {
        "how": f"the {KEPT_SHARE:.0%} of films whose logit is furthest from the threshold's, films "
        "at one distance together, rejected ones last; which they are is held fixed in the "
        "interval",
        "error": sampler.proportion(calls != truth, kept).to_json(),
        "sensitivity": sampler.proportion(calls, truth & kept).to_json(),
        "specificity": sampler.proportion(~calls, ~truth & kept).to_json(),
        "coverage": float(kept.mean()),
        "n_kept": int(kept.sum()),
        "distance": float(max(cut, 0.0)),
    }


def check_prevalence(given: float | None) -> None:
    """Raise `DataError` for a prevalence that is not between 0 and 1; None is none."""
    if given is not None and not 0.0 < given < 1.0:
        raise DataError(f"prevalence {given} is no share; give a number between 0 and 1")


def prevalences(
    sampler: Sampler, truth: Bools, calls: Bools, given: float | None
) -> list[dict[str, Any]]:
    """PPV and NPV at shares of pneumonia: the usual ones, and the one the user gave.

    Raises `DataError` for a share that is not between 0 and 1.
    """
    check_prevalence(given)
    se, sp = sampler.proportion(calls, truth), sampler.proportion(~calls, ~truth)
    return [
        {
            "prevalence": share,
            "given": share == given,
            "ppv": predictive_value(se, sp, share).to_json(),
            "npv": predictive_value(sp, se, 1 - share).to_json(),
        }
        for share in sorted({*PREVALENCES, *([] if given is None else [given])})
    ]


def within(scored: Scored, values: tuple[str, ...], seed: int, draws: int) -> list[dict[str, Any]]:
    """The main measures within each value of a column; null where a class is missing."""
    # Gathered in one go: a column of ids may have a value a film.
    films: dict[str, list[int]] = defaultdict(list)
    for i, value in enumerate(values):
        films[value].append(i)
    all_truth, all_scores, all_calls = scored.truth, scored.scores, scored.calls(scored.threshold)
    table = []
    for value in sorted(films):
        here = films[value]
        truth, p, calls = all_truth[here], all_scores[here], all_calls[here]
        sampler = Sampler([scored.patients[i] for i in here], seed, draws)
        both = bool(truth.any() and not truth.all())
        table.append(
            {
                "value": value,
                "n": len(here),
                "n_normal": int((~truth).sum()),
                "n_pneumonia": int(truth.sum()),
                "auc": sampler.auc(p, truth).to_json() if both else None,
                "accuracy": sampler.proportion(calls == truth).to_json(),
                "sensitivity": sampler.proportion(calls, truth).to_json() if truth.any() else None,
                "specificity": (
                    sampler.proportion(~calls, ~truth).to_json() if not truth.all() else None
                ),
            }
        )
    return table


def roc(p: Floats, truth: Bools) -> dict[str, Any]:
    """Corners of the ROC curve, thinned to what can be seen."""
    fpr, tpr, threshold = roc_points(p, truth)
    pick = _thin(len(fpr))
    return {
        "fpr": _list(fpr[pick]),
        "tpr": _list(tpr[pick]),
        "threshold": [finite(t) for t in threshold[pick]],
    }


def pr(p: Floats, truth: Bools) -> dict[str, Any]:
    """The precision-recall curve, thinned to what can be seen; `share` is what guessing reaches."""
    recall, precision, threshold = pr_points(p, truth)
    pick = _thin(len(recall))
    return {
        "recall": _list(recall[pick]),
        "precision": _list(precision[pick]),
        "threshold": _list(threshold[pick]),
        "share": float(truth.mean()),
    }


def reliability(p: Floats, truth: Bools) -> dict[str, Any]:
    """Reliability bins that hold films, each observed share with Wilson's interval over films."""
    bins = reliability_bins(p, truth)
    rows = []
    for i in np.flatnonzero(bins.count):
        n, observed = int(bins.count[i]), float(bins.observed[i])
        interval: Range = wilson(observed * n, n)
        rows.append(
            {
                "from": float(bins.edges[i]),
                "to": float(bins.edges[i + 1]),
                "predicted": float(bins.predicted[i]),
                "observed": observed,
                "low": interval[0],
                "high": interval[1],
                "count": n,
            }
        )
    return {
        "definition": f"{ECE_BINS} equal-width bins of the probability of pneumonia",
        "bins": rows,
    }


def _thin(n: int) -> npt.NDArray[np.int64]:
    """At most `CURVE_POINTS` indices of n, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, CURVE_POINTS)).round().astype(np.int64))


def _list(x: Floats) -> list[float]:
    return [float(v) for v in x]
