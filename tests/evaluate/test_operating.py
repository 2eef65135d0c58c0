import json

import numpy as np
import pytest

from firstread.errors import DataError
from firstread.evaluate.operating import KEPT_ERROR, KEPT_SHARE, RISK, fit_operating_point


def films(n=600, gap=4.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(int)
    return rng.normal(gap * (labels - 0.5), 1.2), labels


def test_the_best_threshold_is_the_middle_of_the_gap():
    logits, labels = np.array([-4.0, -2.0, -1.0, 3.0, 4.0, 5.0]), np.array([0, 0, 0, 1, 1, 1])
    point = fit_operating_point(logits, labels)
    z = point.calibration.slope * 1.0 + point.calibration.intercept
    assert point.threshold == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-9)
    assert point.thresholds["best"].value == point.threshold


def test_no_cut_has_a_higher_balanced_accuracy():
    logits, labels = films(gap=2.5)
    point = fit_operating_point(logits, labels)
    p = point.calibration.probability(logits)

    def balanced(t):
        return ((p >= t)[labels == 1].mean() + (p < t)[labels == 0].mean()) / 2

    assert balanced(point.threshold) == pytest.approx(max(balanced(t) for t in p))


@pytest.mark.parametrize("wanted", [95, 98])
def test_the_sensitivity_is_reached_and_not_at_the_next_film(wanted):
    logits, labels = films(gap=2.0)
    point = fit_operating_point(logits, labels)
    p = point.calibration.probability(logits)
    t = point.thresholds[f"sensitivity_{wanted}"].value
    positives = p[labels == 1]
    assert (positives >= t).mean() >= wanted / 100
    above = positives[positives >= t].min()
    assert (positives > above).mean() < wanted / 100


def kept_error(point, logits, labels):
    p = point.calibration.probability(logits)
    kept = (p < point.refer.low) | (p > point.refer.high)
    return ((p >= point.threshold) != labels)[kept].mean(), kept.mean()


@pytest.mark.parametrize("gap", [4.0, 4.5, 5.0])
def test_the_refer_band_leaves_at_most_one_percent_wrong(gap):
    logits, labels = films(gap=gap)
    point = fit_operating_point(logits, labels)
    error, share = kept_error(point, logits, labels)
    assert error <= KEPT_ERROR
    assert share >= KEPT_SHARE
    assert point.refer.low < point.threshold < point.refer.high
    low, high, t = (
        np.log(x / (1 - x)) for x in (point.refer.low, point.refer.high, point.threshold)
    )
    assert high - t == pytest.approx(t - low, abs=1e-6)


def test_the_refer_band_holds_two_percent_where_nothing_is_wrong():
    logits, labels = films(gap=30.0)
    point = fit_operating_point(logits, labels)
    error, share = kept_error(point, logits, labels)
    assert error == 0
    assert 1 - share == pytest.approx(0.02, abs=0.002)


def test_a_hopeless_model_refers_a_fifth_and_says_so():
    rng = np.random.default_rng(3)
    labels = np.arange(500) % 2
    logits = rng.normal(size=500)
    point = fit_operating_point(logits, labels)
    _, share = kept_error(point, logits, labels)
    assert share == pytest.approx(0.8, abs=0.01)
    assert "not reached" in point.refer.how


@pytest.mark.parametrize(
    "logits", [[0.0] * 6, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [-900.0, -9.0, -8.0, 7.0, 9.0, 900.0]]
)
def test_odd_logits_give_usable_numbers(logits):
    point = fit_operating_point(logits, [0, 0, 0, 1, 1, 1])
    for t in point.thresholds.values():
        assert 0 < t.value < 1
    assert 0 < point.refer.low <= point.threshold <= point.refer.high < 1


