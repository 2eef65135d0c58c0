"""Isotonic calibration: against an oracle, rising, and close to a bent truth."""

import itertools

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from firstread.evaluate.calibration import sigmoid, to_logit
from firstread.evaluate.isotonic import GROUPS, fit_isotonic
from firstread.read.bends import bend


def films(n, seed=0):
    """Logits of which those above 0 are four times too sure, and the truth."""
    rng = np.random.default_rng(seed)
    right = rng.normal(0, 2.5, n)
    return np.where(right > 0, 4 * right, right), rng.random(n) < sigmoid(right), right


@pytest.mark.parametrize("seed", range(20))
def test_the_steps_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    z, truth = rng.normal(0, 1, 200), rng.random(200) < 0.5
    order = np.argsort(z)
    tenths = order.reshape(GROUPS, -1)
    share = (truth[tenths].sum(axis=1) + 0.5) / 21.0
    steps = IsotonicRegression().fit_transform(np.arange(GROUPS), share)
    found = fit_isotonic(z, truth)
    assert sigmoid([y for _, y in found]) == pytest.approx(np.unique(steps.round(9)), abs=1e-8)
    for x, y in found:
        in_step = np.isclose(steps, sigmoid(y))
        assert x == pytest.approx(z[tenths[in_step]].mean())


def test_points_rise_and_no_share_is_0_or_1():
    z = np.arange(100.0)
    found = fit_isotonic(z, z >= 50)  # parted without an error
    assert len(found) == 2
    assert [y for _, y in found] == pytest.approx(to_logit([0.5 / 11, 10.5 / 11]))
    for a, b in itertools.pairwise(fit_isotonic(*films(500)[:2])):
        assert a[0] < b[0]
        assert a[1] < b[1]


def test_equal_logits_stay_together():
    z = np.repeat([0.0, 1.0], [150, 50])
    truth = np.arange(200) % 4 == 0
    truth[150:] = True
    found = fit_isotonic(z, truth)
    assert [x for x, _ in found] == [0.0, 1.0]
    assert found[1][1] == pytest.approx(float(to_logit(50.5 / 51)))


def test_a_network_in_the_wrong_order_gets_one_probability_for_the_middle():
    z = np.arange(100.0)
    ((x, y),) = fit_isotonic(z, z < 50)
    assert (x, y) == (pytest.approx(49.5), pytest.approx(0.0))


def test_what_is_bent_is_made_straight():
    z, truth, right = films(20_000)
    made = bend(z, fit_isotonic(z, truth))
    middle = np.abs(right) < 4
    assert np.abs(sigmoid(made) - sigmoid(right))[middle].max() < 0.08


def test_no_step_is_made_of_rounding() -> None:
    """Shares alike but for the last digit would be a line that no card takes, and none can undo."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = rng.random(400) < 0.5
        bends = fit_isotonic(rng.normal(size=400) + truth, truth)
        assert np.all(np.diff([y for _, y in bends]) > 1e-6), seed
