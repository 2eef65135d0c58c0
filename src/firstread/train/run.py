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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from firstread.cohort.ages import why_unused
from firstread.cohort.cache import CachedFilms, cached_films
from firstread.cohort.split import save_split, split_of, unknown_patients
from firstread.cohort.split_checks import assert_both_classes
from firstread.cohort.table import Cohort
from firstread.errors import NoFilms, RunError
from firstread.evaluate.figures import curves
from firstread.evaluate.metrics import auc
from firstread.film.files import write_atomic
from firstread.film.preprocess import Preprocess
from firstread.model.net import FilmNet, channels_last
from firstread.model.weights import Weights
from firstread.plural import count
from firstread.progress import Progress, Show, unseen
from firstread.train.alone import alone
from firstread.train.beginning import beginning, network_of
from firstread.train.blend import BLENDED, blend, keep_blend
from firstread.train.finish import make_bundle, val_csv
from firstread.train.fit import device_for, fit
from firstread.train.focus import find_lungs
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
    if state.get("finished") and _is_whole(out, recipe, say):
        return state
    if not (out / "split.csv").exists():
        save_split(split, out / "split.csv")
    if start and not (out / TRAINED_CSV).exists():
        write_atomic(out / TRAINED_CSV, start.trained_csv())
    teachers, told = _teachers(replace(job, films=split), taught, say, show)
    started = time.perf_counter()
    hows = {"train": recipe.kept, "val": recipe.seen}
    parts = [_decoded(split.part(name), how, name, say, show) for name, how in hows.items()]
    decode_seconds = time.perf_counter() - started
    parts = _as_begun(out, state, parts, say)
    for doubt in (why_unused(parts[0].films), unknown_patients(split)):
        if doubt:
            say(doubt)
    net = network_of(recipe, weights, start, say)
    pixels = [np.asarray(p.pixels) for p in parts]
    started = time.perf_counter()
    bf16 = state["precision"] == "bf16-mixed"
    inputs = (
        [_features(net, p, bf16, show("features")) for p in pixels]
        if recipe.features_once
        else pixels
    )
    feature_seconds = time.perf_counter() - started
    labels = [p.films.labels for p in parts]
    lungs = find_lungs(pixels[0], show("finding the lungs")) if recipe.wants_lungs else None
    if teachers:
        sha256 = keep_opinions(out, teachers, parts[0].films, pixels[0], recipe.size)
        state |= {"teachers": told, "teachers_sha256": sha256}
    say(f"training {recipe.arch} at {recipe.fit_size} px on {len(labels[0])} films")
    module = fit(
        net,
        recipe,
        (inputs[0], inputs[1]),
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
    fit_seconds = sum(row["seconds"] for row in module.history)
    taught_seconds = sum(teacher["train_seconds"] for teacher in told)
    write_atomic(out / "curves.png", curves(module.history))
    told_now = {
        "decode_seconds": round(decode_seconds, 3),
        "feature_seconds": round(feature_seconds, 3),
        "fit_seconds": round(fit_seconds, 3),
        "train_seconds": round(decode_seconds + feature_seconds + fit_seconds + taught_seconds, 3),
        "epochs_run": len(module.history),
        "val_auc": _kept(module.history, recipe, out)["val_auc"],
    }
    state = told_now | state  # what a run that was finished has told stays
    name = f"{job.name}-{recipe.arch}-{recipe.size}-seed{recipe.seed}"
    both = (parts[0], parts[1])
    earlier = start.trained_on if start else ()
    _, logits = make_bundle(
        out / "bundle",
        net,
        recipe,
        name,
        both,
        state,
        say,
        gate=job.gate,
        earlier=earlier,
        show=show,
    )
    write_atomic(out / "val.csv", val_csv(parts[1].films, logits))
    if recipe.start_share:  # what was validated in training was not yet blended
        state["val_auc"] = auc(logits, labels[1] == 1)
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


def _decoded(
    films: Cohort, how: Preprocess, name: str, say: Callable[[str], None], show: Show
) -> CachedFilms:
    cached = cached_films(films, how, progress=show(f"decoding the {name} part"))
    for file, why in cached.failed:
        say(f"left out {file}: {why}")
    for label, which in enumerate(("normal", "pneumonia")):
        if label not in cached.films.labels:
            raise NoFilms(
                f"of the {name} part not one {which} film can be decoded (first of those that "
                f"cannot: {cached.failed[0][0]}); mend the films or split anew"
            )
    return cached


def _as_begun(
    out: Path, state: dict[str, Any], parts: list[CachedFilms], say: Callable[[str], None]
) -> list[CachedFilms]:
    """The parts without the films that could not be decoded when the fit began, as `state` tells.

    A disk may have failed for a moment only, but the fit's schedule counts the steps of the films
    that were. Raises `RunError` where others cannot be decoded now.
    """
    failed = {file: why for part in parts for file, why in part.failed}
    if "failed_films" not in state or not (out / "checkpoints" / "last.ckpt").is_file():
        state["failed_films"] = [list(pair) for pair in failed.items()]
        write_atomic(out / "run.json", json.dumps(state, indent=2) + "\n")
        return parts
    left = {file for file, _ in state["failed_films"]}
    if lost := sorted(failed.keys() - left):
        raise RunError(
            f"{out}: {count(len(lost), 'film')} that training began with cannot be decoded now "
            f"(first: {lost[0]}: {failed[lost[0]]}); the same command goes on once they can be"
        )
    if back := left - failed.keys():
        say(f"left out as when training began, decodable by now: {count(len(back), 'film')}")
    kept = [[i for i, r in enumerate(p.films.rows) if r.file not in left] for p in parts]
    return [
        CachedFilms(p.films.subset(some), p.pixels[some], p.failed)
        if len(some) < len(p.films)
        else p
        for p, some in zip(parts, kept, strict=True)
    ]


def _features(
    net: FilmNet, pixels: npt.NDArray[np.uint8], bf16: bool, progress: Progress
) -> npt.NDArray[np.float16]:
    """The trunk's output for every film, (n, c, h, w); for a trunk that does not learn."""
    channels_last(net).eval()
    out: list[npt.NDArray[np.float16]] = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        for start in range(0, len(pixels), 64):
            # Copied, since torch warns of an array that it must not write to, as the cache's is.
            films = torch.from_numpy(np.array(pixels[start : start + 64]))
            film = (films.unsqueeze(1).float() / 255.0).contiguous(
                memory_format=torch.channels_last
            )
            out.append(net.features(film).half().numpy())
            progress(start + len(films), len(pixels))
    return np.concatenate(out)
