"""Training the lung net: loss, augmentation, a run that resumes, a net that loads."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from firstread.cli.main import main
from firstread.cohort import cache
from firstread.cohort.table import load_cohort
from firstread.errors import FilmError, RunError
from firstread.film.draw import mask_png
from firstread.film.lungs import LungFinder
from firstread.train.alone import alone
from firstread.train.lungs import LungJob, LungPlan, lung_loss, train_lungs
from firstread.train.lungs_augment import lung_augment
from lung_nets import film_of, two_lungs


def test_the_loss_is_nought_for_the_masks_themselves() -> None:
    masks = torch.from_numpy(np.stack([two_lungs(112)] * 2)).float()
    assert lung_loss((masks - 0.5) * 60, masks) < 1e-3
    assert lung_loss((0.5 - masks) * 60, masks) > 10


def test_film_and_mask_move_together() -> None:
    lungs = two_lungs()
    films = torch.from_numpy(np.stack([film_of(lungs)] * 8))
    masks = torch.from_numpy(np.stack([lungs] * 8))
    changed, moved = lung_augment(films, masks, 112, torch.Generator().manual_seed(1))
    assert changed.shape == (8, 1, 112, 112)
    assert moved.shape == (8, 112, 112)
    assert 0 <= changed.min() <= changed.max() <= 1
    assert (moved[0] - moved[1]).abs().mean() > 0.01
    for film, mask in zip(changed[:, 0], moved, strict=True):
        body = (film > 0.02) & (mask < 0.5)  # the frame around a film is black too
        assert film[mask > 0.5].mean() < film[body].mean()
    again, _ = lung_augment(films, masks, 112, torch.Generator().manual_seed(1))
    assert (again == changed).all()


@pytest.fixture
def job(films: Path, tmp_path: Path) -> LungJob:
    masks = tmp_path / "masks"
    cohort = load_cohort(films)
    for row in cohort.rows[1:]:
        path = (masks / row.file).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mask_png(two_lungs()))
    plan = LungPlan(epochs=2, films=16, batch_size=8)
    return LungJob(
        cohort,
        tmp_path / "run",
        masks,
        plan=plan,
        licence="CC0",
        source="drawn",
        net_licence="ours",
    )


def test_a_run_resumes_to_the_same_net(job: LungJob, tmp_path: Path) -> None:
    state = train_lungs(job)
    assert state["finished"]
    assert state["masks"] == len(job.films) - 1
    assert state["val"]["films"] + state["val"]["without_mask"] <= state["films"]["val"]
    finder = LungFinder(job.out / "net")
    assert finder.record["data"]["masks_licence"] == "CC0"
    assert finder.record["data"]["films"] == state["films"]["train"] - 1

    whole = (job.out / "net" / "lungs.onnx").read_bytes()
    killed = replace(job, out=tmp_path / "killed")
    said: list[str] = []

    def die(text: str) -> None:
        said.append(text)
        if text.startswith("epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_lungs(killed, die)
    assert not json.loads((killed.out / "run.json").read_text())["finished"]
    train_lungs(killed, said.append)
    assert "resumed after epoch 1" in said
    assert (killed.out / "net" / "lungs.onnx").read_bytes() == whole
    train_lungs(killed, said.append)
    assert "finished already" in said[-1]


def test_films_that_come_and_go_between_two_calls_are_told(
    job: LungJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule counts the steps of the films that were; a net would be of neither set."""
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    job = replace(job, plan=replace(job.plan, films=100))
    lost, decode = {*job.films.paths[4:22]}, cache.decode

    def failing(path: Path, **how: Any) -> Any:
        if path in lost:
            raise FilmError("the file cannot be opened (Input/output error)")
        return decode(path, **how)

    def die(text: str) -> None:
        if text.startswith("epoch 2"):
            raise KeyboardInterrupt

    monkeypatch.setattr(cache, "decode", failing)
    with pytest.raises(KeyboardInterrupt):
        train_lungs(job, die)
    lost.clear()
    with pytest.raises(RunError, match=r"began with \d+ films that could be decoded"):
        train_lungs(job)


def test_films_that_cannot_be_read_are_named_and_end_with_1(
    job: LungJob, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(job.films.root, tmp_path / "own")
    job = replace(job, films=load_cohort(own))
    job.films.paths[1].write_bytes(b"no film")
    words = ["lungs", "train", "--data", str(own), "--masks", str(job.masks)]
    words += ["--epochs", "1", "--films", "8", "--out", str(job.out)]
    for _ in range(2):  # a finished run, too, is one without that film
        assert main(words) == 1
        (told,) = json.loads((job.out / "run.json").read_text())["failed_films"]
        assert told[0] == job.films.rows[1].file
    assert f"left out {told[0]}: {told[1]}" in capsys.readouterr().out


def test_one_training_at_a_time_in_a_folder(job: LungJob) -> None:
    with alone(job.out, "training"), pytest.raises(RunError, match="another training runs here"):
        train_lungs(job)


def test_every_seed_can_be_drawn_from(job: LungJob) -> None:
    plan = replace(job.plan, seed=2**32 - 1, epochs=1, films=8)
    assert train_lungs(replace(job, plan=plan))["finished"]


def test_a_run_of_other_masks_is_refused(job: LungJob) -> None:
    short = replace(job, plan=replace(job.plan, epochs=1, films=8))
    train_lungs(short)
    with pytest.raises(RunError, match="another run"):
        train_lungs(replace(short, plan=replace(short.plan, seed=1)))
    assert short.masks is not None
    shutil.copy(next(short.masks.rglob("*.png")), short.masks / "other.png")
    train_lungs(short)  # a mask of no film changes nothing
    next(short.masks.rglob("*/*.png")).write_bytes(mask_png(~two_lungs()))
    with pytest.raises(RunError, match="another run"):
        train_lungs(short)