def test_the_card_holds_the_names_and_the_rules():
    card = json.loads(json.dumps(fit_operating_point(*films()).to_card()))
    assert list(card) == ["calibration", "thresholds", "refer"]
    assert list(card["thresholds"]) == [
        "decision",
        "0.5",
        "best",
        "sensitivity_95",
        "sensitivity_98",
        "rule_out",
        "rule_in",
    ]
    assert card["calibration"]["prevalence"] == pytest.approx(films()[1].mean())
    entries = [card["calibration"], card["refer"], *card["thresholds"].values()]
    assert all("validation films" in e["how"] for e in entries)


def test_one_class_is_refused():
    with pytest.raises(DataError, match="one class"):
        fit_operating_point([1.0, 2.0], [1, 1])


def test_weights_are_films_repeated():
    logits, labels = films(n=200, gap=3.0)
    times = np.random.default_rng(4).integers(1, 4, 200)
    a = fit_operating_point(logits, labels, weights=times)
    b = fit_operating_point(np.repeat(logits, times), np.repeat(labels, times))
    assert a.calibration.slope == pytest.approx(b.calibration.slope, abs=1e-5)
    assert a.calibration.prevalence == pytest.approx(b.calibration.prevalence)
    for name, t in a.thresholds.items():
        assert t.value == pytest.approx(b.thresholds[name].value, abs=1e-5), name
    assert (a.refer.low, a.refer.high) == pytest.approx((b.refer.low, b.refer.high), abs=1e-5)


def test_a_set_of_copies_that_share_a_weight_is_the_set():
    logits, labels = films(n=300, gap=3.0)
    copies = fit_operating_point(
        np.tile(logits, 3), np.tile(labels, 3), weights=np.full(900, 1 / 3)
    )
    once = fit_operating_point(logits, labels)
    for name, t in copies.thresholds.items():
        assert t.value == pytest.approx(once.thresholds[name].value, abs=1e-5), name
    assert copies.refer.low == pytest.approx(once.refer.low, abs=1e-5)


@pytest.mark.parametrize("weights", [[1.0, 1.0], [1.0, -1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
def test_weights_that_cannot_serve_are_refused(weights):
    with pytest.raises(DataError, match="weight"):
        fit_operating_point([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1], weights=weights)


def test_the_card_says_which_threshold_is_in_use():
    point = fit_operating_point(*films(gap=2.5))
    assert point.threshold == point.thresholds["best"].value
    assert '"best"' in point.thresholds["decision"].how
    assert point.refer.low <= point.threshold <= point.refer.high


@pytest.mark.parametrize("gap", [2.0, 4.0, 8.0])
def test_new_films_keep_the_conformal_promise(gap):
    """Over many validation sets, at most 2 % of either class lie beyond its point, about that."""
    new, truth = films(n=20000, gap=gap, seed=99)
    missed, alarmed = [], []
    for seed in range(60):
        point = fit_operating_point(*films(n=400, gap=gap, seed=seed))
        p = point.calibration.probability(new)
        missed.append((p < point.thresholds["rule_out"].value)[truth == 1].mean())
        alarmed.append((p >= point.thresholds["rule_in"].value)[truth == 0].mean())
    for beyond in (missed, alarmed):
        spread = np.std(beyond) / np.sqrt(len(beyond))
        assert RISK / 4 < np.mean(beyond) <= RISK + 2 * spread


def test_too_few_films_promise_nothing():
    logits = np.r_[np.linspace(-9, -1, 48), np.linspace(1, 9, 49)]
    labels = np.r_[np.zeros(48, int), np.ones(49, int)]
    point = fit_operating_point(logits, labels)
    p = point.calibration.probability(logits)
    # 49 films allow none beyond: the point lies below all of them. 48 allow no point at all.
    assert not (p[labels == 1] < point.thresholds["rule_out"].value).any()
    assert point.thresholds["rule_out"].value > 0.4
    assert point.thresholds["rule_in"].value > 1 - 1e-9
    assert "too few" in point.thresholds["rule_in"].how


def test_classes_far_apart_cross_the_points_and_the_card_says_so():
    point = fit_operating_point(*films(gap=12.0))
    assert point.thresholds["rule_out"].value > point.thresholds["rule_in"].value
    assert "neither class" in point.thresholds["rule_out"].how
