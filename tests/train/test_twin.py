"""A run's twin: the same recipe on another split, whose validation films are of another batch."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from firstread.cli.main import main
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.table import load_cohort
from firstread.errors import RunError
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


def hashes(run: Path) -> list[str]:
    with (run / "split.csv").open(newline="") as f:
        return [row["sha256"] for row in csv.DictReader(f)]


def test_the_films_a_twin_never_saw(pair: tuple[Path, Path]) -> None:
    shifted = load_twin(pair[1], tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    assert len(shifted.logits) == len(shifted.labels) == shifted.told["films"]["val"]
    assert set(np.unique(shifted.labels)) == {0, 1}


def test_what_is_no_twin(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="by another recipe"):
        load_twin(pair[1], tiny_recipe(epochs=2), record(pair[0]), hashes(pair[0]))
    with pytest.raises(RunError, match="no finished run"):
        load_twin(tmp_path, tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    with pytest.raises(RunError, match="the run itself"):
        load_twin(pair[0], tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    (tmp_path / "run.json").write_text("[7]")
    with pytest.raises(RunError, match="no finished run"):
        load_twin(tmp_path, tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    same = tmp_path / "same"
    shutil.copytree(pair[1], same)
    text = (same / "split.csv").read_text()
    (same / "split.csv").write_text(text.replace("NORMAL2-IM,normal", "IM,normal"))
    with pytest.raises(RunError, match="has seen normal films of the series"):
        load_twin(same, tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    (same / "run.json").write_text(json.dumps(record(pair[1]) | {"finished": False}))
    with pytest.raises(RunError, match="no finished run"):
        load_twin(same, tiny_recipe(epochs=1), record(pair[0]), hashes(pair[0]))
    others = {"weights": {"sha256": "another"}}, {"start": {"recipe": {"lr": 1}, "start": None}}
    for other in others:
        with pytest.raises(RunError, match="began otherwise"):
            load_twin(pair[1], tiny_recipe(epochs=1), record(pair[0]) | other, hashes(pair[0]))
    with pytest.raises(RunError, match="shares no film with the run"):
        load_twin(pair[1], tiny_recipe(epochs=1), record(pair[0]), ["0" * 64])


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
    split = (tmp_path / "elsewhere" / "split.csv").read_text().splitlines()
    rows = [line.rpartition(",")[0] + f",{i:064x}" for i, line in enumerate(split[1:])]
    (tmp_path / "elsewhere" / "split.csv").write_text("\n".join([split[0], *rows]))
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
