"""What is told apart: more pneumonia, and films that look otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clinics import network
from firstread.clinic.calibrate import Films
from firstread.clinic.shift import large_and_left, shift_of
from firstread.evaluate.calibration import to_logit

RIGHT = 2.0 / 1.3**2


def films(
    n: int, seed: int, share: float, slope: float = 1.0, more: float = 0.0, each: int = 1
) -> Films:
    """Films of a model that is right at a share of one half, but for `slope` and `more`."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.random(n // each) < share, each)
    z = RIGHT * network(truth, rng)
    if each > 1:  # films of a patient are alike
        z = np.repeat(z[::each], each) + rng.normal(0, 0.05, n)
    return Films(slope * z + more, truth, np.array([f"p{i // each}" for i in range(n)]), 0.5)


def test_more_pneumonia_is_no_other_kind_of_film() -> None:
    told = shift_of(films(3000, 0, 0.9), 0, 200)
    assert told["says"].startswith("no shift of films")
    assert told["prevalence"]["logit"] == pytest.approx(float(to_logit(0.9)), abs=0.2)
    assert told["films"]["in_the_large"]["value"] == pytest.approx(2.2, abs=0.3)
    assert told["films"]["left"]["low"] < 0 < told["films"]["left"]["high"]


def test_films_that_look_otherwise_are_told() -> None:
    for slope, more, says in (
        (1.0, 1.5, "more like pneumonia"),
        (1.0, -1.5, "less like pneumonia"),
        (3.0, 0.0, "too sure"),
        (0.3, 0.0, "not sure enough"),
    ):
        assert says in shift_of(films(1500, 1, 0.5, slope, more), 0, 200)["says"]


def test_without_a_share_on_the_card_nothing_is_left_over() -> None:
    told = shift_of(replace(films(300, 0, 0.5), at=None), 0, 200)
    assert told["films"]["left"] is None
    assert told["prevalence"]["logit"] is None


@pytest.mark.parametrize("each", [1, 4])
def test_the_intervals_cover(each: int) -> None:
    """Also where each patient has four films that are nearly the same."""
    large, left = [], []
    for seed in range(300):
        a, b = large_and_left(films(400, seed, 0.5, each=each))
        assert b is not None
        large.append(a.low <= 0 <= a.high)
        left.append(b.low <= 0 <= b.high)
    assert 0.92 <= np.mean(large) <= 0.98
    assert 0.92 <= np.mean(left) <= 0.98
