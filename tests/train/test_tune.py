"""The search, mostly over a training that takes no time: what it asks for, keeps and survives."""

import csv
import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lightning")
pytest.importorskip("optuna")

from firstread.cohort.hashes import films_sha256
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.table import load_cohort
from firstread.errors import FirstreadError, OutputError, RunError, Shortage
from firstread.progress import Progress
from firstread.read.bundle import Bundle
from firstread.train import search_page
from firstread.train import tune as room
from firstread.train.alone import alone
from firstread.train.fit import write_history
from firstread.train.recipe import Recipe, load_recipe, recipe_toml
from firstread.train.run import Job
from firstread.train.space import point_of, recipe_at
from firstread.train.tune import Search, tune
from tiny_training import tiny_recipe

OUTPUTS = ("best.toml", "trials.csv", "trials.json", "search.png", "search.html", "study.db")


class Kill(BaseException):
    """Stands for a kill: nothing but the operating system sees it."""


def quality(recipe: Recipe) -> float:
    """What the pretended training reaches: best at lr 2e-3 with little blur."""
    return 0.99 - 0.02 * abs(math.log10(recipe.lr / 2e-3)) - 0.01 * recipe.augment.blur


class Pretend:
    """In the place of `train`: four epochs towards `quality`, with all that is left behind."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.kill_at: tuple[str, int] | None = None
        self.fail_at = self.poor_at = self.nan_at = self.full_at = ""
        self.full: FirstreadError = OutputError("the disk is full")

    def __call__(
        self, job: Job, say: Any = None, callbacks: tuple[Any, ...] = (), **_: Any
    ) -> dict[str, Any]:
        self.jobs.append(job)
        name = job.out.name
        (job.out / "checkpoints").mkdir(parents=True, exist_ok=True)
        aim = quality(job.recipe) - 0.3 * (name == self.poor_at)
        module = SimpleNamespace(history=[])
        for epoch in range(4):
            if self.kill_at == (name, epoch):
                self.kill_at = None
                raise Kill
            loss = math.nan if name == self.nan_at else 0.1
            row = {"epoch": float(epoch), "train_loss": loss, "val_loss": 0.1}
            module.history.append({**row, "val_auc": aim - 0.1 / (epoch + 1), "seconds": 1.0})
            write_history(job.out / "metrics.csv", module.history)
            trainer = SimpleNamespace(current_epoch=epoch, max_epochs=4)
            for callback in callbacks:
                callback.on_train_epoch_end(trainer, module)
        if name == self.fail_at:
            raise RuntimeError("out of memory")
        if name == self.full_at:
            raise self.full
        (job.out / "bundle").mkdir(exist_ok=True)
        return {"val_auc": module.history[-1]["val_auc"], "failed_films": []}


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longest here, and have tests of their own."""
    monkeypatch.setattr(search_page, "search_figure", lambda *_: None)
    monkeypatch.setattr(search_page, "png", lambda _: b"drawn")
    monkeypatch.setattr(search_page, "svg", lambda *_: "<svg></svg>")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """No training, and three random trials instead of eight."""
    it = Pretend()
    monkeypatch.setattr(room, "train", it)
    monkeypatch.setattr(room, "RANDOM_TRIALS", 3)
    return it


def search(films: Path, out: Path, trials: int, **changes: Any) -> Search:
    job = Job(tiny_recipe(**changes), "tiny", load_cohort(films), out, device="cpu")
    return Search(job, trials)


def asked(pretend: Pretend) -> list[tuple[str, Recipe]]:
    return [(job.out.name, job.recipe) for job in pretend.jobs]


@pytest.fixture
def whole(films: Path, tmp_path: Path, pretend: Pretend) -> list[tuple[str, Recipe]]:
    """What six trials that nothing stopped ask for; three are random, three are TPE's."""
    tune(search(films, tmp_path / "whole", 6))
    trials = asked(pretend)
    pretend.jobs.clear()
    return trials


