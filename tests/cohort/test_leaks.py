"""Leaks by metadata: the AUC of one property, and when it is worth a warning."""

import numpy as np
import pytest

from firstread.cohort.leaks import find_leaks, not_judged


def test_a_property_that_follows_the_label_is_named() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 60)
    leaks = find_leaks(
        {
            "noise": list(rng.normal(size=120)),
            "bytes": list(rng.normal(-2.0 * labels)),
            "width": [224] * 120,
        },
        labels,
    )
    assert [k.name for k in leaks] == ["bytes", "noise", "width"]
    assert leaks[0].warning
    assert leaks[0].higher_in == "NORMAL"
    assert leaks[0].auc is not None
    assert leaks[0].auc > 0.85
    assert not leaks[1].warning
    assert leaks[2].constant
    assert leaks[2].auc is None


def test_a_category_counts_by_its_share_of_pneumonia() -> None:
    labels = np.repeat([0, 1], 50)
    modes = ["L"] * 50 + ["RGB"] * 40 + ["L"] * 10
    [leak] = find_leaks({"mode": modes}, labels)
    assert leak.auc == pytest.approx(0.9)
    assert leak.higher_in == ""
    assert leak.warning


def test_a_tiny_folder_is_not_accused_by_chance() -> None:
    [leak] = find_leaks({"bytes": [1, 2, 3, 4]}, np.array([0, 0, 1, 1]))
    assert leak.auc == 1.0
    assert not leak.warning


def test_what_cannot_be_judged_is_left_out() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [-1] * 5)
    ids = [f"id{i}" for i in range(45)]
    half = [None] * 10 + [1.0] * 10 + [2.0] * 25
    assert find_leaks({"ids": ids, "half": half}, labels) == []
    assert find_leaks({"bytes": [1.0, 2.0]}, np.array([1, 1])) == []
    [unlabelled_ignored] = find_leaks({"age": [float(i) for i in range(45)]}, labels)
    assert unlabelled_ignored.films == 40


def test_what_is_left_out_is_told_with_the_reason() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [-1] * 5)
    told = not_judged(
        {
            "ids": [f"id{i}" for i in range(45)],
            "half": [None] * 10 + [1.0] * 35,
            "none": [None] * 45,
            "age": [float(i) for i in range(45)],
            "same": ["AP"] * 45,
        },
        labels,
    )
    assert told == {
        "ids": "more than 10 different texts",
        "half": "known for under nine films in ten of a class",
    }
    assert not_judged({"ids": ["a", "b"]}, [1, 1]) == {}
