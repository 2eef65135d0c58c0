"""Local calibration: what each way mends, who judges whom, and that the judgement is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from clinics import network
from firstread.clinic.calibrate import (
    METHODS,
    Films,
    allowed,
    choose,
    cross_decided,
    cross_fitted,
    fit,
    folds_of,
    point_on,
)
from firstread.evaluate.calibration import Floats, sigmoid, to_logit
from firstread.evaluate.metrics import film_losses

RIGHT = 2.0 / 1.3**2
"""Slope of the true logit on that of `network`, at even shares."""


def films(
    n: int = 300,
    seed: int = 0,
    share: float = 0.5,
    wrong: Callable[[Floats], Floats] = lambda z: z,
    each: int = 1,
    at: float | None = 0.7,
) -> Films:
    """`n` films, `each` of a patient in a row; `wrong` turns the true logit into that shipped."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < round(share * n)
    right = RIGHT * network(truth, rng) + float(to_logit(share))
    return Films(wrong(right), truth, np.array([f"p{i // each}" for i in range(n)]), at)


def loss(z: Floats, f: Films) -> float:
    return float(film_losses(sigmoid(z), f.truth).mean())


def test_more_films_allow_more() -> None:
    def ways(n1: int, n0: int, at: float | None = 0.7) -> list[str]:
        return allowed(films(n1 + n0, share=n1 / (n1 + n0), at=at))

    assert ways(9, 200) == ["as_shipped", "prevalence"]
    assert ways(9, 200, at=None) == ["as_shipped"]
    assert ways(10, 200) == ["as_shipped", "prevalence", "intercept"]
    assert ways(20, 99) == ["as_shipped", "prevalence", "intercept", "slope"]
    assert ways(99, 300)[-1] == "slope"
    assert ways(100, 100) == list(METHODS)
    # Films of one patient are not patients.
    assert allowed(films(200, each=10)) == ["as_shipped", "prevalence", "intercept"]


def test_each_way_finds_what_was_made_wrong() -> None:
    n = 20_000
    assert fit("as_shipped", films(n)).logit([1.5]) == pytest.approx([1.5])
    prior = float(to_logit(0.5) - to_logit(0.7))
    assert fit("prevalence", films(n)).intercept == pytest.approx(prior)
    assert fit("intercept", films(n, wrong=lambda z: z - 1)).intercept == pytest.approx(1, abs=0.05)
    line = fit("slope", films(n, wrong=lambda z: 2 * z - 1))
    assert (line.slope, line.intercept) == (
        pytest.approx(0.5, abs=0.02),
        pytest.approx(0.5, abs=0.05),
    )
    bent = fit("isotonic", films(n, wrong=lambda z: np.where(z > 0, 4 * z, z)))
    assert sigmoid(bent.logit([-1.0, 0.0, 4.0])) == pytest.approx(sigmoid([-1, 0, 1]), abs=0.05)


def test_a_useless_network_keeps_the_order_of_its_films() -> None:
    f = replace(films(400), truth=np.random.default_rng(3).random(400) < 0.5)
    upside_down = replace(f, truth=f.z < 0)
    for way in METHODS:
        made = fit(way, upside_down).logit(np.sort(f.z))
        assert (np.diff(made) > 0).all(), way


def test_parts_hold_whole_patients_and_as_many_of_each_class() -> None:
    f = films(200, share=0.25, each=2)
    part = folds_of(f, 0)
    assert len(np.unique(part)) == 10
    for who in np.unique(f.patients):
        assert len(np.unique(part[f.patients == who])) == 1
    ill = np.bincount(part, weights=f.truth)
    assert ill.max() - ill.min() <= 2
    assert (part == folds_of(f, 0)).all()
    assert (part != folds_of(f, 1)).any()


