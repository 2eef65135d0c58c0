"""The local operating point: small tables by hand, Wilks's bound, and shares that are moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clinics import network
from firstread.clinic.calibrate import Films
from firstread.clinic.point import _films_beyond, local_point, operating, sure_threshold
from firstread.evaluate.calibration import Platt, sigmoid, to_logit
from firstread.evaluate.intervals import Sampler, wilson


def marks(text: str) -> Any:
    return np.array([c == "1" for c in text.replace(" ", "")])


TRUTH = marks("1111111111 1111111111 0000000000 0000000000 0000000000 0000000000")
CALLS = marks("1111111111 1111110000 1111000000 0000000000 0000000000 0000000011")
REFER = marks("1100000000 0000000011 1000000000 0000000000 0000000000 0000000000")
REJECTED = marks("0000000000 0000001100 0000000000 0000000000 0000000000 0000000011")


def at(prevalence: float, enough: tuple[bool, bool] = (True, True)) -> dict[str, Any]:
    sampler = Sampler([str(i) for i in range(60)], 0, 300)
    return operating(sampler, TRUTH, CALLS, REFER, REJECTED, prevalence, enough)


def test_a_table_by_hand() -> None:
    told = at(0.1)
    assert told["sensitivity"]["value"] == 16 / 20
    assert (told["sensitivity"]["low"], told["sensitivity"]["high"]) == wilson(16, 20)
    assert told["specificity"]["value"] == 34 / 40  # the two rejected count as wrong
    # Of 1,000 films 100 have pneumonia: 4 of 20 referred; 1 of 40 of the others.
    assert told["refer_rate"]["value"] == pytest.approx(0.1 * 4 / 20 + 0.9 * 1 / 40)
    assert told["decided"]["sensitivity"]["value"] == 14 / 14
    assert told["decided"]["specificity"]["value"] == 34 / 37
    assert told["decided"]["n"] == 51
    (here,) = (row for row in told["predictive"] if row["given"])
    hit, alarm = 0.1 * 16 / 20, 0.9 * 6 / 40
    assert here["ppv"]["value"] == pytest.approx(hit / (hit + alarm))
    clear, miss = 0.9 * 34 / 40, 0.1 * 4 / 20
    assert here["npv"]["value"] == pytest.approx(clear / (clear + miss))
    assert here["ppv"]["low"] < here["ppv"]["value"] < here["ppv"]["high"]
    ill, well = told["per_1000"]["pneumonia"], told["per_1000"]["no pneumonia"]
    assert {k: v["value"] for k, v in ill.items()} == pytest.approx(
        {"called": 70, "referred": 20, "missed": 0, "rejected": 10}
    )
    assert {k: v["value"] for k, v in well.items()} == pytest.approx(
        {"called": 67.5, "referred": 22.5, "cleared": 765, "rejected": 45}
    )


def test_every_film_is_in_the_tally_once() -> None:
    for share in (0.02, 0.5):
        tally = at(share)["per_1000"]
        assert sum(x["value"] for t in tally.values() for x in t.values()) == pytest.approx(1000)


def test_nothing_is_said_of_a_class_with_too_few() -> None:
    told = at(0.1, (False, True))
    assert told["sensitivity"] is not None
    assert told["specificity"] is told["refer_rate"] is told["per_1000"] is None
    assert told["predictive"] == []


@pytest.mark.parametrize(
    ("n", "rank"), [(58, 0), (59, 1), (92, 1), (93, 2), (124, 3), (153, 4), (181, 5)]
)
def test_wilks(n: int, rank: int) -> None:
    """Sample sizes of one-sided tolerance limits, 95 % of 95 %, by order (tables after Wilks)."""
    assert _films_beyond(n, 0.05) == rank


def test_many_films_are_no_trouble() -> None:
    for n, miss in ((100_000, 0.05), (20_000, 0.5)):
        normal = n * miss - 1.645 * np.sqrt(n * miss * (1 - miss))
        assert _films_beyond(n, miss) == pytest.approx(normal, abs=4)


def with_pneumonia(n: int, seed: int, each: int = 1) -> Films:
    truth = np.arange(2 * n) < n
    z = network(truth, np.random.default_rng(seed))
    return Films(z, truth, np.array([f"p{i // each}" for i in range(2 * n)]), 0.5)


def test_the_sure_threshold_keeps_its_promise() -> None:
    kept = []
    for seed in range(400):
        sure = sure_threshold(with_pneumonia(150, seed), Platt(), 0.9)
        assert sure is not None
        # The share above, of N(1, 1.3), by a large sample.
        kept.append(sure.value)
    new = sigmoid(network(np.ones(100_000, bool), np.random.default_rng(9)))
    reached = np.array([(new >= t).mean() for t in kept]) >= 0.9
    assert 0.93 <= reached.mean() <= 0.995


def test_it_counts_patients_and_wants_enough_of_them() -> None:
    assert sure_threshold(with_pneumonia(58, 0), Platt(), 0.95) is None
    assert sure_threshold(with_pneumonia(58 * 2, 0, each=2), Platt(), 0.95) is None
    sure = sure_threshold(with_pneumonia(59, 0), Platt(), 0.95)
    assert sure is not None
    f = with_pneumonia(59, 0)
    assert sure.value < sigmoid(f.z[f.truth].min())
    assert "order statistic 1 of 59 patients" in sure.how


@pytest.mark.parametrize("method", ["slope", "isotonic"])
def test_another_share_moves_probabilities_and_no_decision(method: str) -> None:
    f, base = with_pneumonia(200, 1), Platt(0.5, 0.3)
    same = local_point(f, method, base, 0.9, 0.5, "shipped")
    rare = local_point(f, method, base, 0.9, 0.02, "shipped")
    z = np.linspace(-8, 8, 200)
    shift = to_logit(rare.calibration.probability(z)) - to_logit(same.calibration.probability(z))
    assert shift == pytest.approx(float(to_logit(0.02) - to_logit(0.5)))
    for point in (same, rare):
        network_cut = point.calibration.undo(point.threshold)
        assert network_cut == pytest.approx(same.calibration.undo(same.threshold))
    low = [p.calibration.undo([p.refer.low, p.refer.high]) for p in (same, rare)]
    assert low[0] == pytest.approx(low[1])
    assert rare.calibration.prevalence == 0.02
    assert "moved by the intercept" in rare.calibration.how
    assert "moved by" not in same.calibration.how
    assert bool(same.to_card()["calibration"].get("bends")) == (method == "isotonic")
    assert {"decision", "sensitivity_90", "sensitivity_90_sure"} <= set(same.thresholds)
    assert same.thresholds["decision"].value == same.thresholds["sensitivity_90"].value
    assert same.thresholds["sensitivity_90_sure"].value < same.threshold
