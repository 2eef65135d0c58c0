"""From a network's logit to a probability that means what it says.

Platt scaling: probability = sigmoid(slope * logit + intercept), two numbers fitted on films
that the network was not trained on. It keeps the order of the films, so it changes no AUC;
it only makes "0.8" come true eight times in ten, at the share of pneumonia among the films
it was fitted on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firstread.errors import DataError
from firstread.read.bends import Bends, bend, turned
from firstread.read.card import Calibration

Floats = npt.NDArray[np.float64]

FLAT = 1e-3
"""Standard deviation of the calibrated logits of a network that puts the films in no order or
in the wrong one. Never 0 or less: a higher logit must not come to mean less pneumonia."""

MAX_STEPS = 100
MIN_GAIN = 1e-12
RIDGE = 1e-9


def sigmoid(z: npt.ArrayLike) -> Floats:
    """1 / (1 + exp(-z)) of any shape, without overflow."""
    z = np.asarray(z, dtype=np.float64)
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, e) / (1.0 + e))


def to_logit(p: npt.ArrayLike) -> Floats:
    """log(p / (1 - p)) of any shape; 0 and 1 give the largest logits a float64 can undo (±36)."""
    p = np.clip(np.asarray(p, dtype=np.float64), np.exp(-36.0), 1.0 - 2.0**-52)
    return np.asarray(np.log(p) - np.log1p(-p))


@dataclass(frozen=True)
class Platt:
    """probability = sigmoid(slope * logit + intercept). `how`: rule and set, for the card.

    `prevalence`: the share of pneumonia, 0 to 1, at which the probabilities are true; None
    where it is not known. `bends`: points that the line's logit is bent through, mostly none.
    """

    slope: float = 1.0
    intercept: float = 0.0
    how: str = "none: the network's own sigmoid"
    prevalence: float | None = None
    bends: Bends = ()

    @classmethod
    def of(cls, calibration: Calibration) -> Platt:
        """The calibration on a bundle's card."""
        c = calibration
        return cls(c.slope, c.intercept, c.how, bends=c.bends)

    def logit(self, logits: npt.ArrayLike) -> Floats:
        """Calibrated logits, same shape."""
        line = self.slope * np.asarray(logits, dtype=np.float64) + self.intercept
        return bend(line, self.bends)

    def probability(self, logits: npt.ArrayLike) -> Floats:
        """Calibrated probabilities, same shape."""
        return sigmoid(self.logit(logits))

    def undo(self, probabilities: npt.ArrayLike) -> Floats:
        """The network's own logits that get these probabilities, same shape."""
        line = bend(to_logit(probabilities), turned(self.bends))
        return np.asarray((line - self.intercept) / self.slope)

    def moved(self, shift: float) -> Platt:
        """The same with `shift` more in every calibrated logit."""
        bends = tuple((x + shift, y + shift) for x, y in self.bends)
        return replace(self, intercept=self.intercept + shift, bends=bends)

    def then(self, other: Platt) -> Platt:
        """This calibration, and `other` on top of its calibrated logits, as one."""
        a, b = other.slope, other.intercept
        first = tuple((a * x + b, a * y + b) for x, y in self.bends)
        points = sorted(
            {x for x, _ in first} | {float(bend(x, turned(first))) for x, _ in other.bends}
        )
        apart = [x for i, x in enumerate(points) if not i or x - points[i - 1] > 1e-9]
        bends = tuple((x, float(bend(bend(x, first), other.bends))) for x in apart)
        return replace(other, slope=a * self.slope, intercept=a * self.intercept + b, bends=bends)


