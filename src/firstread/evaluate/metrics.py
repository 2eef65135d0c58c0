"""The measures themselves: from labels and probabilities to one number or one curve each.

Scores are probabilities of pneumonia, labels 1 pneumonia and 0 normal; arrays have shape
(n,). Nothing here knows of intervals, rejected films or files. A measure whose denominator is
empty is NaN, never 0: "no film was called pneumonia" is not a precision of nought.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.cohort.ranks import area_by_ranks
from firstread.evaluate.calibration import Floats, checked, fit_logistic, to_logit

Bools = npt.NDArray[np.bool_]

LOSS_FLOOR = 1e-7
"""Probabilities are clipped to this and 1 minus this in the log loss, as Keras does."""

ECE_BINS = 15
"""Equal-width bins, the number of Guo et al., "On calibration of modern networks", 2017."""


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where there is no whole."""
    return float(part) / float(whole) if whole else float("nan")


@dataclass(frozen=True)
class Confusion:
    """Counts of films: true and false negatives and positives; positive is pneumonia."""

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def n(self) -> int:
        """All films."""
        return self.tn + self.fp + self.fn + self.tp

    @property
    def matrix(self) -> list[list[int]]:
        """[[tn, fp], [fn, tp]]: a row a truth, a column a decision."""
        return [[self.tn, self.fp], [self.fn, self.tp]]

    @property
    def accuracy(self) -> float:
        """Share of films called rightly."""
        return ratio(self.tn + self.tp, self.n)

    @property
    def sensitivity(self) -> float:
        """Share of pneumonia films called pneumonia: the recall of that class."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of normal films called normal: the recall of that class."""
        return ratio(self.tn, self.tn + self.fp)

    @property
    def precision(self) -> float:
        """Share of the films called pneumonia that have it (PPV at this cohort's share)."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and sensitivity."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of sensitivity and specificity."""
        return (self.sensitivity + self.specificity) / 2.0


def confusion(truth: Bools, calls: Bools) -> Confusion:
    """Counts of `calls` (n,), pneumonia or not, against `truth` (n,)."""
    return Confusion(
        tn=int((~truth & ~calls).sum()),
        fp=int((~truth & calls).sum()),
        fn=int((truth & ~calls).sum()),
        tp=int((truth & calls).sum()),
    )


def auc(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Exact area under the ROC curve: P(pneumonia scores higher), ties counting one half.

    Raises `DataError` without both classes.
    """
    return area_by_ranks(*checked(scores, labels))


def film_losses(p: Floats, truth: Bools) -> Floats:
    """Log loss of each film, in nats."""
    q = np.clip(p, LOSS_FLOOR, 1.0 - LOSS_FLOOR)
    return np.asarray(-np.log(np.where(truth, q, 1.0 - q)))


def log_loss(p: Floats, truth: Bools) -> float:
    """Mean log loss (binary cross-entropy) in nats, clipped at `LOSS_FLOOR`."""
    return float(film_losses(p, truth).mean())


def brier(p: Floats, truth: Bools) -> float:
    """Mean squared error of the probabilities (Brier 1950, the one-class form, 0 to 1)."""
    return float(np.mean((p - truth) ** 2))


@dataclass(frozen=True)
class Bins:
    """Reliability bins, all `ECE_BINS` of them, empty ones too (their means are NaN).

    `edges` (b + 1,), `count`, `predicted` (mean probability), `observed` (share of
    pneumonia): (b,).
    """

    edges: Floats
    count: npt.NDArray[np.int64]
    predicted: Floats
    observed: Floats


def bin_of(p: Floats) -> npt.NDArray[np.int64]:
    """(n,) the equal-width bin of each probability; 1 lies in the last one."""
    return np.minimum((p * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def reliability_bins(p: Floats, truth: Bools) -> Bins:
    """Equal-width bins of the probability of pneumonia."""
    index = bin_of(p)
    count = np.bincount(index, minlength=ECE_BINS)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(index, weights=p, minlength=ECE_BINS) / count
        observed = np.bincount(index, weights=truth, minlength=ECE_BINS) / count
    return Bins(np.linspace(0.0, 1.0, ECE_BINS + 1), count, predicted, observed)


def ece(p: Floats, truth: Bools) -> float:
    """Expected calibration error of the probability of pneumonia.

    The mean over films of |share observed - mean predicted| of the film's bin, in
    equal-width bins of the probability of pneumonia from 0 to 1 (not of the confidence of
    the predicted class, which would fold the two ends together).
    """
    gap = np.bincount(bin_of(p), weights=p - truth, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / len(p))


def calibration_line(p: Floats, truth: Bools) -> tuple[float, float]:
    """Slope and intercept of a logistic regression of truth on logit(p) (Cox 1958).

    1 and 0 are perfect; a slope below 1 means too sure of itself. Probabilities are clipped
    at `LOSS_FLOOR`. NaN where the classes are told apart, or share one value at most: no finite
    line fits.
    """
    if p[truth].min() >= p[~truth].max() or p[truth].max() <= p[~truth].min():
        return float("nan"), float("nan")
    z = to_logit(np.clip(p, LOSS_FLOOR, 1.0 - LOSS_FLOOR))
    return fit_logistic(z, truth.astype(np.float64))


def _steps(scores: Floats, truth: Bools) -> tuple[Floats, Floats, Floats]:
    """Distinct scores, falling, and the true and false positives at or above each."""
    order = np.argsort(-scores, kind="stable")
    s, y = scores[order], truth[order]
    ends = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)
    tp = np.cumsum(y)[ends].astype(np.float64)
    return s[ends], tp, ends + 1.0 - tp


def roc_points(scores: Floats, truth: Bools) -> tuple[Floats, Floats, Floats]:
    """False positive rate, true positive rate and threshold of the ROC curve's corners.

    From (0, 0), whose threshold is infinite, to (1, 1); points on a straight line between two
    others are left out, so the area below is unchanged.
    """
    thresholds, tp, fp = _steps(scores, truth)
    tp, fp = np.concatenate([[0.0], tp]), np.concatenate([[0.0], fp])
    thresholds = np.concatenate([[np.inf], thresholds])
    d_tp, d_fp = np.diff(tp), np.diff(fp)
    turn = d_tp[1:] * d_fp[:-1] != d_tp[:-1] * d_fp[1:]
    keep = np.concatenate([[True], turn, [True]])
    return (fp / fp[-1])[keep], (tp / tp[-1])[keep], thresholds[keep]


def pr_points(scores: Floats, truth: Bools) -> tuple[Floats, Floats, Floats]:
    """Recall, precision and threshold at each distinct score, recall rising."""
    thresholds, tp, fp = _steps(scores, truth)
    return tp / tp[-1], tp / (tp + fp), thresholds


def average_precision(scores: Floats, truth: Bools) -> float:
    """Area under the precision-recall curve as a step function, without interpolation."""
    recall, precision, _ = pr_points(scores, truth)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def risk_coverage(wrong: Bools, distance: Floats) -> tuple[Floats, Floats]:
    """Coverage and error if films are kept in the order of falling `distance` from doubt.

    A point for each distinct distance; the last one keeps all films.
    """
    order = np.argsort(-distance, kind="stable")
    d = distance[order]
    ends = np.append(np.flatnonzero(np.diff(d)), len(d) - 1)
    kept = ends + 1.0
    return kept / len(d), np.cumsum(wrong[order])[ends] / kept
