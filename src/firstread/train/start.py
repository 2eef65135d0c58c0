"""Go on from a finished run: its network, who it was trained on, and what it descends from.

The network taken is the one that was validated and exported: the averaged weights where the run
kept averages, those of the best epoch where it had `patience`, and blended with its own start where
it kept a share of that. It is held against the run's own
bundle before it is used, on films of noise, so that no other checkpoint, preprocessing or
padding can slip in under its name.

Validation on a patient whom the earlier run learnt from would flatter, so such a split is refused.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstread.cohort.hashes import combined_sha256, file_sha256
from firstread.cohort.records import read_records
from firstread.cohort.split import damaged
from firstread.cohort.split_checks import COLUMNS
from firstread.cohort.table import Cohort
from firstread.errors import RunError, SplitError, TableError
from firstread.evaluate.runs import without_bundle
from firstread.film.files import as_written, csv_text
from firstread.model.build import build_net
from firstread.model.names import Opening
from firstread.model.net import FilmNet
from firstread.model.weights import WeightRecord, Weights
from firstread.plural import count
from firstread.read.bundle import Bundle
from firstread.train.blend import BLENDED
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.export import Reading
from firstread.train.recipe import Recipe

TRAINED_CSV = "start.csv"
"""In a run's folder: the films that the runs before it were trained on."""

OPENING = tuple(field.name for field in fields(Opening))
"""Keys of a recipe that a run has in common with the one it goes on from."""

PADDINGS = ("torch", "same")
TOLERANCE = 1e-3
"""Of a logit, relative to 1 + its size: what two engines may differ by in single precision. A
network with the other padding, or of the epoch before, is further off."""

Row = dict[str, str]


@dataclass(frozen=True)
class Start:
    """A finished run to go on from.

    `weights`: the record of the weights it began with itself, without tensors. `tensors`: its
    network's. `sha256`: of the checkpoint they are from. `origin`: what run.json and the card
    tell of it. `trained`: rows of split CSVs, all films that it or a run before it learnt from.
    `contents`: sha256 of every film it knows, those of its validation too.
    """

    folder: Path
    weights: Weights
    tensors: dict[str, Tensor]
    sha256: str
    origin: dict[str, Any]
    trained: tuple[Row, ...]
    contents: frozenset[str]

    def network(self, recipe: Recipe) -> FilmNet:
        """A network by `recipe` with the run's weights, its head and normalisation as well."""
        net = build_net(recipe.arch, recipe.size, recipe.dropout, self.weights)
        net.load_state_dict(self.tensors)
        return net

    @property
    def trained_on(self) -> tuple[str, ...]:
        """sha256 of the films it was trained on."""
        return tuple(row["sha256"] for row in self.trained)

    def trained_csv(self) -> str:
        """The films it was trained on as CSV, in the columns of a split."""
        return csv_text(COLUMNS, ([row[c] for c in COLUMNS] for row in self.trained))


def load_start(folder: Path, recipe: Recipe) -> Start:
    """The finished run in `folder`, fit to go on by `recipe`.

    Raises `RunError` where it is no run, not finished, of another architecture, of a size that
    its head depends on, of another opening, or where its checkpoint is
    missing or does not read as its bundle does.
    """
    state = finished_run(folder)
    was = state["recipe"]
    if was["arch"] != recipe.arch:
        raise RunError(
            f"{folder}: is a {was['arch']} and the recipe wants a {recipe.arch}; "
            "start from a run of the recipe's architecture"
        )
    for key in OPENING:
        before, now = was.get(key, getattr(Recipe(), key)), getattr(recipe, key)
        if before != now:
            raise RunError(
                f"{folder}: was trained with {key} = {json.dumps(before)}, the recipe has "
                f"{json.dumps(now)}; set {key} in a recipe of your own to what it was"
            )
    kept = "best.ckpt" if was.get("patience") else "last.ckpt"
    checkpoint = folder / "checkpoints" / (BLENDED if was.get("start_share") else kept)
    if not checkpoint.is_file():
        raise RunError(
            f"{checkpoint}: missing (a search keeps none of its trials'); "
            "train the run anew into another folder and start from that"
        )
    saved = SafeCheckpointIO().load_checkpoint(checkpoint)["state_dict"]
    tensors = {k.removeprefix("net."): v for k, v in saved.items() if k.startswith("net.")}
    if _misfits(recipe.arch, was["size"], tensors):
        raise RunError(f"{checkpoint}: is of another version of firstread; train the run anew")
    if _misfits(recipe.arch, recipe.size, tensors):
        raise RunError(
            f"{folder}: its head is made for {was['size']} px, not for {recipe.size} px; "
            f"give --size {was['size']}"
        )
    bundle = Bundle.load(folder / "bundle")
    assert_split_whole(folder / "split.csv", state)
    rows = split_rows(folder / "split.csv", "start from another run")
    before = rows_before(folder, state)
    sha256 = file_sha256(checkpoint)
    return Start(
        folder,
        _weights_as_bundled(folder, state, tensors, bundle),
        tensors,
        sha256,
        {
            "name": bundle.name,
            "licence": bundle.card.licence,
            "identity": state["identity"],
            "checkpoint_sha256": sha256,
            "data_sha256": state["data_sha256"],
            "films": state["films"]["train"],
            "weights": state["weights"],
            "recipe": state["recipe"],
            "start": state.get("start"),
        },
        tuple([r for r in rows if r["part"] == "train"] + before),
        frozenset(r["sha256"] for r in rows + before),
    )


def earlier_data(origin: dict[str, Any] | None) -> list[str]:
    """The data hashes of a run to go on from and of those before it, latest first."""
    found: list[str] = []
    while origin:
        found.append(origin["data_sha256"])
        origin = origin["start"]
    return found


