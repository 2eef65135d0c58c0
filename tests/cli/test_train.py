"""The verb `train`: exit codes and one-line errors."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")

import torch

from firstread.cli.main import main
from firstread.cohort.table import load_cohort
from firstread.read.bundle import Bundle
from firstread.train import run as room
from firstread.train.recipe import recipe_toml
from tiny_training import tiny_films, tiny_recipe


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_films(tmp_path_factory.mktemp("drawn") / "films")


@pytest.fixture
def place(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with films/ and tiny.toml, one thread, no weights and a cache of its own."""
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FIRSTREAD_WEIGHTS", raising=False)
    # It acts on the whole process, and a test must leave that as it was.
    monkeypatch.setattr("firstread.train.malloc.tune_malloc", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    shutil.copytree(drawn, tmp_path / "films")
    (tmp_path / "tiny.toml").write_text(recipe_toml(tiny_recipe(epochs=2)))
    yield tmp_path
    torch.set_num_threads(threads)


def train(place: Path, *words: Any, recipe: str = "tiny.toml") -> int:
    given = recipe if "." not in recipe else str(place / recipe)
    run = ["train", given, "--data", place / "films", "--out", place / "run", "--device", "cpu"]
    return main([*map(str, run), *map(str, words)])


@pytest.mark.usefixtures("at_once")
def test_from_films_to_a_bundle_and_once_more(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(place, "--epochs", 1, "--seed", 3) == 0
    told = capsys.readouterr()
    out = told.out
    for what in ("hashing", "decoding the train part", "decoding the val part"):
        assert f"{what}: " in told.err
        assert f"{what}: " not in out
    assert "Epoch 0" not in out  # no bar where nobody watches it move
    assert "validation AUC 0." in out or "validation AUC 1." in out
    assert f"next: firstread evaluate {place / 'run'} --data FILMS" in out
    assert Bundle.load(place / "run" / "bundle").name == "tiny-cnn-32-seed3"
    assert json.loads((place / "run" / "recipe.json").read_text())["epochs"] == 1
    assert train(place, "--epochs", 1, "--seed", 3) == 0
    assert "is finished already" in capsys.readouterr().out
    assert train(place, "--epochs", 1) == 2
    assert "holds another run" in capsys.readouterr().err


def test_the_gate_can_be_left_out_and_made_later(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(place, "--epochs", 1, "--no-gate") == 0
    assert Bundle.load(place / "run" / "bundle").card.gate is None
    words = ["export", place / "run", "--data", place / "films", "--out", place / "whole"]
    assert main([str(word) for word in words]) == 0
    assert Bundle.load(place / "whole").card.gate is not None


def test_a_film_that_does_not_decode_is_left_out_and_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = sorted((place / "films" / "NORMAL").iterdir())[0]
    broken.write_bytes(b"no film")
    assert train(place, "--epochs", 1, "--no-gate") == 1
    assert f"left out NORMAL/{broken.name}" in capsys.readouterr().out
    assert len(json.loads((place / "run" / "run.json").read_text())["failed_films"]) == 1


def test_ages_that_are_void_are_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = load_cohort(place / "films").rows
    rows = [f"{row.file},{row.label},{3 if i else 'abc'}" for i, row in enumerate(films)]
    table = place / "films" / "ages.csv"
    table.write_text("\n".join(["file,label,age", *rows]))
    assert train(place, "--epochs", 1, "--no-gate", "--data", table) == 0
    assert f"ages are not used: {films[0].file} holds 'abc', no age" in capsys.readouterr().out


def test_a_frozen_base_of_random_weights_must_be_asked_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "frozen.toml").write_text(recipe_toml(tiny_recipe(freeze="base", epochs=1)))
    words = ["--no-gate", "--weights", "none"]
    assert train(place, *words, recipe="frozen.toml") == 0
    assert "warning: what is frozen is random" in capsys.readouterr().err


def test_size_puts_the_sizes_that_belong_to_the_recipes_own_aside(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stop(job: Any, **_: Any) -> dict[str, Any]:
        seen.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "train", stop)
    assert train(place, "--size", 256, recipe="default") == 130
    assert (seen[0].recipe.size, seen[0].recipe.fit_size) == (256, 256)
    assert (seen[0].recipe.kept.size, seen[0].recipe.mirrored) == (256, 256)
    assert train(place, "--size", 128, recipe="default") == 130
    assert seen.pop().recipe.mirrored == 128
    assert train(place, recipe="default") == 130
    assert seen[1].recipe.mirrored == 176
    assert (seen[1].recipe.size, seen[1].recipe.fit_size) == (208, 176)
    assert seen[1].recipe.kept.size == 224
    assert (seen[1].weights, seen[1].split, seen[1].name) == (None, None, "default")


@pytest.mark.parametrize(
    ("words", "recipe", "said"),
    [
        ([], "defualt", "no recipe 'defualt'"),
        ([], "missing.toml", "no such recipe file"),
        (["--epochs", "0"], "tiny.toml", "epochs = 0 is not possible"),
        (["--data", "nowhere"], "tiny.toml", "no such folder"),
        (["--split", "nowhere.csv"], "tiny.toml", "no such split"),
        (["--weights", "nowhere.pth"], "default", "no such weights file"),
        (["--weights", "some.pth"], "tiny.toml", "cnn has no ImageNet weights"),
        ([], "frozen.toml", 'freeze = "base" would keep random weights from learning'),
        ([], "settle", "from a run of the recipe default; use `firstread train settle --start"),
        ([], "later.toml", "goes on from a run of the recipe default; use `firstread train "),
        (["--out", "films/run"], "tiny.toml", "its curves would pass for a film"),
        (["--start", "nowhere"], "tiny.toml", "nowhere: not a training run"),
        (["--start", "a", "--weights", "none"], "tiny.toml", "leave --weights or --start away"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str],
    recipe: str,
    said: str,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (place / "frozen.toml").write_text(recipe_toml(tiny_recipe(freeze="base")))
    (place / "later.toml").write_text('base = "settle"\nseed = 1\n')
    monkeypatch.chdir(place)
    assert train(place, *words, recipe=recipe) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (place / "run").exists()
    assert not (place / "films" / "run").exists()
