"""docs/protocol.md as tests: who was trained on, what was chosen where, whose numbers these are.

What needs no film is checked always: the published results, and the splits of the runs beside
the checkout, where there are any. The shipped model's training films are known by their hash,
so that with the real films the split it was trained by can be made again and looked through.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstread.cohort.hashes import prefixes
from firstread.cohort.split import COLUMNS, SplitPlan, make_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.seen import seen_warnings
from firstread.train.recipe import load_recipe, make_recipe

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
CARD: dict[str, Any] = json.loads(
    (ROOT / "src" / "firstread" / "read" / "shipped" / "card.json").read_text(encoding="utf-8")
)
CHOSEN_THERE = "validation films of the"
NIH_NAME = re.compile(r"(?<!\d)\d{8}_\d{3}(?!\d)")
AT_A_THRESHOLD = {
    "accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "npv", "f1",
    "confusion", "classes", "thresholds", "selective", "prevalence", "calibration", "ece", "brier",
    "loss", "corruptions",
}  # fmt: skip

Row = dict[str, str]


def leaks(rows: Iterable[Row]) -> list[str]:
    """Patients and contents that are in more than one part of a split."""
    parts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        parts[f"patient {row['patient']}"].add(row["part"])
        parts[f"content {row['sha256']}"].add(row["part"])
    return sorted(what for what, where in parts.items() if len(where) > 1)


def from_nih(rows: Iterable[Row], hashes: Iterable[str] = ()) -> list[str]:
    """Files of a split's training part that are NIH films, by name or by content."""
    known = set(hashes)
    return [
        row["file"]
        for row in rows
        if row["part"] == "train" and (NIH_NAME.search(row["file"]) or row["sha256"] in known)
    ]


def rows_of(split: Cohort) -> list[Row]:
    return [
        {"file": r.file, "part": r.part, "patient": r.patient, "sha256": sha}
        for r, sha in zip(split.rows, split.hashes, strict=True)
    ]


def splits() -> list[Path]:
    """Splits of the runs in RUNS (runs/), where scripts/studies.sh puts them; and tracked ones."""
    folder = Path(os.environ.get("RUNS", ROOT / "runs"))
    found = [*folder.glob("*/split.csv"), *folder.glob("*/*/split.csv")]
    return sorted(found) + [p for p in tracked(".csv") if set(COLUMNS) <= set(header(p))]


