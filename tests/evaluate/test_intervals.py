import time
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from firstread.evaluate import intervals
from firstread.evaluate.calibration import sigmoid
from firstread.evaluate.closed_form import delong_interval, newcombe, wilson
from firstread.evaluate.intervals import Estimate, Sampler, mix, predictive_value
from firstread.evaluate.metrics import film_losses
from firstread.evaluate.tables import calibration_error, decisions


def films(patients=120, most=4, seed=0):
    """Films in patients that share a part of their score."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, most + 1, patients)
    sick = rng.random(patients) < 0.6
    own = rng.normal(0, 1, patients)
    who = np.repeat(np.arange(patients), size)
    z = 1.5 * (2 * sick[who] - 1) + own[who] + rng.normal(0, 0.7, len(who))
    return [f"p{i}" for i in who], np.round(sigmoid(z), 2), sick[who]


def test_the_bootstrap_ranks_as_sklearn_does_on_repeated_films():
    patients, p, truth = films(25)
    sampler = Sampler(patients, seed=5, draws=40)
    precisions = sampler._precisions(p, truth)
    for weights, precision in zip(sampler._weights, precisions, strict=True):
        times = weights[sampler.index].astype(int)
        y, s = np.repeat(truth, times), np.repeat(p, times)
        assert precision == pytest.approx(average_precision_score(y, s))


def test_the_draws_are_of_patients_and_all_of_the_same_number():
    sampler = Sampler(["a", "a", "b", "c"], draws=200)
    assert sampler.m == 3
    assert (sampler._weights.sum(axis=1) == 3).all()
    sums = sampler.sums(np.array([1.0, 1.0, 0.0, 0.0]))
    assert set(sums[:, 0]) == {0.0, 2.0, 4.0, 6.0}


@pytest.mark.parametrize("m", [3, 617, 1333])
def test_sums_in_blocks_are_those_of_all_draws_at_once(m: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(m)
    sampler = Sampler([str(i % m) for i in range(2 * m)], draws=300)
    columns = rng.normal(size=(2 * m, 2))
    by_patient = np.zeros((m, 2))
    np.add.at(by_patient, sampler.index, columns)
    whole = sampler._weights.astype(np.float64) @ by_patient
    monkeypatch.setattr(intervals, "CHUNK", 7 * m)
    assert sampler.sums(columns) == pytest.approx(whole, rel=1e-12)


def test_the_memory_for_sums_does_not_grow_with_the_draws():
    sampler = Sampler([str(i) for i in range(20_000)], draws=1000)
    assert sampler._weights.nbytes == 20_000 * 1000
    tracemalloc.start()
    sampler.sums(np.ones((sampler.n, 2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8 * intervals.CHUNK  # all at once they were 160 MB, and with 2000 draws 320


def test_nothing_is_drawn_for_what_has_a_closed_form():
    sampler = Sampler([str(i // 2) for i in range(60)])
    truth = np.arange(60) % 3 == 0
    sampler.proportion(truth)
    sampler.auc(np.linspace(0, 1, 60), truth)
    assert "_weights" not in vars(sampler)
    sampler.mean(np.linspace(0, 1, 60))
    assert "_weights" in vars(sampler)


def test_the_same_seed_gives_the_same_interval_and_another_a_near_one():
    patients, p, truth = films()
    one, two = (Sampler(patients, seed=3).average_precision(p, truth) for _ in range(2))
    other = Sampler(patients, seed=4).average_precision(p, truth)
    assert one == two
    assert one != other
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.01)


def test_films_of_one_child_widen_the_interval():
    rng = np.random.default_rng(0)
    hit = np.repeat(rng.random(60) < 0.8, 5)  # five films a child, all right or all wrong
    share = Sampler([str(i // 5) for i in range(300)]).proportion(hit)
    low, high = share.beside["wilson"]
    assert share.method == "Wilson with a design effect of patients"
    assert share.high - share.low > 1.8 * (high - low)


def test_single_films_get_wilson_and_the_bootstrap_agrees():
    rng = np.random.default_rng(1)
    hit = rng.random(400) < 0.85
    sampler = Sampler([str(i) for i in range(400)])
    share = sampler.proportion(hit)
    assert share.method == "Wilson"
    assert (share.low, share.high) == wilson(int(hit.sum()), 400)
    drawn = sampler.mean(hit.astype(float))
    assert (drawn.low, drawn.high) == pytest.approx((share.low, share.high), abs=0.012)


def test_no_error_is_no_certainty():
    patients = [str(i // 2) for i in range(40)]
    truth = np.arange(40) % 4 < 2
    sampler = Sampler(patients)
    share = sampler.proportion(np.ones(40, bool))
    assert (share.low, share.high) == wilson(20, 20)
    area = sampler.auc(truth.astype(float), truth)
    assert area.value == area.high == 1.0
    assert area.low == newcombe(1.0, 10, 10)[0]
    assert np.isnan(area.beside["delong"]).all()
    precision = sampler.average_precision(truth.astype(float), truth)
    assert (precision.value, np.isnan(precision.low)) == (1.0, True)


def test_an_empty_share_is_not_a_number_and_null_in_json():
    share = Sampler(["a", "a", "b"]).proportion(np.ones(3, bool), np.zeros(3, bool))
    assert np.isnan([share.value, share.low, share.high]).all()
    assert share.to_json()["value"] is None


def test_the_mean_interval_covers_its_truth_about_as_often_as_it_says():
    _, p, truth = films(200_000, seed=999)
    expected = film_losses(p, truth).mean()
    covered = 0
    for seed in range(120):
        patients, p, truth = films(80, seed=seed)
        e = Sampler(patients, seed=seed, draws=300).mean(film_losses(p, truth))
        covered += e.low <= expected <= e.high
    assert covered >= 0.88 * 120


def test_calibration_intervals_hold_the_truth_of_a_calibrated_model():
    rng = np.random.default_rng(2)
    z = rng.normal(0, 2, 2000)
    truth = rng.random(2000) < sigmoid(z)
    slope, intercept = Sampler([str(i) for i in range(2000)]).calibration(sigmoid(z), truth)
    assert slope.low < 1 < slope.high
    assert intercept.low < 0 < intercept.high
    assert slope.high - slope.low < 0.3


def test_five_thousand_films_in_seconds():
    patients, p, truth = films(2800, most=3)
    start = time.process_time()  # not what else the machine does
    sampler = Sampler(patients)
    sampler.auc(p, truth)
    sampler.proportion(p > 0.5)
    assert time.process_time() - start < 20
    assert intervals.DRAWS == sampler.draws == 2000


@pytest.mark.parametrize("sick", [1, 2, 5, 15])
def test_few_patients_of_a_class_give_an_interval_that_holds_the_auc(sick):
    """Drawn ones would not: with one ill child they miss the AUC half of the time."""
    rng, held = np.random.default_rng(sick), []
    truth = np.arange(60) < sick
    sampler = Sampler([str(i) for i in range(60)], draws=10)
    for _ in range(300):
        z = rng.normal(0, 1, 60) + 1.8124 * truth  # an AUC of 0.9
        e = sampler.auc(z, truth)
        assert e.low <= e.value <= e.high
        held.append(e.low <= 0.9 <= e.high)
    assert np.mean(held) > 0.93
    assert np.isnan(sampler.average_precision(z, truth).low)
    assert np.isnan(delong_interval(z, truth)).all() == (sick == 1)


@pytest.mark.parametrize("outliers", [False, True])
def test_an_auc_near_one_is_held(outliers):
    """DeLong's alone holds 0.99 in 3 of 4 sets of 200 films where a few make all the errors."""
    rng, held = np.random.default_rng(0), []
    truth = np.arange(200) < 100
    sampler = Sampler([str(i) for i in range(200)], draws=10)
    for _ in range(300):
        z = rng.standard_t(3, 200) if outliers else rng.normal(0, 1, 200)
        e = sampler.auc(z + (6.31 if outliers else 3.29) * truth, truth)
        held.append(e.low <= 0.99 <= e.high)
    assert np.mean(held) > 0.94


