"""Recalibration on local films: what it must mend, what it must not touch, and who judges whom."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from firstread.errors import DataError
from firstread.evaluate.calibration import fit_logistic, sigmoid, to_logit
from firstread.evaluate.local_draws import Draws
from firstread.evaluate.recalibrate import (
    calibrated_prevalence,
    in_the_large,
    lines,
    recalibration_study,
    refit,
)
from firstread.evaluate.score import Scored


def scored(n=300, share=0.5, slope=1.0, shift=0.0, seed=0, prefix="p", at=0.7):
    """Films whose logits are true at `share`, then made wrong by `slope` and `shift`."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(np.int8)
    # Unit normals 2 apart: the log-likelihood ratio of x is 2 x.
    z = 2.0 * rng.normal(labels - 0.5 + labels - 0.5, 1.0) + to_logit(share)
    return Scored(
        files=tuple(f"{prefix}{i}.png" for i in range(n)),
        labels=labels,
        patients=tuple(f"{prefix}{i // 2}" for i in range(n)),
        probabilities=sigmoid(slope * z + shift),
        decisions=("pneumonia",) * n,
        reasons=((),) * n,
        threshold=0.5,
        refer=(0.4, 0.6),
        bundle={"sha256": "0" * 64, "calibration": {"prevalence": at}},
        data={"source": "nowhere"},
    )


def test_too_sure_a_model_is_mended():
    study = recalibration_study(scored(n=600, slope=4.0, shift=1.5), repeats=30)
    study = json.loads(json.dumps(study, allow_nan=False))
    assert study["as_shipped"]["slope"]["value"] < 0.4
    assert study["recalibrated"]["slope"]["value"] == pytest.approx(1.0, abs=0.2)
    assert study["recalibrated"]["intercept"]["value"] == pytest.approx(0.0, abs=0.2)
    for name in ("brier", "ece"):
        assert study["recalibrated"][name]["value"] < study["as_shipped"][name]["value"]
    assert study["fitted"]["slope"]["value"] == pytest.approx(0.25, abs=0.08)
    assert study["within"]["brier"] == 1.0
    assert study["within"]["all"] <= min(study["within"].values())
    assert study["brier_gain"]["recalibrated"]["low"] > 0
    assert "draws" in study["recalibrated"]["slope"]["method"]
    assert len(lines(study)) == 5


def test_a_shift_in_prevalence_is_mended_by_the_prior_alone():
    shift = float(to_logit(0.7) - to_logit(0.3))
    moved = scored(n=900, share=0.3, shift=shift)
    study = recalibration_study(moved, repeats=20)
    assert study["as_shipped"]["in_the_large"]["value"] < -1.0
    assert study["prior_corrected"]["in_the_large"]["value"] == pytest.approx(0.0, abs=0.25)
    gain = study["brier_gain"]
    assert gain["prior_corrected"]["value"] > 0
    # Nothing is left that a fit could mend.
    assert gain["recalibrated"]["value"] <= gain["prior_corrected"]["value"] + 0.002


def test_a_shift_in_the_films_is_not():
    study = recalibration_study(scored(n=600, slope=4.0, at=0.5), repeats=20)
    gain = study["brier_gain"]
    assert abs(gain["prior_corrected"]["value"]) < 0.005
    assert gain["recalibrated"]["value"] > 0.01


def test_the_same_seed_the_same_numbers_and_the_films_in_any_order():
    films = scored()
    a, b = (recalibration_study(films, repeats=5, seed=3) for _ in range(2))
    assert a == b
    assert a != recalibration_study(films, repeats=5, seed=4)


def test_no_patient_is_on_both_sides(monkeypatch):
    films = scored()
    draw, seen = Draws.draw, []

    def watched(self, rng):
        drawn, left = draw(self, rng)
        patients = set(self.pool.patients[drawn]), set(self.judged.patients[left])
        seen.append((*patients, len(drawn)))
        return drawn, left

    monkeypatch.setattr(Draws, "draw", watched)
    recalibration_study(films, films=99, repeats=10)
    assert len(seen) == 10
    for fitted, judged, n in seen:
        assert n == 99
        assert not fitted & judged
        assert len(fitted | judged) == 150  # the odd film of the last patient is in neither


