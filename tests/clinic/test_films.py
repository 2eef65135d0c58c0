"""Films as numbers: what is kept of an opinion, and whose referral is whose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from clinics import write_films
from firstread.clinic.films import Watch, look_at, looked, one_a_patient, score_and_look
from firstread.cohort.table import load_cohort
from firstread.evaluate import shortcuts
from firstread.evaluate.kept import seen
from firstread.evaluate.shortcuts import headers_of
from firstread.read.bundle import Bundle
from firstread.read.gate import Verdict
from firstread.read.opinion import Opinion, decide, rejected


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(tiny_bundle(tmp_path_factory.mktemp("b") / "bundle"))


@pytest.mark.parametrize(
    ("p", "verdict", "age", "aside"),
    [
        (0.5, Verdict(), None, False),  # the band; that the age is not known refers nobody
        (0.5, Verdict(), 3.0, False),
        (0.9, Verdict(), None, False),
        (0.9, Verdict(), 40.0, True),  # whatever the band, an adult goes to a person
        (0.5, Verdict(), 40.0, True),
        (0.9, Verdict(refer="it may lie on its side"), None, True),
        (0.5, Verdict(refer="it may lie on its side"), None, True),
        (0.9, Verdict(reject="no film"), None, False),
    ],
)
def test_the_band_is_told_from_all_else_that_refers(
    bundle: Bundle, p: float, verdict: Verdict, age: float | None, aside: bool
) -> None:
    watch = Watch(bundle.card)
    watch(seen(Opinion("f", p, 0.0, 0.5, *decide(p, verdict, bundle, age))))
    assert watch.aside == [aside]
    assert watch.rejected == [verdict.reject is not None]


def test_a_film_that_could_not_be_read_has_no_numbers(bundle: Bundle) -> None:
    watch = Watch(bundle.card)
    watch(seen(rejected("f", "broken", bundle)))
    assert np.isnan(watch.rows).all()
    assert (watch.aside, watch.rejected) == ([False], [True])


def test_films_are_read_once_for_opinion_and_look(bundle: Bundle, tmp_path: Path) -> None:
    root = write_films(tmp_path, 6)
    (root / "NORMAL" / "0.png").write_bytes(b"no film")
    cohort = load_cohort(root)
    scored, look = score_and_look(bundle, cohort)
    assert len(look) == 12
    assert look.rejected.tolist() == [True] + 11 * [False]
    numbers = look.numbers
    assert set(numbers) == {"logit", "grey", "contrast", "black", "aspect", "area", "bytes"}
    assert look.logit[1:] == pytest.approx((numbers["grey"][1:] / 255 - 0.5) * 10, abs=1e-4)
    assert scored.probabilities[1:] == pytest.approx(1 / (1 + np.exp(-look.logit[1:])))
    assert (numbers["aspect"][1:] == 1).all()
    assert (numbers["area"][1:] == 1600).all()
    assert numbers["bytes"][1] == (root / "NORMAL" / "1.png").stat().st_size
    again = look_at(bundle, cohort)
    for name, values in numbers.items():
        assert np.array_equal(values, again.numbers[name], equal_nan=True)


def test_a_films_header_is_read_once(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the opinions' shortcuts and for the look alike: it takes the whole file each time."""
    cohort = load_cohort(write_films(tmp_path, 3))
    read, real = list[Path](), shortcuts.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path)
        return real(path)

    monkeypatch.setattr(shortcuts, "read_bytes", counted)
    scored, look = score_and_look(bundle, cohort)
    assert sorted(read) == sorted(cohort.paths)
    for name in ("area", "bytes"):
        assert np.array_equal(scored.numbers[name][0], look.numbers[name])


def test_sizes_are_those_of_the_files_at_hand(bundle: Bundle, tmp_path: Path) -> None:
    root = write_films(tmp_path, 1)
    table = root / "films.csv"
    table.write_text("file,label,original_width,original_height\nNORMAL/0.png,,2000,1000\n")
    cohort = load_cohort(table, need_labels=False)
    watch = Watch(bundle.card)
    watch(seen(rejected("f", "broken", bundle)))
    assert looked(headers_of(cohort), watch).numbers["area"].tolist() == [1600]


def test_a_film_of_each_patient_in_order_and_the_same_each_time() -> None:
    patients = ["b", "a", "b", "c", "a"]
    drawn = list(one_a_patient(patients))
    assert sorted(patients[i] for i in drawn) == ["a", "b", "c"]
    assert drawn == sorted(drawn) == list(one_a_patient(patients))
    assert list(one_a_patient([])) == []


def test_of_patients_with_normal_films_and_others_both_kinds_are_kept() -> None:
    """As folders give them: all normal films first."""
    patients = [f"p{i}" for i in range(100)] * 2
    assert 35 < np.sum(one_a_patient(patients) >= 100) < 65


def test_the_first_film_as_baselines_from_before_have_it() -> None:
    assert list(one_a_patient(["b", "a", "b", "a", "c"], first=True)) == [0, 1, 4]