def test_an_error_more_makes_nothing_surer():
    truth = np.arange(400) < 200
    sampler = Sampler([f"p{i // 2}" for i in range(400)])
    for measure in ("accuracy", "sensitivity", "balanced_accuracy", "f1"):
        lows = []
        for wrong in range(4):
            calls = truth ^ np.isin(np.arange(400), [0, 2, 4][:wrong])
            lows.append(decisions(sampler, truth, calls)[measure]["low"])
        assert lows == sorted(lows, reverse=True)
    areas = []
    for wrong in range(4):
        z = truth + 0.001 * np.arange(400)
        z[[0, 2, 4][:wrong]] = 0.3
        areas.append(sampler.auc(z, truth).low)
    assert areas == sorted(areas, reverse=True)


def test_predictive_values_hold_their_truth_and_are_those_of_the_films():
    rng, held = np.random.default_rng(0), []
    sampler, truth = Sampler([str(i) for i in range(200)], draws=10), np.arange(200) < 100
    for _ in range(200):
        calls = rng.random(200) < np.where(truth, 0.95, 0.03)
        se, sp = sampler.proportion(calls, truth), sampler.proportion(~calls, ~truth)
        ppv, npv = predictive_value(se, sp, 0.5), predictive_value(sp, se, 0.5)
        assert ppv.value == pytest.approx(truth[calls].mean())
        assert npv.value == pytest.approx((~truth)[~calls].mean())
        rare = predictive_value(se, sp, 0.05)
        held.append(rare.low <= 0.95 * 0.05 / (0.95 * 0.05 + 0.03 * 0.95) <= rare.high)
    assert np.mean(held) > 0.93
    sure = Estimate(1.0, 0.96, 1.0)
    assert predictive_value(sure, sure, 0.05).high == 1.0
    assert 0.5 < predictive_value(sure, sure, 0.05).low < 0.6
    none = Estimate(0.0, 0.0, 0.04)
    assert predictive_value(none, sure, 0.05).low == 0.0
    assert np.isnan(predictive_value(none, Estimate(1.0, 0.9, 1.0), 0.05).value)


