"""From a trained network to a bundle: its graph with the gate, the operating point, the card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.cache import CachedFilms, cached_films
from firstread.cohort.hashes import prefixes
from firstread.cohort.split import load_split
from firstread.cohort.table import Cohort
from firstread.errors import RunError
from firstread.evaluate.corruptions import FULL
from firstread.film.files import csv_text
from firstread.model.net import FilmNet
from firstread.progress import Show, unseen
from firstread.read.bundle import Bundle, write_bundle
from firstread.read.card import LABELS
from firstread.train.export import to_onnx
from firstread.train.fit import precision_for
from firstread.train.gate import with_gate
from firstread.train.point import choose_point, reader_of
from firstread.train.quick import Bf16Reader
from firstread.train.recipe import Recipe, make_recipe
from firstread.train.record import now
from firstread.train.start import earlier_data, finished_run, load_start
from firstread.train.twin import Shifted, load_twin

Say = Callable[[str], None]

TOLD = ("recipe", "precision", "weights", "versions", "git", "train_seconds")
TOLD_IF_THERE = ("start", "lungs_sha256", "teachers", "teachers_sha256")
"""What a card tells of a run's record."""


def make_bundle(
    out: Path,
    net: FilmNet,
    recipe: Recipe,
    name: str,
    parts: tuple[CachedFilms, CachedFilms],
    state: dict[str, Any],
    say: Say = lambda text: None,
    shifted: Shifted | None = None,
    gate: bool = True,
    earlier: Sequence[str] = (),
    show: Show = unseen,
) -> tuple[Bundle, npt.NDArray[np.float64]]:
    """Write the bundle of a trained network, and give the logits of its validation films.

    `parts`: films of training and of validation. `state`: the run's record (run.json). What the
    card holds is chosen on the validation films, and on those of another batch that a twin has
    `shifted`. `gate`: give it one, which takes a minute or two. `earlier`: sha256 of the films
    that the runs before it learnt from. Raises `DataError` and `OutputError` as `choose_point`
    and `write_bundle` do.
    """
    train, val = parts
    pixels, size = np.asarray(val.pixels), recipe.size
    net.opening = recipe.reading_opening
    graph, told_gate = to_onnx(net, size, recipe.mirrored), {}
    fast = precision_for(recipe, "cpu") == "bf16-mixed"
    quick = Bf16Reader(net, recipe.mirrored) if fast else None
    if gate:
        look = quick.seen if quick else None
        learnt = np.asarray(train.pixels)
        graph, limits = with_gate(graph, learnt, pixels, recipe.seed, say, look, net.strange)
        told_gate = {"gate": limits}
    read = reader_of(graph)
    logits = read(pixels)
    # The films as they are by what will read them; their copies only tell how far logits fade.
    read_worse = quick.logits if quick else read
    large = pixels
    if size < FULL:
        full = replace(recipe.seen, size=FULL)
        progress = show(f"decoding the val part at {FULL} px")
        large = np.asarray(cached_films(val.films, full, progress=progress).pixels)
    point = choose_point(read_worse, large, size, logits, val.films.labels, shifted)
    card = {
        "name": name,
        "arch": recipe.arch,
        "created": now(),
        "version": metadata.version("firstread"),
        "licence": "Apache-2.0",
        "labels": list(LABELS),
        "preprocess": recipe.seen.to_dict(),
        **point.to_card(),
        **told_gate,
        "ages": list(train.films.ages) if train.films.ages else None,
        "data": _data(parts, state, earlier),
        "training": {key: state[key] for key in TOLD}
        | {key: state[key] for key in TOLD_IF_THERE if state.get(key)}
        | ({"twin": shifted.told} if shifted else {}),
        "notices": [],
    }
    return write_bundle(out, graph, card), logits


def _data(
    parts: tuple[CachedFilms, CachedFilms], state: dict[str, Any], earlier: Sequence[str]
) -> dict[str, Any]:
    """What a card tells of the films that it was made from."""
    train, val = (part.films for part in parts)
    start = state.get("start")
    return {
        "source": val.root.name,
        "films": len(train),
        "patients": len(set(train.patients)),
        "validation_films": len(val),
        "validation_patients": len(set(val.patients)),
        "sha256": state["data_sha256"],
        "validation_sha256": val.data_hash(),
        "trained_on": prefixes({*train.hashes, *earlier}),
        **({"earlier_sha256": earlier_data(start)} if start else {}),
    }


def made_again(
    folder: Path,
    films: Cohort,
    out: Path,
    name: str | None,
    say: Say = lambda text: None,
    twin: Path | None = None,
    show: Show = unseen,
) -> Bundle:
    """The bundle of the finished run in `folder`, made anew by this version's code.

    `films`: those the run was trained on. `twin`: a run by the same recipe whose validation films
    are of another batch (`firstread.train.twin`). The network is the run's own; gate, calibration,
    thresholds and refer band are chosen again. Raises `RunError` where the run is not whole,
    `SplitError` where the films are others.
    """
    state = finished_run(folder)
    recipe = make_recipe(state["recipe"], str(folder))
    start = load_start(folder, recipe)
    net = start.network(recipe)
    split = load_split(folder / "split.csv", films, show("hashing"))
    shifted = load_twin(twin, recipe, state, split) if twin else None  # refused before the work
    trained, val = (
        cached_films(split.part(name), how, progress=show(f"decoding the {name} part"))
        for name, how in (("train", recipe.kept), ("val", recipe.seen))
    )
    parts = (trained, val)
    found = [len(p.films) + len(p.failed) for p in parts]
    if found != [state["films"][k] for k in ("train", "val")]:
        raise RunError(f"{folder}: was trained on other films; give --data what it was trained on")
    old = Bundle.load(folder / "bundle")
    return make_bundle(
        out,
        net,
        recipe,
        name or old.name,
        parts,
        state,
        say,
        shifted,
        earlier=start.trained_on,
        show=show,
    )[0]


def val_csv(films: Cohort, logits: npt.NDArray[np.float64]) -> str:
    """Validation films with their logits, as a run keeps them."""
    told = zip(films.rows, logits, strict=True)
    rows = ((row.file, row.label, row.patient, f"{logit:.6f}") for row, logit in told)
    return csv_text(("file", "label", "patient", "logit"), rows)