def tracked(*suffixes: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    paths = [ROOT / name for name in done.stdout.split("\0") if name.endswith(suffixes)]
    return [p for p in paths if p.is_file()]


def header(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")


def read_split(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def evaluations() -> Iterator[tuple[str, dict[str, Any]]]:
    """The published results of `firstread evaluate`."""
    for path in sorted(RESULTS.rglob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(result, dict) and {"films", "confusion", "warnings"} <= set(result):
            yield path.relative_to(ROOT).as_posix(), result


EVALUATIONS = dict(evaluations())


def is_shipped(result: dict[str, Any]) -> bool:
    return bool(result["bundle"].get("onnx_sha256") == CARD["onnx"]["sha256"])


def short(file: str) -> str:
    """Class folder and name: what stays of a film's path wherever it is copied."""
    return "/".join(Path(file).parts[-2:])


@pytest.fixture(scope="module")
def real_split(films_dir: Path) -> Cohort:
    """The split that the shipped model was trained by, made again from the real films."""
    return make_split(load_cohort(films_dir / "chest_xray"), SplitPlan())


OF_SHIPPED = ("blocks", "nih", "gate", "hint", "consistency")
"""Results whose pages speak of the model that ships."""


@pytest.mark.parametrize("name", OF_SHIPPED)
def test_what_is_told_of_the_shipped_model_is_of_that_model(name: str) -> None:
    bundle = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["bundle"]
    assert bundle["name"] == CARD["name"]
    assert CARD["sha256"] in {bundle.get("sha256"), bundle.get("card_sha256")} or (
        bundle.get("onnx_sha256") == CARD["onnx"]["sha256"]
    )


def test_the_shipped_model_is_of_the_shipped_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    version = CARD["name"].rpartition("-")[2]
    for name in ("default", "settle"):
        assert load_recipe(name) == load_recipe(f"studies/{name}-{version}.toml")
    training = CARD["training"]
    assert make_recipe(training["recipe"], "the card's") == load_recipe("settle")


# Nobody is on both sides


def test_what_ships_is_what_was_frozen() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    frozen = dict(re.findall(r"^\| `([\w.]+)` \| `([0-9a-f]{64})` \|$", text, re.MULTILINE))
    shipped = ROOT / "src" / "firstread" / "read" / "shipped"
    assert frozen == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in shipped.iterdir()
        if file.suffix in (".json", ".onnx")
    }, "another model than the frozen one: freeze it anew in docs/protocol.md, and say so"


def test_a_leak_would_be_seen() -> None:
    row = {"file": "a", "part": "train", "patient": "p", "sha256": "1"}
    assert leaks([row, row | {"patient": "q", "sha256": "2", "part": "val"}]) == []
    assert leaks([row, row | {"sha256": "2", "part": "val"}]) == ["patient p"]
    assert leaks([row, row | {"patient": "q", "part": "val"}]) == ["content 1"]


def test_no_validation_patient_is_in_the_training_of_any_run() -> None:
    # In one test: runs come and go while tests are collected.
    for path in splits():
        rows = read_split(path)
        name = f"{path.parent.name}/{path.name}"
        assert {r["part"] for r in rows} == {"train", "val"}, name
        assert leaks(rows) == [], name
        assert from_nih(rows) == [], name


@pytest.mark.films
def test_no_validation_patient_is_in_the_shipped_model_s_training(real_split: Cohort) -> None:
    data = CARD["data"]
    # The hash tells the films, the counts that they were parted this way.
    assert real_split.data_hash() == data["sha256"]
    for part, prefix in (("train", ""), ("val", "validation_")):
        films = real_split.part(part)
        assert len(films) == data[f"{prefix}films"]
        assert len(set(films.patients)) == data[f"{prefix}patients"]
    assert leaks(rows_of(real_split)) == []
    trained = set(real_split.part("train").patients)
    for name, result in EVALUATIONS.items():
        if is_shipped(result):
            assert not trained & {film["patient"] for film in result["films"]}, name


# No film of the other hospital


def test_an_nih_film_would_be_seen() -> None:
    row = {"file": "NORMAL/00003672_002.jpeg", "part": "train", "patient": "p", "sha256": "1"}
    assert from_nih([row]) == [row["file"]]
    assert from_nih([row | {"part": "val"}]) == []
    renamed = row | {"file": "NORMAL/IM-0003672-0002.jpeg"}
    assert from_nih([renamed]) == []
    assert from_nih([renamed], ["1"]) == [renamed["file"]]


@pytest.mark.films
def test_no_nih_film_is_in_any_training_list(films_dir: Path, real_split: Cohort) -> None:
    hashes = load_cohort(films_dir / "nih_adult.csv").hashes
    assert len(set(hashes)) >= 250
    assert from_nih(rows_of(real_split), hashes) == []
    for path in splits():
        assert from_nih(read_split(path), hashes) == [], path.parent.name
    # Lists that ship with the package, as of the films a teacher was asked about.
    for path in tracked(".csv", ".json", ".toml"):
        if path.is_relative_to(ROOT / "src"):
            text = path.read_text(encoding="utf-8")
            assert not NIH_NAME.search(text), path.name
            assert not [h for h in hashes if h in text], path.name


# What was chosen on the films it is reported on is said to be


@pytest.mark.parametrize("name", EVALUATIONS)
def test_a_result_on_the_films_its_threshold_was_chosen_on_says_so(name: str) -> None:
    result = EVALUATIONS[name]
    films = {short(film["file"]) for film in result["films"]}
    same = result["data"].get("part") == "val" or any(
        other["bundle"].get("onnx_sha256") == result["bundle"].get("onnx_sha256")
        and other["data"].get("part") == "val"
        and films & {short(film["file"]) for film in other["films"]}
        for other in EVALUATIONS.values()
    )
    if same:
        assert any(CHOSEN_THERE in warning for warning in result["warnings"])


@pytest.mark.parametrize("page", ["README.md", "MODEL_CARD.md"])
def test_the_front_pages_give_no_decision_on_films_that_chose_the_threshold(page: str) -> None:
    wrong = []
    for file, key in markers(page):
        warnings = EVALUATIONS.get(file, {}).get("warnings", [])
        if (
            any(CHOSEN_THERE in w for w in warnings)
            and re.split(r"[.\[]", key)[0] in AT_A_THRESHOLD
        ):
            wrong.append(f"{file} {key}")
    assert wrong == []


def test_the_card_alone_tells_its_validation_films(tmp_path: Path) -> None:
    """Without the run's folder beside it, as with the bundle that ships."""
    write_folder(tmp_path, 12, seed=2, size=48)
    split = make_split(load_cohort(tmp_path), SplitPlan(by="patient", fraction=0.4))
    val = split.part("val")
    data = {"sha256": split.data_hash(), "validation_sha256": val.data_hash()}
    (warning,) = seen_warnings(val, data, None)
    assert CHOSEN_THERE in warning
    assert "threshold" in warning
    # As one part of what was handed in, too; and the whole set is told as such.
    assert any(CHOSEN_THERE in w for w in seen_warnings(split, data, None))
    assert any("very films" in w for w in seen_warnings(split, data, None))
    assert seen_warnings(split.part("train"), data, None) == []


def test_the_card_alone_tells_the_films_it_was_trained_on(tmp_path: Path) -> None:
    """Any of them, beside films that are new; and where an older card cannot, that is said."""
    write_folder(tmp_path, 12, seed=2, size=48)
    split = make_split(load_cohort(tmp_path), SplitPlan(by="patient", fraction=0.4))
    train = split.part("train")
    data = {"sha256": "", "films": len(train), "trained_on": prefixes(train.hashes)}
    assert seen_warnings(split.part("val"), data, None) == []
    n = len(split)
    (warning,) = seen_warnings(split, data, None)
    assert f"{len(train)} of {n} films are among the model's training films" in warning
    (few,) = seen_warnings(train.subset([0, 3]), data, None)
    assert "2 of 2 films are among" in few
    del data["trained_on"]
    (unknown,) = seen_warnings(split, data, None)
    assert f"{n} of {n} films are named as those of the public set" in unknown
    # Whatever a part is called: only the folder tells that a film is of the public test.
    kept = split.retold([replace(row, part="test") for row in split.rows])
    assert seen_warnings(kept, data, None) == [unknown]
    folder = [replace(row, file=f"test/{row.file}") for row in split.rows]
    assert seen_warnings(split.retold(folder), data, None) == []


# The numbers are those of the model that ships (that they are those of their JSON: test_docs)


def test_the_model_card_s_numbers_are_of_the_shipped_model() -> None:
    used = {file for file, _ in markers("MODEL_CARD.md") if file in EVALUATIONS}
    assert used, "the model card gives no result"
    for file in used:
        result = EVALUATIONS[file]
        assert is_shipped(result), f"{file} is of another model; evaluate the shipped one again"
        assert result["threshold"] == CARD["thresholds"]["decision"]["value"], file
        calibration = result["bundle"]["calibration"]
        assert calibration["slope"] == CARD["calibration"]["slope"], file
        assert calibration["intercept"] == CARD["calibration"]["intercept"], file
        band = result["selective"]
        assert (band["low"], band["high"]) == (CARD["refer"]["low"], CARD["refer"]["high"]), file


def test_the_model_card_types_no_sentence_of_the_card_by_hand() -> None:
    """How threshold, band and calibration were chosen stands there as the card has it."""
    keys = {key for file, key in markers("MODEL_CARD.md") if file.endswith("shipped/card.json")}
    assert {"thresholds.decision.how", "refer.how", "calibration.how"} <= keys


def markers(page: str) -> list[tuple[str, str]]:
    """(file, key) of each number that a page takes from a JSON."""
    spec = importlib.util.spec_from_file_location(
        "fill_numbers", ROOT / "scripts" / "fill_numbers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / page).read_text(encoding="utf-8")
    words = [m["what"].split() for m in module.MARKER.finditer(text)]
    return [(w[0], w[1]) for w in words if len(w) > 1]