def test_every_film_is_judged_by_a_fit_on_other_patients() -> None:
    f = films(240, each=2, wrong=lambda z: 2 * z)
    z, part = cross_fitted(f, list(METHODS), 0), folds_of(f, 0)
    for k in (0, 7):
        for way in METHODS:
            made = fit(way, f.some(part != k)).logit(f.z[part == k])
            assert z[way][part == k] == pytest.approx(made)


def test_the_simplest_of_those_alike_is_taken() -> None:
    f = films(600)
    same = dict.fromkeys(METHODS, f.z)
    assert choose(same, f.truth) == "as_shipped"
    assert (
        choose({**same, "slope": 0.9 * f.z + 0.01, "as_shipped": f.z + 1}, f.truth) == "prevalence"
    )


@pytest.mark.parametrize(
    ("wrong", "way"),
    [
        (lambda z: 4 * z + 3, "slope"),
        (lambda z: np.where(z > 0, 5 * z, z / 2), "isotonic"),
        (lambda z: z + 2, "intercept"),
    ],
)
def test_what_was_made_wrong_is_mended_by_its_own_way(
    wrong: Callable[[Floats], Floats], way: str
) -> None:
    won = []
    for seed in range(5):
        f = films(1500, seed, wrong=wrong)
        won.append(choose(cross_fitted(f, allowed(f), seed), f.truth))
    assert won.count(way) >= 4, won


def test_the_loss_told_is_that_on_new_films() -> None:
    """Not that on the films fitted on, which is lower."""
    crossed, fresh, seen = [], [], []
    for seed in range(40):
        f, new = films(220, seed), films(2000, 1000 + seed)
        crossed.append(loss(cross_fitted(f, ["isotonic"], 0)["isotonic"], f))
        made = fit("isotonic", f)
        fresh.append(loss(made.logit(new.z), new))
        seen.append(loss(made.logit(f.z), f))
    error = np.std(np.array(crossed) - fresh) / np.sqrt(40)
    assert np.mean(crossed) - np.mean(fresh) == pytest.approx(0, abs=3 * error + 0.003)
    assert np.mean(seen) < np.mean(fresh) - 0.01


def test_the_rates_told_are_those_on_new_films() -> None:
    told, true = [], []
    for seed in range(40):
        f, new = films(160, seed), films(4000, 1000 + seed)
        judged = cross_decided(f, "slope", 0.9, 0)
        told.append(
            (judged.calls[f.truth].mean(), judged.calls[~f.truth].mean(), judged.referred.mean())
        )
        platt = fit("slope", f)
        point = point_on(f, platt, 0.9, "them")
        p = platt.probability(new.z)
        calls, band = p >= point.threshold, (p >= point.refer.low) & (p <= point.refer.high)
        true.append((calls[new.truth].mean(), calls[~new.truth].mean(), band.mean()))
    gap = np.array(told) - true
    assert np.abs(gap.mean(axis=0)).max() < 3 * gap.std(axis=0).max() / np.sqrt(40) + 0.005


@pytest.mark.parametrize("ill", [20, 40])
def test_the_rates_told_are_those_on_new_films_where_few_are_ill(ill: int) -> None:
    """The least that onboarding takes: one film missed is all that a sensitivity of 95 % leaves."""
    told, true = [], []
    share = ill / (200 + ill)
    new = films(20_000, 999, share)
    for seed in range(60):
        f = films(200 + ill, seed, share)
        judged = cross_decided(f, "intercept", 0.95, 0)
        told.append((judged.calls[f.truth].mean(), judged.calls[~f.truth].mean()))
        platt = fit("intercept", f)
        calls = platt.probability(new.z) >= point_on(f, platt, 0.95, "them").threshold
        true.append((calls[new.truth].mean(), calls[~new.truth].mean()))
    gap = np.array(told) - true
    error = gap.std(axis=0) / np.sqrt(60)
    assert (np.abs(gap.mean(axis=0)) < 3 * error + 0.005).all()
    assert np.mean(true, axis=0)[0] == pytest.approx(0.95, abs=0.015)
