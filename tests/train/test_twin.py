"""A run's twin: the same recipe on another split, whose validation films are of another batch."""

import csv
import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from firstread.cli.main import main
from firstread.cohort.hashes import combined_sha256
from firstread.cohort.split import SplitPlan, load_split, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import RunError
from firstread.film.files import csv_text
from firstread.read.bundle import Bundle
from firstread.train.run import train
from firstread.train.twin import load_twin
from tiny_training import tiny_job, tiny_recipe


@pytest.fixture(scope="module")
def pair(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on blocks, and its twin on another split."""
    base = tmp_path_factory.mktemp("pair")
    train(tiny_job(films, base / "run", epochs=1))
    save_split(make_split(load_cohort(films), SplitPlan(by="series", test=0.1)), base / "split.csv")
    train(replace(tiny_job(films, base / "twin", epochs=1), split=base / "split.csv"))
    return base / "run", base / "twin"


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def split_of(run: Path, films: Path) -> Cohort:
    return load_split(run / "split.csv", load_cohort(films))


def told_anew(run: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Write a run's split otherwise, and its record by that."""
    with (run / "split.csv").open(newline="") as f:
        rows = [change(row) for row in csv.DictReader(f)]
    text = csv_text(rows[0], ([*row.values()] for row in rows))
    (run / "split.csv").write_text(text)
    state = record(run) | {"data_sha256": combined_sha256(row["sha256"] for row in rows)}
    (run / "run.json").write_text(json.dumps(state))


def test_the_films_a_twin_never_saw(pair: tuple[Path, Path], films: Path) -> None:
    shifted = load_twin(pair[1], tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    assert len(shifted.logits) == len(shifted.labels) == shifted.told["films"]["val"]
    assert set(np.unique(shifted.labels)) == {0, 1}


def test_what_is_no_twin(pair: tuple[Path, Path], films: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="by another recipe"):
        load_twin(pair[1], tiny_recipe(epochs=2), record(pair[0]), split_of(pair[0], films))
    with pytest.raises(RunError, match="no finished run"):
        load_twin(tmp_path, tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    with pytest.raises(RunError, match="the run itself"):
        load_twin(pair[0], tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    (tmp_path / "run.json").write_text("[7]")
    with pytest.raises(RunError, match="no finished run"):
        load_twin(tmp_path, tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    same = tmp_path / "same"
    shutil.copytree(pair[1], same)
    text = (same / "split.csv").read_text()
    (same / "split.csv").write_text(text.replace("NORMAL2-IM,normal", "IM,normal"))
    with pytest.raises(RunError, match="has seen normal films of the series"):
        load_twin(same, tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    (same / "run.json").write_text(json.dumps(record(pair[1]) | {"finished": False}))
    with pytest.raises(RunError, match="no finished run"):
        load_twin(same, tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))
    others = {"weights": {"sha256": "another"}}, {"start": {"recipe": {"lr": 1}, "start": None}}
    for other in others:
        with pytest.raises(RunError, match="began otherwise"):
            load_twin(
                pair[1], tiny_recipe(epochs=1), record(pair[0]) | other, split_of(pair[0], films)
            )
    other_films = load_cohort(write_folder(tmp_path / "others", 4, seed=9, size=48))
    with pytest.raises(RunError, match="shares no film with the run"):
        load_twin(pair[1], tiny_recipe(epochs=1), record(pair[0]), other_films)


@pytest.mark.parametrize("where", ["train", "val", "before"])
def test_a_twin_has_nothing_to_do_with_what_the_run_keeps_apart(
    where: str, pair: tuple[Path, Path], films: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(pair[1], twin)
    run, own = split_of(pair[0], films), split_of(twin, films)
    apart = own.part("test").rows[:1] if where == "before" else own.part(where).rows[:1]
    names = {row.file for row in apart}
    kept = run.retold([replace(r, part="test") if r.file in names else r for r in run.rows])
    how = tiny_recipe(epochs=1), record(pair[0])
    if where == "before":
        assert load_twin(twin, *how, kept).told["films"]
        (twin / "run.json").write_text(json.dumps(record(twin) | {"start": {"films": 1}}))
        how = how[0], how[1] | {"start": {"films": 1}}
        with pytest.raises(RunError, match=r"start.csv: films are missing"):
            load_twin(twin, *how, kept)
        save_split(own.subset([own.rows.index(apart[0])]), twin / "start.csv")
    with pytest.raises(
        RunError, match=r"1 film that the run keeps .* same --test, the run by blocks"
    ):
        load_twin(twin, *how, kept)


def test_a_twin_whose_split_lost_lines_is_refused(
    pair: tuple[Path, Path], films: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(pair[1], twin)
    lines = (twin / "split.csv").read_text().splitlines(keepends=True)
    (twin / "split.csv").write_text("".join(lines[:-3]))
    with pytest.raises(RunError, match="damaged"):
        load_twin(twin, tiny_recipe(epochs=1), record(pair[0]), split_of(pair[0], films))


def test_export_chooses_by_the_twin_and_says_so(
    pair: tuple[Path, Path], films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, twin = map(str, pair)
    out = tmp_path / "bundle"
    anew = ["--data", str(films), "--out", str(out)]
    assert main(["export", run, "--twin", str(films), *anew]) == 2
    told = capsys.readouterr()
    assert "no finished run" in told.err
    assert "fitting the gate" not in told.out, "refused after the work"
    shutil.copytree(twin, tmp_path / "elsewhere")
    numbers = itertools.count()
    told_anew(tmp_path / "elsewhere", lambda row: row | {"sha256": f"{next(numbers):064x}"})
    assert main(["export", run, "--twin", str(tmp_path / "elsewhere"), *anew]) == 2
    assert "shares no film with the run" in capsys.readouterr().err
    assert main(["export", str(films), *anew]) == 2
    assert "not a training run" in capsys.readouterr().err
    assert main(["export", run, "--twin", twin, "--out", str(out)]) == 2
    assert "--twin goes with one run and --data" in capsys.readouterr().err
    assert main(["export", run, "--twin", twin, "--data", str(films), "--out", str(out)]) == 0
    card = Bundle.load(out).card
    assert "a twin of the network" in card.thresholds["decision"].how
    told = card.raw["training"]["twin"]
    assert told["identity"] == json.loads((pair[1] / "run.json").read_text())["identity"]