def test_films_of_another_table_and_those_of_both():
    here, there = scored(seed=1, slope=4.0), scored(seed=2, slope=4.0, prefix="q")
    study = recalibration_study(here, there, repeats=10)
    assert study["n_judged"]["value"] == len(here)
    assert "another table" in study["how"]["draw"]
    # The same films, reached through a table elsewhere and without patients.
    elsewhere = replace(
        here,
        files=tuple(f"../x/{f}" for f in here.files),
        patients=tuple(f"film-{f}" for f in here.files),
    )
    assert (
        recalibration_study(
            replace(here, files=tuple(f"x/{f}" for f in here.files)), elsewhere, repeats=3
        )["n_judged"]["value"]
        == len(here) - 100
    )


def test_rejected_films_are_left_out_and_counted():
    films = scored()
    p = films.probabilities.copy()
    p[:7] = np.nan
    study = recalibration_study(replace(films, probabilities=p), repeats=3)
    assert study["n_rejected"] == 7
    assert study["n_local"] == len(films) - 7


def test_few_or_one_sided_films_are_refused():
    with pytest.raises(DataError, match=r"90 local films are too few.*it takes 100 to draw and 30"):
        recalibration_study(scored(n=90))
    with pytest.raises(DataError, match=r"left to judge on.*it takes 100 to draw and 30 of other"):
        recalibration_study(scored(n=120))
    films = scored()
    with pytest.raises(DataError, match="one class"):
        recalibration_study(replace(films, labels=np.zeros_like(films.labels)))
    with pytest.raises(DataError, match="another bundle"):
        recalibration_study(films, replace(films, bundle={"sha256": "1" * 64}))


def test_a_model_that_orders_films_the_wrong_way_is_held_up():
    films = scored(n=400)
    study = recalibration_study(replace(films, probabilities=1 - films.probabilities), repeats=5)
    assert study["fitted"]["held"] == 1.0
    assert study["fitted"]["slope"]["low"] > 0


def test_the_share_that_probabilities_are_true_at():
    assert calibrated_prevalence({"calibration": {"prevalence": 0.25}}) == 0.25
    old = "Platt scaling with smoothed targets on the validation films (160 normal, 388 pneumonia)"
    assert calibrated_prevalence({"calibration": {"how": old}}) == pytest.approx(388 / 548)
    assert calibrated_prevalence({"calibration": {"how": "none"}}) is None
    study = recalibration_study(replace(scored(), bundle={"sha256": "0" * 64}), repeats=2)
    assert study["prior_corrected"] is None
    assert study["brier_gain"]["prior_corrected"] is None


def test_the_intercept_in_the_large_brings_the_mean_to_the_share():
    rng = np.random.default_rng(5)
    z, truth = rng.normal(size=200) * 3, rng.random(200) < 0.2
    assert sigmoid(z + in_the_large(z, truth)).mean() == pytest.approx(truth.mean())


def test_weights_are_copies_of_films():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=60), (rng.random(60) < 0.4).astype(float)
    w = rng.integers(0, 4, 60).astype(float)
    twice = fit_logistic(np.repeat(x, w.astype(int)), np.repeat(y, w.astype(int)))
    assert fit_logistic(x, y, w) == pytest.approx(twice, abs=1e-6)


def test_the_prior_on_the_slope_is_a_ridge_around_its_mean():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=80) * 2, rng.random(80) < 0.5
    slope, intercept = fit_logistic(x, y.astype(float), slope_prior=(0.0, 0.5))
    # sklearn's C is the variance of the prior; the intercept is not penalised.
    theirs = LogisticRegression(C=0.25, tol=1e-10, max_iter=1000).fit(x[:, None], y)
    assert slope == pytest.approx(theirs.coef_[0, 0], abs=1e-5)
    assert intercept == pytest.approx(theirs.intercept_[0], abs=1e-5)
    # Parted without error there is no finite slope of its own; the prior keeps it finite.
    parted = refit(np.array([-3.0, -2.0, 2.0, 3.0]), np.array([False, False, True, True]))
    assert 1.0 < parted[0] < 5.0


def test_films_of_one_name_in_a_folder_a_study_are_not_one_film():
    films = scored(n=300)
    same = replace(films, files=tuple(f"p{i}/study1/frontal.jpg" for i in range(300)))
    for local in (None, same):
        study = recalibration_study(same, local, repeats=5)
        # 100 films of 50 patients are drawn; the others judge.
        assert study["n_judged"]["value"] == 200
