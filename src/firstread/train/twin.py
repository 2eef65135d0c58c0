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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort
from firstread.errors import RunError
from firstread.film.files import as_written
from firstread.plural import count
from firstread.train.recipe import Recipe, make_recipe
from firstread.train.start import assert_split_whole, rows_before


@dataclass(frozen=True)
class Shifted:
    """Films of another batch: logits (n,), labels (n,) 0 or 1, and what the card tells."""

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8]
    told: dict[str, Any]


def load_twin(folder: Path, recipe: Recipe, state: dict[str, Any], split: Cohort) -> Shifted:
    """What the finished run in `folder`, by the same recipes, says of its validation films.

    `state`: the record (run.json) of the run whose twin it is; `split`: that run's films, all
    parts. Raises `RunError` where it is no finished run, that run itself, of another recipe, with
    another beginning or of none of these films, where it knows the series of the normal films
    that it is to judge, or has to do with a patient of the run's part `test`.
    """
    try:
        twin = dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
        with (folder / "val.csv").open(newline="", encoding="utf-8") as f:
            rows = [(float(row["logit"]), int(row["label"])) for row in csv.DictReader(f)]
        with (folder / "split.csv").open(newline="", encoding="utf-8") as f:
            films = list(csv.DictReader(f))
        contents = {r["sha256"] for r in films}
        normals = {(r["part"], r["series"]) for r in films if r["label"] == "0"}
        used = [(r["series"], r["patient"], r["sha256"]) for r in films if r["part"] != "test"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        twin, rows, contents, normals, used = {}, [], set(), set(), []
    if not twin.get("finished") or {label for _, label in rows} != {0, 1}:
        raise RunError(f"{folder}: no finished run; make the twin by `firstread train`")
    assert_split_whole(folder / "split.csv", twin)
    used += [(r["series"], r["patient"], r["sha256"]) for r in rows_before(folder, twin)]
    if twin["identity"] == state["identity"]:
        raise RunError(f"{folder}: is the run itself; a twin is trained on another split")
    if make_recipe(twin["recipe"], str(folder)) != recipe:
        raise RunError(f"{folder}: is by another recipe; a twin is made by the run's own")
    if _beginning(twin) != _beginning(state):
        raise RunError(f"{folder}: began otherwise than the run; a twin is made by the same steps")
    if contents.isdisjoint(split.hashes):
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
    if apart := _kept_apart(used, split):
        raise RunError(
            f"{folder}: trained or validated on patients of "
            f"{count(apart, 'film')} that the run keeps apart as part test; split both with "
            "the same --test, the run by blocks and the twin by series"
        )
    logits, labels = (np.array(column) for column in zip(*rows, strict=True))
    told = {key: twin[key] for key in ("identity", "data_sha256", "films", "patients")}
    return Shifted(logits, labels.astype(np.int8), told)


def _kept_apart(used: list[tuple[str, str, str]], split: Cohort) -> int:
    """How many of the films that a split keeps apart are `used` (series, patient and sha256 of
    each), or of patients that are: both are of one source, so that a name means one patient."""
    contents = {sha for _, _, sha in used}
    patients = {(series, patient) for series, patient, _ in used}
    return sum(
        row.part == "test"
        and (sha in contents or (row.series, as_written(row.patient)) in patients)
        for row, sha in zip(split.rows, split.hashes, strict=True)
    )


def _beginning(state: dict[str, Any]) -> list[Any]:
    """The weights a run began with, and the recipes of the runs before it as far as told."""
    found: list[Any] = [state["weights"]["sha256"]]
    start = state.get("start")
    while start:
        found.append(start.get("recipe"))
        start = start.get("start")
    return found
