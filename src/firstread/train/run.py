"""A training run from a cohort to a bundle, in a folder that can be resumed.

RUN/ holds: split.csv (who was trained on), start.csv (who the run it goes on from was trained
on, if there is one), recipe.json (the resolved recipe), run.json (data hash, weights, versions,
git state, times), metrics.csv and curves.png, checkpoints/, tensorboard/, val.csv (file, label,
patient, logit) and bundle/; and for a recipe with teachers their runs in teachers/ and
teachers.csv.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstread.cohort.ages import why_unused
from firstread.cohort.cache import CachedFilms
from firstread.cohort.split import save_split, split_of, unknown_patients
from firstread.cohort.split_checks import assert_both_classes
from firstread.cohort.table import Cohort
from firstread.errors import RunError
from firstread.evaluate.figures import curves
from firstread.evaluate.metrics import auc
from firstread.film.files import write_atomic, write_changed
from firstread.model.net import FilmNet
from firstread.model.weights import Weights
from firstread.progress import Show, unseen
from firstread.train.alone import alone
from firstread.train.beginning import beginning, network_of
from firstread.train.blend import BLENDED, blend, keep_blend
from firstread.train.finish import make_bundle, val_csv
from firstread.train.fit import device_for, fit
from firstread.train.focus import find_lungs
from firstread.train.parts import decoded_parts, what_is_shown
from firstread.train.recipe import Recipe
from firstread.train.record import now, open_run
from firstread.train.start import TRAINED_CSV, Start, assert_unseen
from firstread.train.teachers import keep_opinions, taught_by, teacher_recipes

ANEW = "; delete it to train anew"

MADE = ("bundle/card.json", "bundle/model.onnx", "val.csv")
"""What of a finished run's folder is made of the checkpoint, and can be made of it again."""


@dataclass(frozen=True)
class Job:
    """What to train on what. `weights`: a file, "none", or None to look for them. `start`: a
    finished run whose network to go on from instead. `gate`: whether the bundle gets one; a
    teacher, whom nobody reads with, needs none. `teachers`: where the runs of its teachers are,
    if not in its own folder."""

    recipe: Recipe
    name: str
    films: Cohort
    out: Path
    split: Path | None = None
    weights: str | None = None
    device: str | None = None
    start: Path | None = None
    gate: bool = True
    teachers: Path | None = None


def train(
    job: Job,
    say: Callable[[str], None] = lambda text: None,
    callbacks: tuple[Any, ...] = (),
    show: Show = unseen,
) -> dict[str, Any]:
    """Train, choose the operating point on the validation part, write the bundle.

    A run folder of the same recipe and films is resumed; one that is finished is left as it
    is, unless its bundle or val.csv is gone: both are then made again. `show`
    is shown how far hashing, decoding and the like are. Returns run.json's content.
    Raises `RunError` if the folder is another run's, and the errors of the parts.
    """
    device = device_for(job.device)
    start, weights = beginning(job.recipe, job.start, job.weights)
    split = split_of(job.films, job.split, job.out, show("hashing"))
    assert_both_classes(split)
    if start:
        assert_unseen(start, split)
    if weights.tensors:
        network_of(job.recipe, weights, start, lambda text: None)  # raises where they do not fit
    ready = _Ready(device, start, weights, split, teacher_recipes(job.recipe))
    with alone(job.out, "training"):  # of what is refused before nothing is left
        return _train(job, ready, say, callbacks, show)


class _Ready(NamedTuple):
    """What a job comes to, once nothing speaks against it."""

    device: str
    start: Start | None
    weights: Weights
    split: Cohort
    taught: Sequence[Recipe]


