import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from firstread.errors import DataError
from firstread.evaluate.calibration import Platt, fit_logistic, fit_platt, sigmoid, to_logit
from firstread.evaluate.recalibrate import calibrated_prevalence


def test_sigmoid_and_logit_undo_each_other_without_overflow():
    z = np.array([-1000.0, -30.0, -1.0, 0.0, 2.0, 30.0, 1000.0])
    assert np.isfinite(sigmoid(z)).all()
    assert to_logit(sigmoid(z[1:6])) == pytest.approx(z[1:6], abs=1e-2)
    assert np.isfinite(to_logit([0.0, 1.0])).all()


def test_logistic_agrees_with_sklearn():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 7, 800)
    y = rng.random(800) < sigmoid(0.4 * x - 1)
    slope, intercept = fit_logistic(x, y.astype(float))
    theirs = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    assert slope == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
    assert intercept == pytest.approx(theirs.intercept_[0], rel=1e-3)


def test_platt_finds_the_numbers_it_was_made_with():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 4, 50_000)
    y = rng.random(50_000) < sigmoid(0.5 * x + 0.7)
    platt = fit_platt(x, y.astype(int))
    assert platt.slope == pytest.approx(0.5, abs=0.02)
    assert platt.intercept == pytest.approx(0.7, abs=0.05)
    assert "Platt" in platt.how
    assert "validation" in platt.how


@pytest.mark.parametrize("scale", [1e-3, 1.0, 500.0])
def test_platt_stays_finite_where_the_classes_part_without_error(scale):
    x = np.array([-3.0, -2.0, -1.5, 1.0, 2.0, 4.0]) * scale
    platt = fit_platt(x, [0, 0, 0, 1, 1, 1])
    assert np.isfinite([platt.slope, platt.intercept]).all()
    p = platt.probability(x)
    assert (p[:3] < 0.5).all()
    assert (p[3:] > 0.5).all()


@pytest.mark.parametrize("logits", [[2.0] * 8, [4.0, 3.0, 2.5, 2.0, 0.0, -1.0, -2.0, -3.0]])
def test_platt_of_a_useless_network_is_nearly_the_share_and_never_upside_down(logits):
    platt = fit_platt(logits, [0, 0, 0, 0, 1, 1, 1, 1])
    assert platt.slope > 0
    assert platt.probability(logits) == pytest.approx(0.5, abs=0.01)
    assert "useless" in platt.how


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([1.0, 2.0], [1, 1]), ([1.0, np.nan], [0, 1]), ([1.0], [0, 1]), ([1.0, 2.0], [0, 2])],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(scores, labels):
    with pytest.raises(DataError) as e:
        fit_platt(scores, labels)
    assert "\n" not in str(e.value)


def test_copies_of_a_film_that_share_its_weight_are_one_film_on_the_card():
    x, y = np.array([-2.0, -1.0, 0.5, 1.0, 2.0]), np.array([0, 0, 1, 1, 1])
    once = fit_platt(x, y)
    four = fit_platt(np.tile(x, 4), np.tile(y, 4), weights=np.full(20, 1 / 4))
    assert "(2 normal, 3 pneumonia)" in once.how
    assert "(2 normal, 3 pneumonia, weighted" in four.how
    assert calibrated_prevalence({"calibration": {"how": four.how}}) == pytest.approx(0.6)


def test_weights_count_films_where_the_network_is_useless_too():
    x, y, times = np.array([3.0, 1.0, 0.0, -4.0]), np.array([0, 1, 0, 1]), np.array([1, 2, 5, 1])
    weighted = fit_platt(x, y, weights=times.astype(float))
    repeated = fit_platt(np.repeat(x, times), np.repeat(y, times))
    assert "a useless network" in repeated.how
    assert (weighted.slope, weighted.intercept) == pytest.approx(
        (repeated.slope, repeated.intercept)
    )


BENT = Platt(0.5, 1.0, bends=((-3.0, -1.0), (0.0, 0.2), (2.0, 4.0)))
OTHERS = [
    Platt(),
    Platt(2.0, -0.5),
    Platt(0.3, 0.4, bends=((0.0, -1.0),)),
    Platt(1.5, 0.1, bends=((-2.0, -3.0), (0.4, 0.0), (3.0, 1.0))),
]


@pytest.mark.parametrize("second", OTHERS)
@pytest.mark.parametrize("first", [BENT, *OTHERS])
def test_two_calibrations_make_one(first, second):
    x = np.linspace(-20, 20, 333)
    both = first.then(second)
    assert both.logit(x) == pytest.approx(second.logit(first.logit(x)))
    assert (np.diff(both.logit(x)) > 0).all()
    assert first.then(second.moved(0.7)).logit(x) == pytest.approx(both.logit(x) + 0.7)


def test_a_bent_calibration_is_undone():
    x = np.linspace(-10, 10, 99)
    for platt in (BENT, BENT.moved(1.3), *OTHERS):
        assert platt.undo(platt.probability(x)) == pytest.approx(x)
