import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as theirs

from firstread.errors import DataError
from firstread.evaluate.calibration import sigmoid
from firstread.evaluate.result import measure
from firstread.evaluate.score import Scored, worst_order

FIXED = ("accuracy", "auc", "sensitivity", "specificity", "precision", "f1", "loss", "ece", "brier")


def scored(n=240, seed=0, sure=2.0, rejected=()):
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 > 0).astype(np.int8)
    p = sigmoid(sure * rng.normal(2.0 * labels - 1.0, 1.0))
    decisions = np.where(
        (p >= 0.4) & (p <= 0.6), "refer", np.where(p >= 0.5, "pneumonia", "no pneumonia")
    )
    decisions = decisions.astype(object)
    for i in rejected:
        decisions[i], p[i] = "rejected", np.nan
    table = {"decision": 0.5, "0.5": 0.5, "best": 0.5, "sensitivity_95": 0.2, "sensitivity_98": 0.1}
    return Scored(
        files=tuple(f"f{i}.png" for i in range(n)),
        labels=labels,
        patients=tuple(f"p{i // 2}" for i in range(n)),
        probabilities=p,
        decisions=tuple(decisions),
        reasons=tuple(("broken",) if i in rejected else () for i in range(n)),
        threshold=0.5,
        refer=(0.4, 0.6),
        thresholds={k: {"value": v, "how": "by hand"} for k, v in table.items()},
        groups={"view": tuple("AP" if i % 2 else "PA" for i in range(n))},
        numbers={"bytes": (rng.normal(labels, 2.0), "of the file")},
        bundle={"name": "tiny", "sha256": "0" * 64},
        data={"source": "nowhere"},
        notices=("Not a medical device.",),
    )


def test_the_fixed_names_hold_value_low_and_high():
    films = scored()
    r = json.loads(json.dumps(measure(films, draws=200), allow_nan=False))
    for name in FIXED:
        assert r[name]["low"] <= r[name]["value"] <= r[name]["high"], name
        assert r[name]["low"] < r[name]["high"], name
    p, y = films.probabilities, films.truth
    assert r["accuracy"]["value"] == pytest.approx(theirs.accuracy_score(y, p >= 0.5))
    assert r["auc"]["value"] == pytest.approx(theirs.roc_auc_score(y, p))
    assert r["f1"]["value"] == pytest.approx(theirs.f1_score(y, p >= 0.5))
    assert r["loss"]["value"] == pytest.approx(theirs.log_loss(y, np.clip(p, 1e-7, 1 - 1e-7)))
    assert r["brier"]["value"] == pytest.approx(theirs.brier_score_loss(y, p))
    assert (r["n"], r["n_rejected"], r["threshold"]) == (240, 0, 0.5)
    assert r["n_refer"] == films.decisions.count("refer") > 0
    low, high = films.refer
    assert r["n_band"] == int(((p >= low) & (p <= high)).sum())
    assert r["n_patients"] == 120
    assert {"wilson", "method"} <= set(r["accuracy"])
    assert "delong" in r["auc"]


def test_the_report_agrees_with_sklearn():
    films = scored()
    r = measure(films, draws=50)
    oracle = theirs.classification_report(
        films.truth,
        films.probabilities >= 0.5,
        target_names=["no pneumonia", "pneumonia"],
        output_dict=True,
    )
    for label, theirs_here in oracle.items():
        if label == "accuracy":
            continue
        ours_here = r["classes"][label]
        for what, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            value = ours_here[what]["value"] if "avg" not in label else ours_here[what]
            assert value == pytest.approx(theirs_here[key])
        assert ours_here["support"] == theirs_here["support"]


def test_a_rejected_film_is_an_error_in_every_measure():
    clean, holed = scored(), scored(rejected=(0, 1, 2))
    a, b = measure(clean, draws=50), measure(holed, draws=50)
    assert b["n_rejected"] == 3
    assert b["n"] == a["n"]
    for name in ("accuracy", "auc", "sensitivity", "specificity", "f1"):
        assert b[name]["value"] < a[name]["value"]
    for name in ("loss", "brier", "ece"):
        assert b[name]["value"] > a[name]["value"]
    assert [f["file"] for f in b["rejected"]] == ["f0.png", "f1.png", "f2.png"]
    assert b["films"][0]["probability"] is None
    assert sum(map(sum, b["confusion"]["matrix"])) == b["n"]
    # At a threshold of nought, too, a rejected film is no hit.
    assert not (holed.calls(0.0) == holed.truth)[:3].any()


def test_plainly_no_film_is_rejected_even_with_a_probability():
    films = scored()
    decisions = ("rejected", *films.decisions[1:])
    films = replace(films, decisions=decisions, probabilities=np.r_[0.01, films.probabilities[1:]])
    r = measure(films, draws=50)
    assert films.labels[0] == 0
    assert films.scores[0] == 1.0
    assert r["n_rejected"] == 1
    assert r["films"][0]["probability"] == 0.01


def test_referred_films_are_scored_by_the_rule_and_apart():
    films = scored()
    s = measure(films, draws=50)["selective"]
    kept = ~films.referred
    wrong = (films.probabilities >= 0.5) != films.truth
    assert s["coverage"]["value"] == pytest.approx(kept.mean())
    assert s["error"]["value"] == pytest.approx(wrong[kept].mean())
    assert s["error_all"]["value"] == pytest.approx(wrong.mean())
    assert s["curve"]["coverage"][-1] == 1.0
    assert s["curve"]["error"][-1] == pytest.approx(wrong.mean())


