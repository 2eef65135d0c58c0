"""Films of another batch for the operating point: those that a twin of the run has never seen.

Where a threshold belongs depends on how films of another batch come out, and validation films of
the same batch cannot tell. A twin is a run by the same recipe on a split by series
(`firstread data split --by series`): the normals of one series and half of the patient numbers
are kept from it, and its logits of them stand for those that the run itself would give to another
batch. The twin knows only half of the films, so that it errs on the side of doubt.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import RunError
from firstread.train.recipe import Recipe, make_recipe


@dataclass(frozen=True)
class Shifted:
    """Films of another batch: logits (n,), labels (n,) 0 or 1, and what the card tells."""

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8]
    told: dict[str, Any]


def load_twin(
    folder: Path, recipe: Recipe, state: dict[str, Any], hashes: Iterable[str]
) -> Shifted:
    """What the finished run in `folder`, by the same recipes, says of its validation films.

    `state`: the record (run.json) of the run whose twin it is; `hashes`: sha256 of that run's
    films. Raises `RunError` where it is no finished run, that run itself, of another recipe, with
    another beginning or of none of these films, or where it knows the series of the normal films
    that it is to judge.
    """
    try:
        twin = dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
        with (folder / "val.csv").open(newline="", encoding="utf-8") as f:
            rows = [(float(row["logit"]), int(row["label"])) for row in csv.DictReader(f)]
        with (folder / "split.csv").open(newline="", encoding="utf-8") as f:
            split = list(csv.DictReader(f))
        contents = {r["sha256"] for r in split}
        normals = {(r["part"], r["series"]) for r in split if r["label"] == "0"}
    except (OSError, ValueError, KeyError, TypeError):
        twin, rows, contents, normals = {}, [], set(), set()
    if not twin.get("finished") or {label for _, label in rows} != {0, 1}:
        raise RunError(f"{folder}: no finished run; make the twin by `firstread train`")
    if twin["identity"] == state["identity"]:
        raise RunError(f"{folder}: is the run itself; a twin is trained on another split")
    if make_recipe(twin["recipe"], str(folder)) != recipe:
        raise RunError(f"{folder}: is by another recipe; a twin is made by the run's own")
    if _beginning(twin) != _beginning(state):
        raise RunError(f"{folder}: began otherwise than the run; a twin is made by the same steps")
    if contents.isdisjoint(hashes):
        raise RunError(
            f"{folder}: shares no film with the run; a twin is trained on another split of the "
            "same films"
        )
    known = {series for part, series in normals if part == "train"}
    if known & {series for part, series in normals if part == "val"}:
        raise RunError(
            f"{folder}: has seen normal films of the series it judges; a twin is trained on a "
            "split by `firstread data split --by series`"
        )
    logits, labels = (np.array(column) for column in zip(*rows, strict=True))
    told = {key: twin[key] for key in ("identity", "data_sha256", "films", "patients")}
    return Shifted(logits, labels.astype(np.int8), told)


def _beginning(state: dict[str, Any]) -> list[Any]:
    """The weights a run began with, and the recipes of the runs before it as far as told."""
    found: list[Any] = [state["weights"]["sha256"]]
    start = state.get("start")
    while start:
        found.append(start.get("recipe"))
        start = start.get("start")
    return found
