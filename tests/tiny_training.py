"""Trainings small enough for tests: synthetic films at 32 px, the small CNN, four epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import load_cohort
from firstread.train.recipe import Recipe, make_recipe
from firstread.train.run import Job

RECIPE: dict[str, Any] = {
    "arch": "cnn",
    "size": 32,
    "pretrained": False,
    "epochs": 4,
    "batch_size": 8,
    "ema": 0.9,
    "dropout": 0.3,
    "augment": {"crop": [0.5, 1.0], "flip": 0.5, "brightness": 0.2, "blur": 1.0, "noise": 0.05},
}


def tiny_recipe(**changes: Any) -> Recipe:
    """The recipe above, with changes."""
    return make_recipe({**RECIPE, **changes}, "tiny")


def tiny_films(folder: Path, per_class: int = 24) -> Path:
    """A folder of synthetic films, made once."""
    if not folder.exists():
        write_folder(folder, per_class, seed=1, size=48)
    return folder


def tiny_job(films: Path, out: Path, gate: bool = False, **changes: Any) -> Job:
    """A job on the CPU that trains the tiny recipe into `out`; a gate takes longer than the fit."""
    recipe = tiny_recipe(**changes)
    return Job(recipe, "tiny", load_cohort(films), out, device="cpu", gate=gate)


class Stop(Exception):
    """Stands for a kill where another process would be a waste: nothing is saved on it."""


def stopped(*_: Any) -> bytes:
    """In the place of a function before whose end the kill comes."""
    raise Stop


class StopAt(Callback):
    """Stops a fit before the given epoch begins."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise Stop
