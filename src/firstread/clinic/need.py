"""How many labelled films a clinic needs for the interval it wants.

A sensitivity is a share of films with pneumonia, a specificity one of films without, so each
class is counted by itself (Buderer, "Statistical methodology: I. Incorporating the prevalence of
disease into the sample size calculation for sensitivity and specificity", Academic Emergency
Medicine 3, 1996). In place of the plain normal interval of that paper stands Wilson's, which is
the one that is reported. For the AUC: Hanley & McNeil, "The meaning and use of the area under a
receiver operating characteristic (ROC) curve", Radiology 143, 1982.

Widths are from the low end of the 95 % interval to the high one. What is counted are films of
different patients: a second film of one patient adds less than a first of another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firstread.errors import DataError
from firstread.evaluate.closed_form import Z95, wilson
from firstread.evaluate.intervals import finite

WIDTH = 0.10
"""Width of the interval that is asked for unless told otherwise: ± 0.05."""

LEAST_CLASS = 10
"""Patients of a class below which nothing is said about it: Wilson's interval of 9 of 9 still
reaches down to 0.70, and one film more or less moves a share by more than 0.1."""

LEAST_SLOPE = 20
"""Patients of the smaller class from which on a slope is fitted: ten for each of the two numbers
(Peduzzi et al., "A simulation study of the number of events per variable in logistic regression
analysis", Journal of Clinical Epidemiology 49, 1996)."""

LEAST_CURVE = 100
"""Patients of each class from which on calibration can be told reliably (Vergouwe et al. 2005;
Collins, Ogundimu & Altman, Statistics in Medicine 35, 2016), and a curve be fitted to it."""


@dataclass(frozen=True)
class Need:
    """Films of a class ("pneumonia", "no pneumonia" or "each class") that a number wants.

    `expected`: the value it was reckoned for; `width`: of its 95 % interval, as wanted; `have`:
    patients of the class at hand; `width_now`: the width to be expected with these.
    """

    name: str
    of: str
    expected: float | None
    width: float | None
    needed: int
    have: int
    width_now: float | None
    how: str

    @property
    def enough(self) -> bool:
        """Whether there are as many as needed."""
        return self.have >= self.needed

    def to_json(self) -> dict[str, Any]:
        """Every field by its name, and "enough"."""
        return {**vars(self), "enough": self.enough}


def check_width(width: float) -> None:
    """Raise `DataError` for a width that no interval of a share can have."""
    if not 0.001 <= width < 1.0:
        raise DataError(f"interval {width:g} is no width of a share; give one like {WIDTH:g}")


def share_width(share: float, n: int) -> float:
    """Width of Wilson's 95 % interval of a `share` among `n` films; NaN where n is 0."""
    low, high = wilson(share * n, n)
    return high - low


def films_for_share(share: float, width: float) -> int:
    """Fewest films with which a `share` gets an interval of at most `width`.

    >>> films_for_share(0.95, 0.10)
    83
    """
    return _fewest(lambda n: share_width(share, n), width)


def auc_width(auc: float, n: int) -> float:
    """Width of the 95 % interval of an AUC with `n` films of each class (Hanley & McNeil 1982)."""
    q1, q2 = auc / (2.0 - auc), 2.0 * auc**2 / (1.0 + auc)
    spread = auc * (1 - auc) + (n - 1) * (q1 + q2 - 2 * auc**2)
    return 2 * Z95 * math.sqrt(max(spread, 0.0)) / n if n else math.nan


def films_for_auc(auc: float, width: float) -> int:
    """Fewest films of each class with which an `auc` gets an interval of at most `width`."""
    return _fewest(lambda n: auc_width(auc, n), width)


def _fewest(width_of: Callable[[int], float], wanted: float) -> int:
    """The least n from 1 on with width_of(n) at most `wanted`; the width falls with n, to 0."""
    low, high = 1, 2
    while width_of(high) > wanted:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if width_of(middle) <= wanted:
            high = middle
        else:
            low = middle + 1
    return low


def needs(
    n_normal: int,
    n_pneumonia: int,
    *,
    sensitivity: float,
    specificity: float | None,
    auc: float | None,
    width: float = WIDTH,
) -> list[Need]:
    """What the numbers of an onboarding want, for patients of each class at hand.

    `sensitivity`: the one asked for. `specificity`, `auc`: as measured; where None, one half,
    which wants the most films, and 0.9. Near 1 the formula for the AUC is content with two or
    three films; `LEAST_CLASS` is the least here. Raises `DataError` for a senseless width.
    """
    check_width(width)
    spec = 0.5 if specificity is None else specificity
    area = 0.9 if auc is None else min(max(auc, 0.5), 0.999)
    least = min(n_normal, n_pneumonia)
    wilson_of = "Wilson's interval over films of different patients (after Buderer 1996), at "
    return [
        Need(
            "sensitivity", "pneumonia", sensitivity, width,
            films_for_share(sensitivity, width), n_pneumonia,
            finite(share_width(sensitivity, n_pneumonia)),
            wilson_of + "the sensitivity asked for",
        ),
        Need(
            "specificity", "no pneumonia", spec, width,
            films_for_share(spec, width), n_normal, finite(share_width(spec, n_normal)),
            wilson_of + ("one half, the worst case" if specificity is None else "the one found"),
        ),
        Need(
            "AUC", "each class", area, width,
            max(LEAST_CLASS, films_for_auc(area, width)), least, finite(auc_width(area, least)),
            "Hanley & McNeil 1982, as many films of either class, at "
            + ("0.9" if auc is None else "the AUC found"),
        ),
        Need(
            "calibration", "each class", None, None, LEAST_CURVE, least, None,
            "100 of each class (Vergouwe et al. 2005; Collins, Ogundimu & Altman 2016)",
        ),
        Need(
            "sure threshold", "pneumonia", sensitivity, None, films_for_surety(sensitivity),
            n_pneumonia, None,
            "fewest films for a one-sided 95 % tolerance bound (Wilks 1941)",
        ),
    ]  # fmt: skip


def films_for_surety(sensitivity: float) -> int:
    """Fewest films with pneumonia of which the lowest is a 95 % tolerance bound (Wilks 1941).

    >>> films_for_surety(0.95)
    59
    """
    return math.ceil(math.log(0.05) / math.log(sensitivity) - 1e-9)