def test_what_a_search_leaves(films: Path, tmp_path: Path, pretend: Pretend) -> None:
    out = tmp_path / "search"
    said: list[str] = []
    result = tune(search(films, out, 3), said.append)
    assert {p.name for p in out.iterdir()} >= {*OUTPUTS, "trial-000", "trial-001", "trial-002"}
    assert asked(pretend)[0][1] == tiny_recipe(weight_decay=pretend.jobs[0].recipe.weight_decay)
    assert len({recipe for _, recipe in asked(pretend)}) == 3
    assert json.loads((out / "trials.json").read_text()) == json.loads(json.dumps(result))
    best = result["best"]
    assert best["val_auc"] == max(t["val_auc"] for t in result["trials"])
    recipe = load_recipe(str(out / "best.toml"))
    assert recipe == recipe_at(tiny_recipe(), best["params"])
    assert recipe == dict(asked(pretend))[best["folder"]]
    assert "optimistic" in (out / "best.toml").read_text().splitlines()[2]
    with (out / "trials.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [r["folder"] for r in rows] == ["trial-000", "trial-001", "trial-002"]
    assert float(rows[0]["lr"]) == tiny_recipe().lr
    assert [r["epochs"] for r in rows] == ["4"] * 3
    page = (out / "search.html").read_text()
    assert "optimistic" in page
    assert "smallest crop" in page
    assert (out / "search.png").read_bytes() == b"drawn"
    assert any("best so far" in line for line in said)
    # Heavy things go, but for the best one's bundle.
    assert not list(out.glob("trial-*/checkpoints"))
    assert [p.parent.name for p in out.glob("trial-*/bundle")] == [best["folder"]]


def test_the_same_number_again_does_nothing_and_a_larger_one_goes_on(
    films: Path, tmp_path: Path, pretend: Pretend, whole: list[tuple[str, Recipe]]
) -> None:
    out = tmp_path / "search"
    first = tune(search(films, out, 3))
    said: list[str] = []
    pretend.jobs.clear()
    again = tune(search(films, out, 3), said.append)
    assert not pretend.jobs
    assert "3 trials are finished already" in said[0]
    assert again["trials"] == first["trials"]
    tune(search(films, out, 6))
    assert asked(pretend) == whole[3:]


def test_killed_and_resumed_asks_for_the_same_points(
    films: Path, tmp_path: Path, pretend: Pretend, whole: list[tuple[str, Recipe]]
) -> None:
    out = tmp_path / "search"
    for name, epoch in (("trial-000", 0), ("trial-002", 3), ("trial-004", 1)):
        pretend.kill_at = (name, epoch)
        with pytest.raises(Kill):
            tune(search(films, out, 6))
        assert (out / name / "checkpoints").is_dir()
    result = tune(search(films, out, 6))
    done = list(dict.fromkeys(asked(pretend)))  # a killed trial was asked for twice, the same
    assert done == whole
    assert [t["number"] for t in result["trials"]] == list(range(6))
    kept = json.loads((tmp_path / "whole" / "trials.json").read_text())
    assert result["trials"] == kept["trials"]
    assert result["best"] == kept["best"]


def test_killed_before_its_values_were_written_trial_0_is_still_the_recipe(
    films: Path, tmp_path: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of a trial go into the study one by one; here the kill comes before the third."""
    real, left = room.optuna.trial.Trial._suggest, [0, 0]

    def suggest(self: Any, name: str, distribution: Any) -> Any:
        left.pop()
        return real(self, name, distribution)

    with monkeypatch.context() as patch:
        patch.setattr(room.optuna.trial.Trial, "_suggest", suggest)
        with pytest.raises(IndexError):
            tune(search(films, tmp_path / "search", 1))
    tune(search(films, tmp_path / "search", 1))
    recipe = tiny_recipe()
    assert asked(pretend) == [("trial-000", recipe_at(recipe, dict(point_of(recipe))))]


def test_ctrl_c_says_what_is_kept(films: Path, tmp_path: Path, pretend: Pretend) -> None:
    out = tmp_path / "search"
    said: list[str] = []

    def press(job: Job, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if job.out.name == "trial-002":
            raise KeyboardInterrupt
        return pretend(job, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "train", press)
        with pytest.raises(KeyboardInterrupt):
            tune(search(films, out, 5), said.append)
    assert said[-1] == "2 finished trials are kept; the same command goes on"
    assert len(json.loads((out / "trials.json").read_text())["trials"]) == 2
    assert load_recipe(str(out / "best.toml"))


def test_a_poor_trial_is_stopped_early(films: Path, tmp_path: Path, pretend: Pretend) -> None:
    out = tmp_path / "search"
    pretend.poor_at = "trial-005"
    said: list[str] = []
    result = tune(search(films, out, 6), said.append)
    poor = result["trials"][5]
    assert poor["state"] == "pruned"
    assert poor["val_auc"] is None
    assert poor["last_val_auc"] < 0.7
    assert 1 < poor["epochs"] < 4
    assert result["best"]["folder"] != "trial-005"
    assert "below the median" in said[-1]
    assert "stopped at" in (out / "search.html").read_text()


def test_a_trial_that_diverges_is_stopped(films: Path, tmp_path: Path, pretend: Pretend) -> None:
    pretend.nan_at = "trial-000"
    result = tune(search(films, tmp_path / "search", 1))
    assert result["best"] is None
    assert result["trials"][0]["epochs"] == 1
    assert not (tmp_path / "search" / "best.toml").exists()
    assert "every one stopped early" in (tmp_path / "search" / "search.html").read_text()


def test_an_error_ends_the_search_and_does_not_come_back(
    films: Path, tmp_path: Path, pretend: Pretend
) -> None:
    out = tmp_path / "search"
    pretend.fail_at = "trial-001"
    with pytest.raises(RuntimeError, match="out of memory"):
        tune(search(films, out, 3))
    result = tune(search(films, out, 3))
    assert [t["folder"] for t in result["trials"]] == ["trial-000", "trial-002", "trial-003"]


@pytest.mark.parametrize(
    "full",
    [
        OutputError("run.json: cannot be written (No space left on device)"),
        Shortage("a.png: too many files are open to read it; close some and try again"),
    ],
)
def test_a_full_disk_ends_the_search_and_the_trial_comes_again(
    films: Path,
    tmp_path: Path,
    pretend: Pretend,
    whole: list[tuple[str, Recipe]],
    full: FirstreadError,
) -> None:
    """Even the first, which is the recipe itself; nothing that was asked for is lost."""
    pretend.full = full
    for pretend.full_at in ("trial-000", "trial-004"):
        with pytest.raises(type(full)):
            tune(search(films, tmp_path / "search", 6))
    pretend.full_at = ""
    tune(search(films, tmp_path / "search", 6))
    done = asked(pretend)
    assert [name for name, _ in done if name == "trial-000"] == ["trial-000"] * 2
    assert dict(done) == dict(whole)


def test_another_search_in_the_folder_is_refused(
    films: Path, tmp_path: Path, pretend: Pretend
) -> None:
    out = tmp_path / "search"
    tune(search(films, out, 1))
    with pytest.raises(RunError, match="holds another search"):
        tune(search(films, out, 1, lr=0.5))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("private")
    with pytest.raises(RunError, match="not empty and no search of ours"):
        tune(search(films, tmp_path / "letters", 1))
    (out / "study.db").write_bytes(b"no database" * 100)
    with pytest.raises(RunError, match="cannot be used"):
        tune(search(films, out, 1))


@pytest.mark.skipif(os.name == "nt", reason="no flock there")
def test_a_search_with_other_teachers_is_another(
    films: Path, tmp_path: Path, pretend: Pretend
) -> None:
    teacher = tmp_path / "teacher.toml"
    teacher.write_text(recipe_toml(tiny_recipe(epochs=1)))
    taught = {"teachers": [str(teacher)], "distil": 0.5}
    tune(search(films, tmp_path / "search", 1, **taught))
    tune(search(films, tmp_path / "search", 2, **taught))
    teacher.write_text(recipe_toml(tiny_recipe(epochs=2)))
    with pytest.raises(RunError, match="holds another search"):
        tune(search(films, tmp_path / "search", 3, **taught))


def test_two_at_once_are_refused(films: Path, tmp_path: Path, pretend: Pretend) -> None:
    out = tmp_path / "search"
    with alone(out, "search"), pytest.raises(RunError, match="another search runs here"):
        tune(search(films, out, 1))
    tune(search(films, out, 1))


def test_a_real_search(films: Path, tmp_path: Path) -> None:
    """Two trials that really train; the best one's bundle can be read with."""
    out = tmp_path / "search"
    result = tune(search(films, out, 2, epochs=2, ema=0.0))
    assert [t["epochs"] for t in result["trials"]] == [2, 2]
    assert result["trials"][0]["params"] == point_of(tiny_recipe(epochs=2, ema=0.0))
    folder = out / result["best"]["folder"]
    state = json.loads((folder / "run.json").read_text())
    assert state["val_auc"] == result["best"]["val_auc"]
    assert Bundle.load(folder / "bundle").name.startswith(f"tiny-{folder.name}")
    assert (out / "split.csv").read_bytes() == (folder / "split.csv").read_bytes()


def test_teachers_and_hashes_are_made_once_a_search(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []

    def count_them(paths: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
        hashed.append(len(paths))
        return films_sha256(paths, progress)

    monkeypatch.setattr("firstread.cohort.hashed.films_sha256", count_them)
    teacher, out = tmp_path / "quick.toml", tmp_path / "search"
    teacher.write_text(recipe_toml(tiny_recipe(epochs=1)))
    save_split(make_split(load_cohort(films), SplitPlan(block=1)), tmp_path / "split.csv")
    hashed.clear()
    asked = search(films, out, 2, epochs=1, ema=0.0, teachers=[str(teacher)], distil=0.5)
    said: list[str] = []
    job = replace(asked.job, split=tmp_path / "split.csv")
    result = tune(replace(asked, job=job), said.append)
    assert hashed == [48]
    assert said.count(f"{out / 'teachers' / '0'} is finished already") == 1
    trials = [out / trial["folder"] for trial in result["trials"]]
    assert not any((trial / "teachers").exists() for trial in trials)
    told = [json.loads((trial / "run.json").read_text())["teachers_sha256"] for trial in trials]
    assert told[0] == told[1]