def test_few_patients_have_no_calibration_interval_and_no_mean_below_its_least():
    rng = np.random.default_rng(0)
    truth = np.arange(60) < 12
    p = sigmoid(rng.normal(0, 1, 60) + truth)
    sampler = Sampler([str(i) for i in range(60)], draws=50)
    slope, intercept = sampler.calibration(p, truth)
    assert np.isfinite([slope.value, intercept.value]).all()
    assert np.isnan([slope.low, intercept.high]).all()
    error = calibration_error(sampler, p, truth)
    assert (np.isfinite(error.value), np.isnan(error.high)) == (True, True)
    losses = np.array([0.0, 0.01, 0.02, 3.0])
    few = Sampler(["a", "b", "c", "d"], draws=10)
    assert few.mean(losses, least=0.0).low == 0.0
    assert few.mean(losses).low < 0.0


def test_one_patient_has_no_drawn_interval():
    sampler = Sampler(["a"] * 4, draws=20)
    e = sampler.mean(np.array([0.1, 0.2, 0.3, 0.4]))
    assert (e.value, np.isnan(e.low), e.method) == (0.25, True, "none with one patient")
    share = sampler.proportion(np.array([True, False, True, True]))
    assert share.method == "Wilson over patients"
    assert share.low < 0.75 < share.high


def test_the_mix_is_no_surer_than_its_parts():
    """Ten normals without an error: a drawn balanced accuracy takes their specificity for 1."""
    rng, held = np.random.default_rng(0), []
    truth = np.arange(110) < 100
    sampler = Sampler([str(i) for i in range(110)], draws=400)
    for _ in range(200):
        right = rng.random(110) < np.where(truth, 0.95, 0.9)
        told = decisions(sampler, truth, right == truth)["balanced_accuracy"]
        held.append(told["low"] <= 0.925 <= told["high"])
    assert np.mean(held) > 0.9
    both = mix(Estimate(0.8, 0.7, 0.9), Estimate(1.0, 0.6, 1.0))
    assert (both.low, both.high) == pytest.approx((0.9 - np.hypot(0.1, 0.4) / 2, 0.95))


@pytest.mark.parametrize("m", [2, 5, 30, 80])
def test_a_share_of_few_patients_with_many_films(m):
    """Six films each, alike within a child: drawn intervals hold the share too seldom."""
    rng, held = np.random.default_rng(m), []
    sampler = Sampler([f"p{i // 6}" for i in range(6 * m)], draws=10)
    for _ in range(200):
        own = np.repeat(rng.beta(2.25, 0.5, m), 6)
        e = sampler.proportion(rng.random(6 * m) < own)
        held.append(e.low <= 2.25 / 2.75 <= e.high)
    assert np.mean(held) > 0.93


def test_a_mean_within_a_class_is_as_sure_as_its_patients():
    sampler = Sampler([f"p{i // 2}" for i in range(120)], draws=300)
    values = np.random.default_rng(0).random(120)
    among = np.arange(120) < 80
    e = sampler.mean_within(values, among)
    assert e.value == pytest.approx(values[among].mean())
    assert e.low < e.value < e.high
    assert e.method == "patient bootstrap"
    assert sampler.mean_within(values, np.arange(120) < 20).method == "Wilson over patients"
    none = sampler.mean_within(np.zeros(120), among)
    assert (none.value, none.low) == (0.0, 0.0)
    assert 0.05 < none.high < 0.1
    assert np.isnan(mix(none, Estimate(float("nan"))).high)


def test_measures_of_few_patients_are_not_drawn():
    sampler = Sampler([f"p{i // 6}" for i in range(60)], draws=50)
    truth, calls = np.arange(60) < 30, np.arange(60) % 3 > 0
    told = decisions(sampler, truth, calls)
    assert told["f1"]["method"] == "Wilson over patients, of the Jaccard share"
    assert told["balanced_accuracy"]["method"] == "MOVER"
    assert told["sensitivity"]["method"] == "Wilson over patients"


@pytest.mark.parametrize("m", [2, 5, 12])
def test_a_mean_of_few_patients_holds_the_truth(m):
    rng, held = np.random.default_rng(m), []
    sampler = Sampler([f"p{i // 3}" for i in range(3 * m)], draws=10)
    for _ in range(400):
        e = sampler.mean(np.repeat(rng.normal(1, 1, m), 3) + rng.normal(0, 0.3, 3 * m))
        held.append(e.low <= 1 <= e.high)
    assert 0.92 < np.mean(held) < 0.98
    assert e.method == "t over patients"