def checked(scores: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Scores (n,) as float64 and labels (n,) as bool. Raises `DataError` where they cannot serve.

    They cannot where lengths differ, a score is no number, a label is neither 0 nor 1, or one
    of the classes is missing.
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if s.ndim != 1 or s.shape != y.shape:
        raise DataError(f"{s.shape} scores for {y.shape} labels; give one score for each film")
    if not np.isfinite(s).all():
        raise DataError("some scores are no numbers; the network did not train, start it again")
    if not np.isin(y, (0, 1)).all():
        raise DataError("labels other than 0 and 1; leave films without a label out")
    truth = y.astype(bool)
    if not truth.any() or truth.all():
        raise DataError("films of one class only; give normal films and pneumonia films")
    return s, truth


def fit_logistic(
    x: Floats,
    target: Floats,
    weights: Floats | None = None,
    slope_prior: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Slope and intercept of a logistic regression of `target` (n,), in 0 to 1, on `x` (n,).

    `weights` (n,): what each film counts, all alike if None. `slope_prior`: mean and standard
    deviation of a normal prior on the slope; with it the most probable slope is found. Newton's
    method with step halving (Lin, Lin & Weng, Machine Learning 68, 2007), on standardised x so
    that the scale of the logits does not matter.
    """
    m = np.ones(len(x)) if weights is None else weights
    centre = float(np.average(x, weights=m))
    scale = float(np.sqrt(np.average((x - centre) ** 2, weights=m)))
    start = float(to_logit(np.average(target, weights=m)))
    if scale < 1e-12:
        return 0.0, start
    u = (x - centre) / scale
    # The slope's prior in units of the standardised slope: where it lies, what it weighs.
    wanted, pull = 0.0, 0.0
    if slope_prior is not None:
        wanted, pull = slope_prior[0] * scale, 1.0 / (slope_prior[1] * scale) ** 2

    def loss(w: Floats) -> float:
        z = w[0] * u + w[1]
        data = float(np.sum(m * (np.logaddexp(0.0, z) - target * z)))
        return data + pull * float(w[0] - wanted) ** 2 / 2.0

    w = np.array([0.0, start])
    now = loss(w)
    for _ in range(MAX_STEPS):
        p = sigmoid(w[0] * u + w[1])
        miss = m * (p - target)
        gradient = np.array([np.sum(miss * u) + pull * (w[0] - wanted), np.sum(miss)])
        v = m * p * (1.0 - p)
        cross = float(np.sum(v * u))
        hessian = np.array([[np.sum(v * u * u) + pull + RIDGE, cross], [cross, np.sum(v) + RIDGE]])
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (then := loss(w - size * step)) > now and size > 1e-10:
            size /= 2.0
        if then > now:
            break
        w = w - size * step
        gain, now = now - then, then
        if gain < MIN_GAIN * max(1.0, abs(now)):
            break
    slope = float(w[0]) / scale
    return slope, float(w[1]) - slope * centre


def checked_weights(weights: npt.ArrayLike | None, truth: npt.NDArray[np.bool_]) -> Floats:
    """Weights (n,) of films of `truth` (n,); all 1 if None.

    Raises `DataError` where lengths differ, a weight is negative or no number, or a class has
    no weight.
    """
    if weights is None:
        return np.ones(len(truth))
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != truth.shape or not np.isfinite(w).all() or (w < 0).any():
        raise DataError(f"weights of {len(truth)} films must be as many numbers of 0 or more")
    if w[truth].sum() <= 0 or w[~truth].sum() <= 0:
        raise DataError("one class has no weight; give weight to normal and to pneumonia films")
    return w


def fit_platt(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    on: str = "the validation films",
    weights: npt.ArrayLike | None = None,
) -> Platt:
    """Platt scaling of `logits` (n,) against `labels` (n,), 1 pneumonia and 0 normal.

    The targets are (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) instead of 1 and 0 (Platt 1999), so
    the fit stays finite where the classes are told apart without error. `on` names the films
    in the text that goes on the card. `weights` (n,): how many films each counts for; where a
    set holds clean and corrupted copies of a film, they share a weight of 1. The weights also
    set the share of pneumonia that the probabilities are true at. Raises `DataError`.
    """
    x, truth = checked(logits, labels)
    w = checked_weights(weights, truth)
    w1, w0 = float(w[truth].sum()), float(w[~truth].sum())
    target = np.where(truth, (w1 + 1.0) / (w1 + 2.0), 1.0 / (w0 + 2.0))
    slope, intercept = fit_logistic(x, target, w)
    share = w1 / (w1 + w0)
    # Films, not copies of films: the sums are the counts where all weigh 1.
    counts = f"{w0:.0f} normal, {w1:.0f} pneumonia"
    if weights is not None:
        counts += f", weighted, so that {share:.3f} have pneumonia"
    how = (
        f"Platt scaling with smoothed targets on {on} ({counts}); true at their share of pneumonia"
    )
    if slope <= 0:
        centre = float(np.average(x, weights=w))
        spread = math.sqrt(float(np.average((x - centre) ** 2, weights=w)))
        slope = FLAT / max(spread, 1e-6)
        intercept = float(to_logit(np.average(target, weights=w))) - slope * centre
        how += "; the slope came out at or below 0 and was held just above: a useless network"
    return Platt(slope, intercept, how, share)