def assert_unseen(start: Start, split: Cohort) -> None:
    """Raise `SplitError` if the part `val` or `test` holds a film or patient `start` learnt from.

    The same name means the same patient where both sets share a film, and where the names are
    of a series known from the public set (a copy at another size has other bytes). Films of
    another source may use the same names for other people.
    """
    contents = {r["sha256"] for r in start.trained}
    patients = {r["patient"] for r in start.trained}
    in_series = {(r["series"], r["patient"]) for r in start.trained if r["series"]}
    one_source = not start.contents.isdisjoint(split.hashes)
    seen = [
        row
        for row, sha in zip(split.rows, split.hashes, strict=True)
        if row.part in ("val", "test")
        and (
            sha in contents
            or (row.series, row.patient) in in_series
            or (one_source and as_written(row.patient) in patients)
        )
    ]
    if seen:
        validating = [row for row in seen if row.part == "val"]
        of = validating or seen
        what = "validation film" if validating else "test film"
        raise SplitError(
            f"{start.folder}: was trained on the patients of {count(len(of), what)} (first: "
            f"{of[0].file}), so what is found on them would flatter; give its own split.csv "
            "as --split, or a split that keeps others from training"
        )


def rows_before(folder: Path, state: dict[str, Any]) -> list[Row]:
    """Rows of the films that the runs learnt from which the run in `folder` went on from.

    `state`: its record. Raises `RunError` where they are no longer told in full: nobody could say
    then what the run knows.
    """
    origin = state.get("start")
    if not origin:
        return []
    path = folder / TRAINED_CSV
    rows = split_rows(path, "name another run") if path.is_file() else []
    if len(rows) < origin["films"]:
        raise RunError(f"{path}: films are missing; run its `firstread train` again to mend it")
    return rows


def assert_split_whole(path: Path, state: dict[str, Any]) -> None:
    """Raise `RunError` where a run's split no longer holds the films that its record tells: of
    another split the run is another, and what is to be mended is that file."""
    if not path.is_file() or "data_sha256" not in state:
        return
    try:
        hashes = [record["sha256"] or "" for record in read_records(path)[1]]
    except (TableError, KeyError):
        hashes = []
    if combined_sha256(hashes) != state["data_sha256"]:
        raise RunError(damaged(path))


def finished_run(folder: Path) -> dict[str, Any]:
    """The record (run.json) of a finished run. Raises `RunError` where the folder holds none."""
    path = folder / "run.json"
    if not path.is_file():
        raise RunError(f"{folder}: not a training run; name a folder made by `firstread train`")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise RunError(f"{path}: damaged; name another run") from None
    there = (folder / "bundle" / "card.json").is_file()
    if not (isinstance(state, dict) and state.get("finished") and there):
        raise RunError(without_bundle(folder))
    if not {"identity", "recipe", "weights", "films", "data_sha256"} <= set(state):
        raise RunError(f"{folder}: not a run of films to opinions; name another run")
    return state


def split_rows(path: Path, do: str) -> list[Row]:
    """The rows of a run's split. Raises `RunError`, whose last words are what to `do`."""
    try:
        with path.open(newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
    except (OSError, UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise RunError(
            f"{path}: missing or damaged, so that nobody can tell whom the run was trained on; {do}"
        )
    return rows


def _misfits(arch: str, size: int, tensors: dict[str, Tensor]) -> bool:
    """Whether a network for films of `size` px has other tensors than these."""
    blank = Weights(WeightRecord("", arch, "", ""), {})
    with torch.device("meta"):  # shapes alone
        wanted = build_net(arch, size, 0.0, blank).state_dict()
    shapes = {k: v.shape for k, v in wanted.items()}
    return shapes != {k: v.shape for k, v in tensors.items()}


def _weights_as_bundled(
    folder: Path, state: dict[str, Any], tensors: dict[str, Tensor], bundle: Bundle
) -> Weights:
    """The record of the run's first weights, with the padding under which it reads as bundled.

    The padding is of the network and not of its tensors, and run.json does not tell it.
    """
    import onnxruntime as ort

    was, first = state["recipe"], state["weights"]
    rng = np.random.default_rng(0)
    films = rng.integers(0, 256, (2, was["size"], was["size"]), dtype=np.uint8)
    films[1] = np.linspace(0, 255, was["size"], dtype=np.uint8)  # one of noise, one smooth
    session = ort.InferenceSession(str(bundle.onnx_path), providers=["CPUExecutionProvider"])
    told = session.run(["logit"], {"film": films})[0]
    opening = Opening(**{key: was[key] for key in OPENING if key in was})
    opening = replace(opening, grain=was.get("read_grain") or opening.grain)
    mirrored = (was.get("mirror_size") or was["size"]) if was.get("mirror") else 0
    found: list[tuple[float, Weights]] = []
    for padding in PADDINGS:
        record = WeightRecord(
            first["name"], was["arch"], first["licence"], first["source"], padding=padding
        )
        net = build_net(was["arch"], was["size"], 0.0, Weights(record, {})).eval()
        net.load_state_dict(tensors)
        net.opening = opening
        with torch.inference_mode():
            reading = Reading(net, mirrored)
            logits = reading(torch.from_numpy(films))[0].numpy()
        off = float((np.abs(logits - told) / (1.0 + np.abs(told))).max())
        found.append((off, Weights(record, {}, first["sha256"])))
    # The nearest of both: on a barely trained network the wrong padding may be near, too.
    off, weights = min(found, key=lambda pair: pair[0])
    if off <= TOLERANCE:
        return weights
    raise RunError(
        f"{folder}: its checkpoint does not read films as its bundle does; "
        "train the run anew into another folder and start from that"
    )
