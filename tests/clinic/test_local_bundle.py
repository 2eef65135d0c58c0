"""The local bundle: signed by somebody, read like any other, and it remembers its films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from clinics import clinic, write_films
from firstread import Reader
from firstread.clinic.bundle import check_signature, write_local
from firstread.clinic.films import score_and_look
from firstread.clinic.onboard import onboard
from firstread.cohort.table import load_cohort
from firstread.errors import DataError, OutputError
from firstread.evaluate.calibration import Platt
from firstread.evaluate.operating import OperatingPoint
from firstread.evaluate.seen import seen_warnings
from firstread.read.bundle import Bundle

SIGNED = {"by": "Dr A. Person", "date": "2026-03-01"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("b") / "bundle"
    return Bundle.load(tiny_bundle(folder, data={"source": "here", "validation_sha256": "b" * 64}))


def found(base: Bundle, n: int = 240, **asked: Any) -> tuple[OperatingPoint, dict[str, Any]]:
    made = onboard(*clinic(base, n), base, draws=50, **asked)
    assert made.point is not None
    return made.point, made.result


def test_it_reads_films_by_the_local_point(base: Bundle, tmp_path: Path) -> None:
    point, result = found(base, sensitivity=0.9, prevalence=0.2)
    local = write_local(tmp_path / "local", base, point, result, SIGNED)
    reader, shipped = Reader(local.path), Reader(base)
    for path in sorted(write_films(tmp_path / "films", 8).rglob("*.png")):
        opinion, before = reader.read(path), shipped.read(path)
        assert before.logit == opinion.logit
        expected = float(point.calibration.probability(opinion.logit))
        assert opinion.probability == pytest.approx(expected, abs=1e-12)
        assert opinion.threshold == point.threshold
    assert local.onnx_path.read_bytes() == base.onnx_path.read_bytes()
    assert any("signed off by Dr A. Person on 2026-03-01" in n for n in opinion.notices)
    assert set(before.notices) < set(opinion.notices)


def test_the_card_says_where_it_comes_from(base: Bundle, tmp_path: Path) -> None:
    point, result = found(base)
    raw = write_local(tmp_path / "local", base, point, result, SIGNED).card.raw
    assert raw["name"] == "tiny-local-2026-03-01"
    assert raw["derived_from"] == {
        "name": "tiny",
        "sha256": base.sha256,
        "onnx_sha256": base.card.onnx_sha256,
    }
    assert raw["local"]["signed"] == SIGNED
    assert raw["local"]["auc"] == result["auc"]
    assert (raw["local"]["films"], raw["local"]["pneumonia"]) == (240, 120)
    assert raw["data"] == {**base.card.raw["data"], "local_sha256": "c" * 64}
    for field in ("licence", "training", "arch", "preprocess", "labels"):
        assert raw[field] == base.card.raw[field]


def test_a_bent_calibration_is_in_the_card_and_read(base: Bundle, tmp_path: Path) -> None:
    bent = Platt(1.3, 0.2, "by hand", 0.5, bends=((-1.0, -2.0), (1.0, 0.5)))
    point, result = found(base)
    point = OperatingPoint(bent, point.thresholds, point.refer)
    local = write_local(tmp_path / "local", base, point, result, SIGNED)
    assert local.card.raw["calibration"]["bends"] == [[-1.0, -2.0], [1.0, 0.5]]
    for z in np.linspace(-5, 5, 30):
        assert local.card.probability(z) == pytest.approx(float(bent.probability(z)))


def test_onboarding_again_from_a_local_bundle(base: Bundle, tmp_path: Path) -> None:
    """What is found again is the same cut, the name says the new day, the old one is the parent."""
    point, result = found(base, sensitivity=0.9)
    first = write_local(tmp_path / "one", base, point, result, SIGNED)
    again, result = found(first, sensitivity=0.9)
    second = write_local(tmp_path / "two", first, again, result, {**SIGNED, "date": "2027-01-02"})
    assert second.name == "tiny-local-2027-01-02"
    (notice,) = (n for n in second.card.notices if "signed off" in n)
    assert "2027-01-02" in notice
    assert second.card.raw["derived_from"]["sha256"] == first.sha256
    cuts = [float(p.calibration.undo(p.threshold)) for p in (point, again)]
    assert cuts[0] == pytest.approx(cuts[1], abs=1e-6)


def test_evaluating_it_on_its_own_films_is_warned_of(base: Bundle, tmp_path: Path) -> None:
    cohort = load_cohort(write_films(tmp_path / "films", 30))
    made = onboard(*score_and_look(base, cohort), base, draws=50)
    assert made.point is not None
    local = write_local(tmp_path / "local", base, made.point, made.result, SIGNED)
    (warning,) = seen_warnings(cohort, local.card.raw["data"], None)
    assert "the local bundle was set on" in warning
    assert seen_warnings(cohort, base.card.raw["data"], None) == []
    assert seen_warnings(cohort.subset(range(59)), local.card.raw["data"], None) == []


def test_nothing_else_in_the_folder_is_lost(base: Bundle, tmp_path: Path) -> None:
    point, result = found(base)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_local(tmp_path, base, point, result, SIGNED)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_signature_is_whole_or_none() -> None:
    assert check_signature(None, None) is None
    assert check_signature("  Dr A.\n Person ", "2026-03-01") == SIGNED
    for by, date in (("A", None), (None, "2026-03-01"), (" ", "2026-03-01"), ("A", "")):
        with pytest.raises(DataError, match="give both"):
            check_signature(by, date)
    for date in ("1.3.2026", "2026-02-30", "today"):
        with pytest.raises(DataError, match="no such day"):
            check_signature("A", date)
