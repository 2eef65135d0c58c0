"""How many films: against papers, by brute force, and that so many indeed suffice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firstread.clinic.need import (
    LEAST_CLASS,
    LEAST_CURVE,
    auc_width,
    films_for_auc,
    films_for_share,
    films_for_surety,
    needs,
    share_width,
)
from firstread.clinic.point import _films_beyond
from firstread.errors import DataError
from firstread.evaluate.intervals import Z95, wilson


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_it_is_the_fewest(share: float, width: float) -> None:
    n = films_for_share(share, width)
    assert share_width(share, n) <= width
    assert all(share_width(share, m) > width for m in range(1, n))


def test_near_buderers_normal_interval() -> None:
    # n = z^2 p (1 - p) / d^2, with d half the width (Buderer 1996).
    for share in (0.5, 0.7, 0.9):
        normal = Z95**2 * share * (1 - share) / 0.05**2
        assert films_for_share(share, 0.1) == pytest.approx(normal, rel=0.06)


def test_very_narrow_intervals_are_reckoned_and_not_cut_off() -> None:
    n = films_for_share(0.5, 0.001)
    assert n == pytest.approx(Z95**2 / 0.001**2, rel=0.001)
    assert share_width(0.5, n) <= 0.001 < share_width(0.5, n - 1)


def test_the_auc_is_that_of_hanley_and_mcneil() -> None:
    # Their example: an area of 0.893 with 51 and 58 films has a standard error of 0.032.
    assert auc_width(0.893, 54) / 2 / Z95 == pytest.approx(0.032, abs=0.001)
    n = films_for_auc(0.893, 0.1)
    assert auc_width(0.893, n) <= 0.1 < auc_width(0.893, n - 1)
    assert math.isnan(auc_width(0.9, 0))


def test_so_many_films_give_an_interval_as_narrow_as_wanted() -> None:
    n = films_for_share(0.9, 0.1)
    hits = np.random.default_rng(0).binomial(n, 0.9, 2000)
    widths = [high - low for low, high in (wilson(k, n) for k in hits)]
    assert np.mean(widths) == pytest.approx(0.1, abs=0.003)


def test_the_least_for_a_tolerance_bound() -> None:
    # One-sided 95 % bounds by the lowest of n, as tables have them.
    assert [films_for_surety(s) for s in (0.90, 0.95, 0.99)] == [29, 59, 299]
    for sensitivity in np.linspace(0.5, 0.995, 60):
        n = films_for_surety(float(sensitivity))
        assert _films_beyond(n, 1 - sensitivity) >= 1
        assert n == 1 or _films_beyond(n - 1, 1 - sensitivity) == 0


def test_each_number_says_of_whom_it_wants_how_many() -> None:
    told = {w.name: w for w in needs(90, 50, sensitivity=0.95, specificity=0.9, auc=0.95)}
    assert (told["sensitivity"].of, told["sensitivity"].have) == ("pneumonia", 50)
    assert (told["specificity"].of, told["specificity"].have) == ("no pneumonia", 90)
    assert (told["AUC"].have, told["calibration"].needed) == (50, LEAST_CURVE)
    assert [told[k].enough for k in ("sensitivity", "specificity", "AUC")] == [False, False, True]
    assert told["sensitivity"].width_now == pytest.approx(share_width(0.95, 50))
    assert told["AUC"].to_json()["enough"] is True


def test_an_auc_near_1_wants_more_than_three_films() -> None:
    told = {w.name: w for w in needs(50, 50, sensitivity=0.9, specificity=0.9, auc=0.999)}
    assert films_for_auc(0.999, 0.1) < told["AUC"].needed == LEAST_CLASS


def test_without_any_film_the_worst_is_assumed() -> None:
    told = {w.name: w for w in needs(0, 0, sensitivity=0.9, specificity=None, auc=None)}
    assert told["specificity"].needed == films_for_share(0.5, 0.1)
    assert told["AUC"].expected == 0.9
    assert all(w.width_now is None and not w.enough for w in told.values())


@pytest.mark.parametrize("width", [0.0, -0.1, 1.0, math.nan])
def test_no_share_has_such_an_interval(width: float) -> None:
    with pytest.raises(DataError, match="no width"):
        needs(10, 10, sensitivity=0.9, specificity=None, auc=None, width=width)
