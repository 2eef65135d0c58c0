"""The operating point sees each film as it is and made worse, both halves counting alike."""

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch")

from firstread.evaluate.calibration import to_logit
from firstread.evaluate.operating import OperatingPoint, fit_operating_point
from firstread.train.point import COPIES, choose_point, made_worse
from firstread.train.twin import Shifted

RNG = np.random.default_rng(4)
FILMS = RNG.integers(60, 200, (26, 32, 32), dtype=np.uint8)
LABELS = np.array([0, 1] * 13, np.int8)


def test_every_film_is_changed_each_time_and_always_alike() -> None:
    worse = made_worse(FILMS, 32)
    assert worse.shape == (COPIES * 26, 32, 32)
    assert worse.dtype == np.uint8
    for k in range(COPIES):
        copies = worse[k * 26 : (k + 1) * 26]
        assert all((a != b).any() for a, b in zip(copies, FILMS, strict=True))
    np.testing.assert_array_equal(worse, made_worse(FILMS, 32))


def test_a_small_model_gets_large_films_made_worse_and_then_shrunk() -> None:
    assert made_worse(FILMS, 16).shape == (COPIES * 26, 16, 16)


def test_logits_that_fade_on_worse_films_make_the_reader_less_sure() -> None:
    logits = np.where(LABELS == 1, 4.0, -4.0) + RNG.normal(0, 2.5, 26)

    def fading(films: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return np.tile(logits, COPIES) * 0.1 + RNG.normal(0, 1, len(films))

    alone = fit_operating_point(logits, LABELS)
    both = choose_point(fading, FILMS, 32, logits, LABELS)
    assert abs(both.calibration.slope) < abs(alone.calibration.slope)
    assert "corruptions" in both.to_card()["thresholds"]["decision"]["how"]


def test_a_reader_that_does_not_mind_keeps_its_point() -> None:
    logits = np.where(LABELS == 1, 1.0, -1.0) + RNG.normal(0, 1.5, 26)
    alone = fit_operating_point(logits, LABELS)
    both = choose_point(lambda films: np.tile(logits, COPIES), FILMS, 32, logits, LABELS)
    assert both.threshold == pytest.approx(alone.threshold, abs=1e-6)
    assert both.calibration.slope == pytest.approx(alone.calibration.slope, rel=1e-3)


def test_films_of_another_batch_move_the_threshold_and_count_a_third() -> None:
    logits = np.where(LABELS == 1, 1.0, -1.0) + RNG.normal(0, 1.0, 26)

    def steady(films: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        return np.tile(logits, COPIES)

    def raw(point: OperatingPoint) -> float:
        """The threshold as a logit of the network."""
        c = point.calibration
        return float((to_logit(point.threshold) - c.intercept) / c.slope)

    def batch(labels: list[int], by: float) -> Shifted:
        truth = np.array(labels, np.int8)
        return Shifted(np.where(truth == 1, 1.0, -1.0) + by, truth, {})

    alone = choose_point(steady, FILMS, 32, logits, LABELS)
    lower = choose_point(steady, FILMS, 32, logits, LABELS, batch([0, 1] * 40, -2.0))
    assert raw(lower) < raw(alone)
    assert "a twin of the network" in lower.to_card()["thresholds"]["decision"]["how"]
    # However many films of a class it has, that class weighs what it weighs in the others.
    many = choose_point(steady, FILMS, 32, logits, LABELS, batch([0, 1, 1, 1] * 40, -2.0))
    assert many.calibration.slope == pytest.approx(lower.calibration.slope, rel=1e-3)
    assert many.calibration.prevalence == pytest.approx(0.5)
