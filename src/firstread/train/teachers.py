"""Learn from several networks: an ensemble's opinion on every crop, in one small network.

A deep ensemble ranks films of another batch better than any of its members, and costs as much as
all of them. Distillation (Hinton, Vinyals & Dean 2015, arXiv:1503.02531) keeps the better part of
it: the network is fitted to the mean probability of its teachers in place of the label, on
the very crop that it is shown (Beyer et al. 2022, arXiv:2106.05237). The teachers see the crop as
it was before blur, noise and a change of grey, so that what they know of clean films is learnt on
spoilt ones: they need not be robust themselves.

A recipe names its teachers' recipes. Each teacher is a whole run in RUN/teachers/, with a seed of
its own, on the same split, and resumes as any run does. The trials of a search have the same
teachers and share them. RUN/teachers.csv keeps their mean probability for each training film.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from firstread.cohort.table import Cohort
from firstread.errors import RecipeError
from firstread.evaluate.corruptions import shrunk
from firstread.film.files import csv_text, utf8, write_atomic
from firstread.model.net import FilmNet, channels_last
from firstread.train.lineage import goes_on_from
from firstread.train.recipe import Recipe, load_recipe
from firstread.train.start import load_start

TEACHERS_CSV = "teachers.csv"
"""In a run's folder: what its teachers say of each film of training."""

ALIKE = ("size", "frame", "keep_size", "train_size")
"""What a teacher must have in common with its pupil, whose crops it looks at."""

BATCH = 64


def teacher_recipes(recipe: Recipe) -> list[Recipe]:
    """The recipes of a recipe's teachers, each with a seed of its own.

    Raises `RecipeError` where one is not there, goes on from a run, has teachers itself, or sees
    films otherwise.
    """
    found = []
    for k, name in enumerate(recipe.teachers):
        teacher = load_recipe(name)
        if first := goes_on_from(name):
            raise RecipeError(
                f"recipe {name}: goes on from {first}, and a teacher begins by itself; name "
                "another recipe as teacher"
            )
        if teacher.start_share:
            raise RecipeError(
                f"recipe {name}: has start_share, and a teacher begins by itself; set it to 0"
            )
        if teacher.teachers:
            raise RecipeError(f"recipe {name}: has teachers itself, so it can be none")
        for key in ALIKE:
            if getattr(teacher, key) != getattr(recipe, key):
                raise RecipeError(
                    f"recipe {name}: has {key} = {getattr(teacher, key)} and its pupil "
                    f"{getattr(recipe, key)}; a teacher must see films as its pupil does"
                )
        found.append(dataclasses.replace(teacher, seed=(100 * recipe.seed + k + 1) % 2**32))
    return found


def load_teachers(folders: Sequence[Path], recipes: Sequence[Recipe]) -> tuple[FilmNet, ...]:
    """The networks of finished runs, in eval mode. Raises `RunError` as `load_start` does."""
    nets = []
    for folder, recipe in zip(folders, recipes, strict=True):
        net = load_start(folder, recipe).network(recipe)
        net.opening = recipe.opening
        nets.append(channels_last(net).eval())
    return tuple(nets)


def opinion_of(teachers: Sequence[FilmNet], films: Tensor) -> Tensor:
    """Mean probability (n,) of the teachers for films (n, 1, s, s) in [0, 1]."""
    films = films.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        return torch.stack([torch.sigmoid(net(films)) for net in teachers]).mean(dim=0)


def keep_opinions(
    out: Path, teachers: Sequence[FilmNet], films: Cohort, pixels: npt.NDArray[np.uint8], size: int
) -> str:
    """Write `TEACHERS_CSV` for the training films with `pixels` (n, s, s); its sha256.

    Teachers are asked at `size` px, at which they read; films to cut crops from are kept larger.
    """
    parts = []
    for start in range(0, len(pixels), BATCH):
        some = [shrunk(film, size) for film in pixels[start : start + BATCH]]
        batch = torch.from_numpy(np.stack(some))
        parts.append(opinion_of(teachers, batch.unsqueeze(1).float() / 255.0).numpy())
    told = zip(films.rows, np.concatenate(parts), strict=True)
    rows = ((row.file, row.label, f"{p:.4f}") for row, p in told)
    data = csv_text(("file", "label", "probability"), rows)
    write_atomic(out / TEACHERS_CSV, data)
    return hashlib.sha256(utf8(data)).hexdigest()


def taught_by(
    place: Path,
    recipe: Recipe,
    recipes: Sequence[Recipe],
    train_one: Callable[[Recipe, str, Path], dict[str, Any]],
) -> tuple[tuple[FilmNet, ...], list[dict[str, Any]]]:
    """Train a run's teachers in `place`, or take them up again; the networks and records.

    `recipes`: of the teachers, resolved. `train_one` trains a recipe, named so, into a folder and
    returns its run.json.
    """
    folders = [place / str(k) for k in range(len(recipes))]
    states = [
        train_one(teacher, Path(name).stem, folder)
        for teacher, name, folder in zip(recipes, recipe.teachers, folders, strict=True)
    ]
    told = [
        {key: state[key] for key in ("name", "recipe", "weights", "val_auc", "train_seconds")}
        for state in states
    ]
    return load_teachers(folders, recipes), told
