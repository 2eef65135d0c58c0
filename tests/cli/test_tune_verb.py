"""The verb `tune`: exit codes, what it prints, and the warning it must give."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("optuna")

import optuna

from firstread.cli import tune as verb
from firstread.cli.main import main
from firstread.train import search_page
from firstread.train import tune as room
from firstread.train.fit import write_history
from firstread.train.recipe import load_recipe, recipe_toml
from tiny_training import tiny_films, tiny_recipe


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with films/ and tiny.toml, and a training that takes no time."""

    def pretend(job: Any, *_: Any, **how: Any) -> dict[str, Any]:
        row = {"epoch": 0.0, "val_auc": 0.9, "val_loss": 0.1, "seconds": 1.0}
        write_history(job.out / "metrics.csv", [row])
        if job.out.name == "trial-003":
            raise KeyboardInterrupt
        failed = [["NORMAL/a.jpeg", "no film"]] if job.out.name == "trial-002" else []
        return {"val_auc": 0.9, "failed_films": failed}

    monkeypatch.setattr(room, "train", pretend)
    monkeypatch.setattr(search_page, "search_figure", lambda *_: None)
    monkeypatch.setattr(search_page, "png", lambda _: b"drawn")
    monkeypatch.setattr(search_page, "svg", lambda *_: "<svg></svg>")
    monkeypatch.setattr("firstread.train.malloc.tune_malloc", lambda: False)
    tiny_films(tmp_path / "films", 8)
    (tmp_path / "tiny.toml").write_text(recipe_toml(tiny_recipe()))
    return tmp_path


def tune(place: Path, trials: int, *words: Any) -> int:
    run = ["tune", place / "tiny.toml", "--data", place / "films", "--out", place / "search"]
    return main([*map(str, run), "--trials", str(trials), *map(str, words)])


def test_a_search_its_end_and_ctrl_c(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(place, 2, "--seed", 5, "--epochs", 1) == 0
    out = capsys.readouterr().out
    assert "best of 2: trial-000, AUC 0.9000" in out
    assert "optimistic" in out
    assert f"firstread train {place / 'search' / 'best.toml'}" in out
    assert load_recipe(str(place / "search" / "best.toml")).seed == 5

    assert tune(place, 3, "--seed", 5, "--epochs", 1) == 1  # one film of that trial failed
    capsys.readouterr()
    assert tune(place, 9, "--seed", 5, "--epochs", 1) == 130
    said = capsys.readouterr()
    assert "3 finished trials are kept" in said.out
    assert said.err == "firstread: interrupted\n"
    assert len(json.loads((place / "search" / "trials.json").read_text())["trials"]) == 3

    assert tune(place, 3, "--seed", 6, "--epochs", 1) == 2
    assert "holds another search" in capsys.readouterr().err


def test_a_search_that_only_diverged_says_what_helps(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(*_: Any, **__: Any) -> None:
        raise optuna.TrialPruned("stopped after epoch 1: it diverged")

    monkeypatch.setattr(room, "train", diverge)
    assert tune(place, 2) == 0
    assert "every trial diverged" in (out := capsys.readouterr().out)
    assert "a lower lr" in out


def test_help_warns(capsys: pytest.CaptureFixture[str]) -> None:
    assert "optimistic" in verb.HELP
    assert main(["tune", "--help"]) == 0
    out = capsys.readouterr().out
    assert "optimistic" in out
    assert "scratch, resnet10" in out


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("vgg19-last-block", "--start RUN"),
        ("frozen.toml", "or go on from a run by `firstread train --start"),
    ],
)
def test_what_only_a_run_or_weights_make_sensible_is_not_searched(
    recipe: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "frozen.toml").write_text(recipe_toml(tiny_recipe(freeze="base")))
    given = recipe if "." not in recipe else str(place / recipe)
    run = ["tune", given, "--data", place / "films", "--out", place / "search", "--trials", 1]
    assert main([str(word) for word in run]) == 2
    assert said in capsys.readouterr().err
    assert not (place / "search").exists()


def test_no_trials_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(place, 0) == 2
    assert "--trials 0 is not possible" in capsys.readouterr().err
    assert not (place / "search").exists()
