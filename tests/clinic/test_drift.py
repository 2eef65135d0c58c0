"""Drift: numbers of papers, quiet while nothing changes, loud when something does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firstread.clinic import drift
from firstread.clinic.drift import (
    NAMES,
    RATES,
    _moved,
    baseline,
    chi_squared_99,
    compare,
    load_baseline,
    newcombe,
)
from firstread.clinic.films import Look
from firstread.errors import DataError
from firstread.evaluate.intervals import Z95

CUTS = {"threshold": 0.0, "refer_low": -1.0, "refer_high": 1.0}


def look(n: int, seed: int, more: float = 0.0, width: float = 512.0, lost: float = 0.0) -> Look:
    """Films of two kinds of sizes, all else normal; `lost`: share rejected."""
    rng = np.random.default_rng(seed)
    no = rng.random(n) < lost
    z = np.where(no, np.nan, rng.normal(more, 3, n))
    numbers = {
        "logit": z,
        "grey": rng.normal(120, 10, n),
        "aspect": rng.choice([1.0, 1.2, 1.25], n),
        "area": rng.choice([1e6, 2e6], n),
        "bytes": rng.lognormal(10, 0.3, n),
        "black": np.full(n, width),
    }
    return Look(z, (rng.random(n) < 0.05) & ~no, no, numbers)


def test_the_index_by_hand() -> None:
    was, now = np.array([0.5, 0.0, 0.5]), np.array([0.7, 0.0, 0.3])
    found = _moved(was, now, 1e7, 10_000_000)
    assert found["psi"] == pytest.approx(
        0.2 * np.log(0.7 / 0.5) - 0.2 * np.log(0.3 / 0.5), rel=1e-4
    )
    assert (found["moved"], found["much"]) == (True, False)
    assert _moved(was, was, 100, 100)["psi"] == 0.0
    assert not _moved(was, now, 30, 10)["moved"]  # chance does as much with so few


def test_newcombes_example(monkeypatch: pytest.MonkeyPatch) -> None:
    # Newcombe 1998, table II (a), method 10: 56/70 - 48/80 has 0.0524 to 0.3339, at 95 %.
    wide = newcombe(56 / 70, 70, 48 / 80, 80)
    monkeypatch.setattr(drift, "Z99_TWO", Z95)
    told = newcombe(56 / 70, 70, 48 / 80, 80)
    assert told["value"] == pytest.approx(0.2)
    assert (round(told["low"], 4), round(told["high"], 4)) == (0.0524, 0.3339)
    assert wide["low"] < told["low"] < told["high"] < wide["high"]


def test_chi_squared() -> None:
    for df, point in ((1, 6.635), (2, 9.210), (9, 21.666), (20, 37.566)):
        assert chi_squared_99(df) == pytest.approx(point, rel=0.02)


def test_without_a_change_it_is_mostly_quiet() -> None:
    """Of many comparisons of the same clinic with itself few say that something changed."""
    for n, m in ((200, 200), (300, 40)):
        cries = [
            bool(compare(baseline(look(n, 2 * s), CUTS, "net"), look(m, 2 * s + 1), "net")["moved"])
            for s in range(150)
        ]
        assert np.mean(cries) <= 0.10


def test_what_changed_is_named() -> None:
    base = json.loads(json.dumps(baseline(look(300, 0), CUTS, "net"), allow_nan=False))
    told = compare(base, look(300, 1, more=3.0), "net")
    assert {"logit", "called"} <= set(told["moved"]) <= {"logit", "called", "referred"}
    assert told["numbers"]["logit"]["much"]
    assert told["numbers"]["logit"]["mean"] > told["numbers"]["logit"]["mean_before"] + 2
    assert "rejected" in compare(base, look(300, 1, lost=0.1), "net")["moved"]
    json.dumps(told, allow_nan=False)


def test_a_value_all_films_share_cannot_change_unseen() -> None:
    base = baseline(look(200, 0), CUTS, "net")
    for width in (512.1, 511.0):
        told = compare(base, look(200, 1, width=width), "net")
        assert told["moved"] == ["black"]
        assert told["numbers"]["black"]["much"]


def test_the_baseline_holds_tenths_and_rates() -> None:
    films = look(1000, 0, lost=0.1)
    told = baseline(films, CUTS, "net")
    z = films.logit[~films.rejected]
    assert told["n"] == told["n_effective"] == 1000
    assert told["numbers"]["logit"]["n"] == len(z)
    assert told["numbers"]["logit"]["quantiles"][5] == pytest.approx(np.median(z), abs=0.05)
    for row in told["numbers"].values():
        assert sum(row["shares"]) == pytest.approx(1)
        assert len(row["shares"]) == 2 * len(row["edges"]) + 1
    band = (np.abs(z) <= 1) | films.aside[~films.rejected]
    assert told["rates"]["referred"]["value"] == pytest.approx(band.sum() / 1000)
    assert told["rates"]["called"]["value"] == pytest.approx(((z >= 0) & ~band).sum() / 1000)
    assert set(told["rates"]) == set(RATES)
    assert {*told["numbers"], *told["rates"]} <= set(NAMES)


def test_films_can_be_weighed_to_the_share_of_routine() -> None:
    """Half of the films onboarded had pneumonia, one in ten of those that come has: no drift."""
    rng = np.random.default_rng(0)

    def clinic(n1: int, n0: int) -> Look:
        z = rng.normal(np.repeat([2.0, -2.0], [n1, n0]), 1.0)
        return Look(z, np.zeros(n1 + n0, bool), np.zeros(n1 + n0, bool), {"logit": z})

    first, later = clinic(200, 200), clinic(60, 540)
    weights = np.repeat([0.2, 1.8], 200)
    weighed = baseline(first, CUTS, "net", weights)
    assert weighed["n_effective"] == pytest.approx(400**2 / (200 * 0.2**2 + 200 * 1.8**2))
    assert compare(weighed, later, "net")["moved"] == []
    assert "logit" in compare(baseline(first, CUTS, "net"), later, "net")["moved"]


def test_what_cannot_be_compared_is_refused() -> None:
    base = baseline(look(100, 0), CUTS, "net")
    with pytest.raises(DataError, match="another network"):
        compare(base, look(100, 1), "other")
    with pytest.raises(DataError, match="19 films are too few"):
        compare(base, look(19, 1), "net")
    few = look(100, 1, lost=0.9)  # rates can be compared, numbers of so few cannot
    assert "logit" not in compare(base, few, "net")["numbers"]


@pytest.mark.parametrize("text", [None, "no json", "[]", "{}", '{"drift": null}', '{"drift": 3}'])
def test_a_file_without_a_baseline_is_named(tmp_path: Path, text: Any) -> None:
    path = tmp_path / "onboard.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r"onboard\.json: (no baseline|holds no drift)"):
        load_baseline(path)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["onnx_sha256"], None, "onnx_sha256"),
        (["n_effective"], 0, "n_effective"),
        (["n_effective"], True, "n_effective"),
        (["cuts", "refer_low"], "low", "cuts"),
        (["cuts", "threshold"], float("nan"), "cuts"),
        (["cuts"], [], "cuts"),
        (["rates", "called"], None, "rates"),
        (["rates", "called", "value"], 1.5, "rates"),
        (["numbers"], [], "numbers"),
        (["numbers", "logit"], None, "numbers: logit"),
        (["numbers", "logit", "n"], -1, "numbers: logit"),
        (["numbers", "logit", "mean"], 10**400, "numbers: logit"),
        (["numbers", "logit", "edges"], [1.0, 0.5], "numbers: logit"),
        (["numbers", "logit", "shares"], [0.5, 0.5], "numbers: logit"),
        (["numbers", "logit", "shares"], None, "numbers: logit"),
        (["numbers", "sharpness"], {}, "numbers: sharpness"),
    ],
)
def test_a_baseline_that_was_changed_by_hand_is_told_at_once(
    tmp_path: Path, place: list[str], value: Any, said: str
) -> None:
    """And not after all the films were read."""
    made = json.loads(json.dumps(baseline(look(100, 0), CUTS, "net")))
    at = made
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = value
    (tmp_path / "onboard.json").write_text(json.dumps({"drift": made}))
    with pytest.raises(DataError, match=rf"is damaged \({said}\); name the onboard\.json"):
        load_baseline(tmp_path / "onboard.json")


def test_a_baseline_comes_back_from_either_file(tmp_path: Path) -> None:
    made = baseline(look(100, 0), CUTS, "net")
    for told in (made, {"drift": made}):
        (tmp_path / "f.json").write_text(json.dumps(told))
        assert load_baseline(tmp_path / "f.json") == json.loads(json.dumps(made))