def _train(
    job: Job,
    ready: _Ready,
    say: Callable[[str], None],
    callbacks: tuple[Any, ...],
    show: Show,
) -> dict[str, Any]:
    recipe, out = job.recipe, job.out
    device, start, weights, split, taught = ready
    state = open_run(out, job.name, recipe, split, weights, start, device, taught)
    save_split(split, out / "split.csv")  # one that lost lines is mended
    if start:
        write_changed(out / TRAINED_CSV, start.trained_csv())
    if state.get("finished") and _is_whole(out, recipe, say):
        return state
    teachers, told = _teachers(replace(job, films=split), taught, say, show)
    parts, decode_seconds = decoded_parts(split, recipe, out, state, say, show)
    for doubt in (why_unused(parts[0].films), unknown_patients(split)):
        if doubt:
            say(doubt)
    net = network_of(recipe, weights, start, say)
    inputs, feature_seconds = what_is_shown(net, recipe, parts, state["precision"], show)
    pixels, labels = np.asarray(parts[0].pixels), [p.films.labels for p in parts]
    lungs = find_lungs(pixels, show("finding the lungs")) if recipe.wants_lungs else None
    if teachers:
        sha256 = keep_opinions(out, teachers, parts[0].films, pixels, recipe.size)
        state |= {"teachers": told, "teachers_sha256": sha256}
    say(f"training {recipe.arch} at {recipe.fit_size} px on {len(labels[0])} films")
    module = fit(
        net,
        recipe,
        inputs,
        (labels[0], labels[1]),
        out,
        device=device,
        precision=state["precision"],  # that of the run, wherever it goes on
        callbacks=callbacks,
        lungs=lungs,
        teachers=teachers,
        say=say,
    )
    if start and recipe.start_share:
        blend(net, start.tensors, recipe.start_share)
        keep_blend(net, out)
    write_atomic(out / "curves.png", curves(module.history))
    spent = {
        "decode_seconds": decode_seconds,
        "feature_seconds": feature_seconds,
        "fit_seconds": sum(row["seconds"] for row in module.history),
    }
    taught_seconds = sum(teacher["train_seconds"] for teacher in told)
    told_now = {
        **{key: round(seconds, 3) for key, seconds in spent.items()},
        "train_seconds": round(sum(spent.values()) + taught_seconds, 3),
        "epochs_run": len(module.history),
        "val_auc": _kept(module.history, recipe, out)["val_auc"],
    }
    # What a run that was finished has told stays.
    return _closed(job, net, parts, told_now | state, start, say, show)


def _closed(
    job: Job,
    net: FilmNet,
    parts: tuple[CachedFilms, CachedFilms],
    state: dict[str, Any],
    start: Start | None,
    say: Callable[[str], None],
    show: Show,
) -> dict[str, Any]:
    """The bundle of a fitted network and what it says of the validation films; the run's record,
    which says last that it is finished."""
    recipe, out = job.recipe, job.out
    _, logits = make_bundle(
        out / "bundle",
        net,
        recipe,
        f"{job.name}-{recipe.arch}-{recipe.size}-seed{recipe.seed}",
        parts,
        state,
        say,
        gate=job.gate,
        earlier=start.trained_on if start else (),
        show=show,
    )
    write_atomic(out / "val.csv", val_csv(parts[1].films, logits))
    if recipe.start_share:  # what was validated in training was not yet blended
        state["val_auc"] = auc(logits, parts[1].films.labels == 1)
    state |= {"finished": True, "ended": now()}
    write_atomic(out / "run.json", json.dumps(state, indent=2) + "\n")
    return state


def _is_whole(out: Path, recipe: Recipe, say: Callable[[str], None]) -> bool:
    """Whether a finished run lacks nothing; what it lacks can be made again.

    Raises `RunError` where the checkpoint that it would be made of is gone too.
    """
    made = (*MADE, f"checkpoints/{BLENDED}") if recipe.start_share else MADE
    gone = [name for name in made if not (out / name).is_file()]
    if not gone:
        say(f"{out} is finished already{ANEW}")
        return True
    if not (out / "checkpoints" / "last.ckpt").is_file():
        raise RunError(f"{out}: lacks {gone[0]} and its checkpoint{ANEW}")
    say(f"{out} is finished but lacks {gone[0]}; it is made again from the checkpoint")
    return False


def _teachers(
    job: Job, recipes: Sequence[Recipe], say: Callable[[str], None], show: Show
) -> tuple[tuple[FilmNet, ...], list[dict[str, Any]]]:
    """The networks of a job's teachers and their records, on the split of its own run.

    `job.films`: those of that split, whose hashes are known by now.
    """

    def train_one(teacher: Recipe, name: str, folder: Path) -> dict[str, Any]:
        say(f"teacher {folder.name}: {name}")
        own = replace(job, recipe=teacher, name=name, out=folder, start=None, gate=False)
        # A teacher without its run is nothing to train anew: it would be the same one.
        return train(
            replace(own, split=job.out / "split.csv"),
            lambda text: say(text.removesuffix(ANEW)),
            show=show,
        )

    return taught_by(job.teachers or job.out / "teachers", job.recipe, recipes, train_one)


def _kept(history: list[dict[str, float]], recipe: Recipe, out: Path) -> dict[str, float]:
    """The epoch whose weights are kept: the last, or with `patience` the best."""
    kept = history[-1]
    if recipe.patience:
        kept = max(history, key=lambda row: row["val_auc"])
    if not math.isfinite(kept["val_loss"]):
        raise RunError(f"{out}: the fit diverged; give a recipe with a lower lr and another --out")
    return kept
