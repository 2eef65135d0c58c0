"""Every way to cut films in two by their logits, and the cuts that rules of thumb pick.

A cut never lies on a film but between two neighbours, so that rounding on another machine cannot
turn a validation film over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.evaluate.calibration import Floats

MARGIN = 0.5
"""Logits beyond the outermost film at which a cut is put that has films on one side only."""

HAIR = 0.01
"""Share of the way from one film to the next that a cut keeps from either."""


@dataclass(frozen=True)
class Cuts:
    """Every way to cut the films in two, from all-positive to all-negative.

    `low`, `high` (m,): the stretch of logits in which a cut gives the same decisions.
    `sensitivity`, `specificity` (m,): of those decisions. `n1`, `n0`: weight of the films with
    pneumonia and of those without.
    """

    low: Floats
    high: Floats
    sensitivity: Floats
    specificity: Floats
    n1: float
    n0: float

    @property
    def balanced(self) -> Floats:
        """(m,) balanced accuracy of each cut's decisions."""
        return (self.sensitivity + self.specificity) / 2.0

    def says(self, z: float) -> str:
        """What a cut at the logit `z` comes to on these films, as a sentence's end."""
        i = int(np.searchsorted(self.high, z, side="left"))
        i = min(i, len(self.high) - 1)
        return f"sensitivity {self.sensitivity[i]:.3f}, specificity {self.specificity[i]:.3f} there"


def cuts_of(z: Floats, truth: npt.NDArray[np.bool_], weights: Floats) -> Cuts:
    """The cuts of films with logits `z`, pneumonia or not, that count `weights`; all (n,)."""
    values, index = np.unique(z, return_inverse=True)
    positives = np.bincount(index, weights=truth * weights, minlength=len(values))
    negatives = np.bincount(index, weights=~truth * weights, minlength=len(values))
    n1, n0 = float(positives.sum()), float(negatives.sum())
    return Cuts(
        low=np.concatenate([[values[0] - 2 * MARGIN], values]),
        high=np.concatenate([values, [values[-1] + 2 * MARGIN]]),
        sensitivity=1.0 - np.concatenate([[0.0], np.cumsum(positives)]) / n1,
        specificity=np.concatenate([[0.0], np.cumsum(negatives)]) / n0,
        n1=n1,
        n0=n0,
    )


def best_cut(cuts: Cuts) -> float:
    """The middle of the widest stretch of cuts with the highest balanced accuracy."""
    score = cuts.balanced
    winners = np.flatnonzero(score >= score.max() - 1e-12)
    # Neighbouring winners are one plateau.
    runs = np.split(winners, np.flatnonzero(np.diff(winners) > 1) + 1)
    low, high = max(
        ((cuts.low[r[0]], cuts.high[r[-1]]) for r in runs), key=lambda lh: float(lh[1] - lh[0])
    )
    return float(low + high) / 2.0


def cut_reaching(cuts: Cuts, wanted: float) -> float:
    """The highest cut that still reaches a sensitivity; it exists, since the lowest reaches 1."""
    i = int(np.flatnonzero(cuts.sensitivity >= wanted - 1e-12)[-1])
    return float(cuts.low[i] + cuts.high[i]) / 2.0


def cut_expected(cuts: Cuts, ill: Floats, wanted: float) -> float:
    """The cut that new films with pneumonia, drawn like `ill` (n,), lie at or above with a chance
    of `wanted`, on average over all such sets of films.

    Of n films the k lowest leave k / (n + 1) of all below the k-th on average; ranks between are
    had by a line (Weibull's plotting position; definition 6 of Hyndman & Fan, "Sample quantiles in
    statistical packages", 1996), the first line goes on below the lowest film.
    """
    z = np.sort(ill)
    if len(z) < 2:
        return float(z[0]) - MARGIN
    rank = round((1.0 - wanted) * (len(z) + 1), 9)
    k = min(max(int(rank), 1), len(z) - 1)
    cut = float(z[k - 1] + (rank - k) * (z[k] - z[k - 1]))
    i = min(int(np.searchsorted(cuts.high, cut, side="left")), len(cuts.high) - 1)
    hair = HAIR * (cuts.high[i] - cuts.low[i])
    return float(min(max(cut, cuts.low[i] + hair), cuts.high[i] - hair))
