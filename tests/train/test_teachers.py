"""Learning from teachers: who they are, what they see, and that a run with them resumes."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from firstread.cohort.cache import cached_films
from firstread.cohort.split import SplitPlan, make_split
from firstread.errors import RecipeError, RunError
from firstread.read.bundle import Bundle
from firstread.train.augment import geometry, resampled
from firstread.train.recipe import Recipe, make_recipe, recipe_toml
from firstread.train.run import train
from firstread.train.teachers import load_teachers, opinion_of, teacher_recipes
from tiny_training import RECIPE, Stop, StopAt, tiny_job, tiny_recipe


def toml(path: Path, **changes: Any) -> str:
    path.write_text(recipe_toml(tiny_recipe(epochs=1, **changes)))
    return str(path)


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    return toml(tmp_path / "quick.toml")


def test_teachers_have_seeds_of_their_own(teacher: str) -> None:
    recipe = tiny_recipe(teachers=[teacher, teacher], distil=0.5, seed=3)
    assert recipe.teachers == (teacher, teacher)
    assert [r.seed for r in teacher_recipes(recipe)] == [301, 302]
    again = make_recipe(json.loads(json.dumps(recipe.to_dict())), "again")
    assert again == recipe


def test_teachers_that_cannot_be(teacher: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="distil"):
        tiny_recipe(teachers=[teacher])
    with pytest.raises(RecipeError, match="distil"):
        tiny_recipe(distil=0.5)
    with pytest.raises(RecipeError, match="must be a list of recipes"):
        tiny_recipe(teachers="quick", distil=0.5)
    with pytest.raises(RecipeError, match="none with augment"):
        tiny_recipe(teachers=[teacher], distil=0.5, augment={"mixup": 0.2})
    with pytest.raises(RecipeError, match="no recipe 'nobody'"):
        teacher_recipes(tiny_recipe(teachers=["nobody"], distil=0.5))
    other = toml(tmp_path / "other.toml", size=40)
    with pytest.raises(RecipeError, match="size = 40 and its pupil 32"):
        teacher_recipes(tiny_recipe(teachers=[other], distil=0.5))
    later = tmp_path / "later.toml"
    later.write_text('base = "settle"\n')
    with pytest.raises(RecipeError, match="goes on from a run of the recipe default, and"):
        teacher_recipes(tiny_recipe(teachers=[str(later)], distil=0.5))
    chain = toml(tmp_path / "chain.toml", teachers=[teacher], distil=1.0)
    with pytest.raises(RecipeError, match="has teachers itself"):
        teacher_recipes(tiny_recipe(teachers=[chain], distil=0.5))


def test_the_opinion_is_the_mean_probability() -> None:
    class Says(torch.nn.Module):
        def __init__(self, logit: float) -> None:
            super().__init__()
            self.logit = logit

        def forward(self, films: torch.Tensor) -> torch.Tensor:
            return torch.full((len(films),), self.logit)

    said = opinion_of([Says(0.0), Says(100.0)], torch.zeros(3, 1, 4, 4))  # type: ignore[list-item]
    assert torch.allclose(said, torch.full((3,), 0.75))


def test_teachers_see_the_crop_before_it_is_spoilt() -> None:
    from firstread.model.build import build_net
    from firstread.model.weights import resolve_weights
    from firstread.train.batches import Batches
    from firstread.train.module import FilmFit

    recipe = tiny_recipe()
    films = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    net = build_net("cnn", 32, 0.0, resolve_weights("cnn", "none", False))
    empty = Batches(np.zeros((0, 1)), np.zeros(0, np.int8), np.zeros(0, np.int64), 1)
    module = FilmFit(net, recipe, 10, lambda epoch: empty, (net,))
    spoilt, _, _, clean = module._varied(films, torch.zeros(4), None)
    theta = geometry(4, recipe.augment, torch.Generator().manual_seed(0))
    assert torch.equal(clean, resampled(films, theta, 32))
    assert not torch.equal(clean, spoilt)
    assert not any("teacher" in key for key in module.state_dict())


def test_a_run_with_teachers(teacher: str, films: Path, tmp_path: Path) -> None:
    changes = {"teachers": [teacher, teacher], "distil": 0.7, "epochs": 3}
    whole, out = tmp_path / "whole", tmp_path / "run"
    state = train(tiny_job(films, whole, **changes))
    assert [t["recipe"]["seed"] for t in state["teachers"]] == [1, 2]
    cards = [Bundle.load(whole / "teachers" / k / "bundle").card for k in "01"]
    names = [card.name for card in cards]
    assert all(card.gate is None for card in cards)
    assert names == ["quick-cnn-32-seed1", "quick-cnn-32-seed2"]
    kept = (whole / "teachers.csv").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == state["teachers_sha256"]
    rows = list(csv.DictReader(kept.decode().splitlines()))
    assert len(rows) == state["films"]["train"]
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)
    training = Bundle.load(whole / "bundle").card.raw["training"]
    assert training["teachers_sha256"] == state["teachers_sha256"]
    assert training["train_seconds"] >= sum(t["train_seconds"] for t in training["teachers"])

    with pytest.raises(Stop):  # in the pupil's third epoch; the teachers are there
        train(tiny_job(films, out, **changes), callbacks=(StopAt(2),))
    before = (out / "teachers/1/run.json").stat().st_mtime_ns
    said: list[str] = []
    train(tiny_job(films, out, **changes), said.append)
    assert f"{out / 'teachers' / '0'} is finished already" in said  # and not: delete it
    assert (out / "teachers/1/run.json").stat().st_mtime_ns == before
    assert (out / "val.csv").read_bytes() == (whole / "val.csv").read_bytes()
    assert (out / "teachers.csv").read_bytes() == kept

    toml(Path(teacher), lr=0.01)  # the same name, another teacher
    with pytest.raises(RunError, match="holds another run"):
        train(tiny_job(films, whole, **changes))


def test_teachers_are_asked_at_the_size_they_read(films: Path, tmp_path: Path) -> None:
    """Films are kept at 48 px, which a dense head for 32 px cannot take at all."""
    for arch in ("cnn", "resnet10"):
        quick = toml(tmp_path / f"{arch}.toml", arch=arch, keep_size=48)
        changes = {"arch": arch, "keep_size": 48, "epochs": 1, "teachers": [quick], "distil": 0.5}
        job = tiny_job(films, tmp_path / arch, **changes)
        train(job)
        rows = list(csv.DictReader((job.out / "teachers.csv").read_text().splitlines()))
        (net,) = load_teachers([job.out / "teachers" / "0"], teacher_recipes(job.recipe))
        part = make_split(job.films, SplitPlan()).part("train")
        pixels = torch.from_numpy(np.array(cached_films(part, job.recipe.seen).pixels))
        read = opinion_of([net], pixels.unsqueeze(1).float() / 255)
        assert [float(row["probability"]) for row in rows] == pytest.approx(read.tolist(), abs=1e-4)


def test_without_teachers_nothing_changes() -> None:
    assert teacher_recipes(make_recipe(dict(RECIPE), "tiny")) == []
    assert Recipe().teachers == ()