def test_the_error_on_the_four_fifths_furthest_from_the_threshold():
    films = scored(n=250)
    r = measure(films, draws=200)["selective"]["at_80"]
    z = np.log(films.probabilities / (1 - films.probabilities))
    kept = np.argsort(-np.abs(z))[:200]
    wrong = (films.probabilities >= 0.5) != films.truth
    assert (r["n_kept"], r["coverage"]) == (200, 0.8)
    assert r["distance"] == pytest.approx(np.abs(z)[kept].min())
    assert r["error"]["value"] == pytest.approx(wrong[kept].mean())
    assert r["error"]["low"] < r["error"]["value"] < r["error"]["high"]
    assert "patients" in r["error"]["method"]


def wrong_of(films):
    return (films.scores >= 0.5) != films.truth


def test_rejected_films_are_not_among_the_four_fifths_unless_too_many():
    few, many = scored(rejected=range(20)), scored(rejected=range(120))
    r = measure(few, draws=20)["selective"]["at_80"]
    wrong = (few.scores >= 0.5) != few.truth
    assert r["n_kept"] == 192
    assert r["error"]["value"] <= wrong[20:].sum() / 192
    # Half are rejected: all others are kept, and the rejected that are too many are errors.
    r = measure(many, draws=20)["selective"]["at_80"]
    assert r["n_kept"] == 192
    assert r["error"]["value"] == pytest.approx((72 + wrong_of(many)[120:].sum()) / 192)


def test_thresholds_groups_prevalence_and_curves():
    r = measure(scored(), draws=50, prevalence=0.03)
    assert r["thresholds"][0]["name"] == "decision"
    by_name = {t["name"]: t for t in r["thresholds"]}
    assert by_name["sensitivity_98"]["sensitivity"]["value"] > r["sensitivity"]["value"]
    assert [g["value"] for g in r["groups"]["view"]] == ["AP", "PA"]
    assert sum(g["n"] for g in r["groups"]["view"]) == r["n"]
    given = [p for p in r["prevalence"] if p["given"]]
    assert [p["prevalence"] for p in given] == [0.03]
    assert given[0]["ppv"]["low"] < given[0]["ppv"]["value"] < r["precision"]["value"]
    assert theirs.auc(r["roc"]["fpr"], r["roc"]["tpr"]) == pytest.approx(r["auc"]["value"])
    assert sum(b["count"] for b in r["reliability"]["bins"]) == r["n"]
    assert r["shortcuts"][0]["auc"]["value"] >= 0.5


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 30.0])
def test_an_impossible_prevalence_is_refused(share):
    with pytest.raises(DataError, match="between 0 and 1"):
        measure(scored(), draws=10, prevalence=share)


def test_a_perfect_model_has_intervals_too():
    films = scored()
    perfect = replace(films, probabilities=np.where(films.truth, 0.99, 0.01))
    r = json.loads(json.dumps(measure(perfect, draws=50, prevalence=0.1), allow_nan=False))
    for name in ("accuracy", "auc", "sensitivity", "specificity", "precision", "f1"):
        assert r[name]["value"] == r[name]["high"] == 1.0
        assert 0.9 < r[name]["low"] < 1.0
    assert 0.9 < r["balanced_accuracy"]["low"] < 1.0
    assert all(p["ppv"]["low"] < 1.0 for p in r["prevalence"])
    assert r["calibration"]["slope"]["value"] is None
    assert r["worst"] == []


def test_probabilities_of_nought_and_one_break_nothing():
    r = json.loads(json.dumps(measure(scored(sure=1e3), draws=50), allow_nan=False))
    assert 0 < r["loss"]["value"] < 17
    assert r["calibration"]["slope"]["value"] < 0.5


def test_the_worst_are_the_surest_mistakes():
    films = scored(rejected=(4,))
    order = worst_order(films)
    p, y = films.probabilities, films.truth
    wrong = ((p >= 0.5) != y) & ~films.rejected
    assert sorted(order) == np.flatnonzero(wrong).tolist()
    belief = np.where(y, p, 1 - p)[order]
    assert (np.diff(belief) >= 0).all()
    assert measure(films, draws=20)["worst"][0]["file"] == films.files[order[0]]


def test_the_ece_of_a_calibrated_model_stands_beside_what_chance_gives():
    """Percentiles of draws lie above the estimate: chance on top of chance."""
    rng, told = np.random.default_rng(1), []
    for _ in range(40):
        p = sigmoid(rng.normal(0.5, 2.5, 150))
        films = replace(
            scored(150),
            probabilities=p,
            labels=(rng.random(150) < p).astype(np.int8),
            patients=tuple(f"p{i}" for i in range(150)),
        )
        told.append(measure(films, draws=60)["ece"])
    assert all(e["low"] <= e["value"] <= e["high"] for e in told)
    assert np.mean([e["low"] == 0.0 for e in told]) > 0.85  # it is nought
    assert np.mean([e["value"] <= e["by_chance"]["high"] for e in told]) > 0.85
    assert told[0]["method"] == "film bootstrap, basic"
