"""The films of a run as its fit takes them: decoded once, or as features computed once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from firstread.cohort.cache import CachedFilms, cached_films
from firstread.cohort.table import Cohort
from firstread.errors import NoFilms, RunError
from firstread.film.files import write_atomic
from firstread.film.preprocess import Preprocess
from firstread.model.net import FilmNet, channels_last
from firstread.plural import count
from firstread.progress import Progress, Show
from firstread.train.recipe import Recipe

Inputs = tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]
"""Of train and val: pixels (n, s, s) uint8, or features (n, c, h, w)."""


def decoded_parts(
    split: Cohort,
    recipe: Recipe,
    out: Path,
    state: dict[str, Any],
    say: Callable[[str], None],
    show: Show,
) -> tuple[tuple[CachedFilms, CachedFilms], float]:
    """The parts train and val of a split, decoded, and the seconds that it took.

    `state`: the record of the run in `out`, which is told what cannot be decoded. Raises `NoFilms`
    where nothing of a class can be, `RunError` where a run goes on and others cannot be than when
    it began.
    """
    started = time.perf_counter()
    train = _decoded(split.part("train"), recipe.kept, "train", say, show)
    val = _decoded(split.part("val"), recipe.seen, "val", say, show)
    seconds = time.perf_counter() - started
    return _as_begun(out, state, (train, val), say), seconds


def what_is_shown(
    net: FilmNet,
    recipe: Recipe,
    parts: tuple[CachedFilms, CachedFilms],
    precision: str,
    show: Show,
) -> tuple[Inputs, float]:
    """What the fit shows of each film, and the seconds that it took: pixels, or what a trunk that
    does not learn makes of them."""
    started = time.perf_counter()
    train, val = (np.asarray(part.pixels) for part in parts)
    if not recipe.features_once:
        return (train, val), time.perf_counter() - started
    bf16 = precision == "bf16-mixed"
    features = [_features(net, pixels, bf16, show("features")) for pixels in (train, val)]
    return (features[0], features[1]), time.perf_counter() - started


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
    out: Path,
    state: dict[str, Any],
    parts: tuple[CachedFilms, CachedFilms],
    say: Callable[[str], None],
) -> tuple[CachedFilms, CachedFilms]:
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
    return _without(parts[0], left), _without(parts[1], left)


def _without(part: CachedFilms, left: set[Any]) -> CachedFilms:
    some = [i for i, row in enumerate(part.films.rows) if row.file not in left]
    if len(some) == len(part.films):
        return part
    return CachedFilms(part.films.subset(some), part.pixels[some], part.failed)


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
