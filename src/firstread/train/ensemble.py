"""Several runs as one reader: the mean of their logits and maps, in one graph.

A deep ensemble (Lakshminarayanan et al. 2017, arXiv:1612.01474). It reads as slowly as all its
members together. Weights are stored in half precision, so that two members take the place of one;
they are widened once, when the graph is loaded, and a logit moves by about a thousandth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from firstread.cohort.cache import cached_films
from firstread.cohort.hashes import all_prefixes
from firstread.cohort.split import load_split
from firstread.cohort.table import Cohort
from firstread.errors import RunError
from firstread.evaluate.corruptions import FULL
from firstread.progress import Show, unseen
from firstread.read.bundle import Bundle, write_bundle
from firstread.train.point import choose_point, reader_of
from firstread.train.start import finished_run, split_rows

KEPT = 64
"""Tensors of fewer values stay as they are: shapes, axes, and what is not worth it."""


def merged(graphs: Sequence[bytes]) -> bytes:
    """ONNX graphs of ours (`film` to `logit` and `map`) as one that gives their means."""
    import onnx
    from onnx import TensorProto, compose, helper, numpy_helper

    first = onnx.load_from_string(graphs[0])
    nodes: list[Any] = []
    tensors: list[Any] = []
    for k, graph in enumerate(graphs):
        model = compose.add_prefix(onnx.load_from_string(graph), f"member{k}/")
        for node in model.graph.node:
            node.input[:] = ["film" if x == f"member{k}/film" else x for x in node.input]
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype != np.float32 or values.size < KEPT:
                tensors.append(tensor)
                continue
            half = f"{tensor.name}/half"
            tensors.append(numpy_helper.from_array(values.astype(np.float16), half))
            nodes.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
        nodes += model.graph.node
    outputs = [out for out in first.graph.output if out.name in ("logit", "map")]
    for out in ("logit", "map"):
        members = [f"member{k}/{out}" for k in range(len(graphs))]
        nodes.append(helper.make_node("Mean", members, [out]))
    graph = helper.make_graph(nodes, "firstread", [first.graph.input[0]], outputs, tensors)
    model = helper.make_model(graph, opset_imports=list(first.opset_import))
    model.ir_version = first.ir_version
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def ensemble(
    runs: Sequence[Path],
    films: Cohort,
    out: Path,
    name: str,
    say: Callable[[str], None] = lambda text: None,
    show: Show = unseen,
) -> Bundle:
    """One bundle of several finished runs on one split of `films`.

    Calibration, thresholds and refer band are chosen for the whole, on the validation films that
    no member saw. Raises `RunError` where the runs do not belong together.
    """
    states, members = _alike(runs)
    how = members[0].card.preprocess
    split = load_split(runs[0] / "split.csv", films, show("hashing"))
    val = cached_films(split.part("val"), how, progress=show("decoding the val part"))
    ages, full = split.part("train").ages, replace(how, size=max(how.size, FULL))
    large = cached_films(val.films, full, progress=show(f"decoding the val part at {full.size} px"))
    graph = merged([member.onnx_path.read_bytes() for member in members])
    read = reader_of(graph)
    say(f"choosing thresholds on {len(val.films)} films that no member was trained on")
    point = choose_point(
        read, np.asarray(large.pixels), how.size, read(np.asarray(val.pixels)), val.films.labels
    )
    first = members[0].card.raw
    card = {
        "name": name,
        "arch": " + ".join(member.card.arch for member in members),
        "created": max(member.card.created for member in members),
        "version": metadata.version("firstread"),
        "licence": first["licence"],
        "labels": first["labels"],
        "preprocess": first["preprocess"],
        **point.to_card(),
        "ages": list(ages) if ages else None,
        "data": _data([member.card.raw["data"] for member in members], val.films.data_hash()),
        "training": {
            "weights": first["training"]["weights"],
            "members": [
                {"name": member.name, "onnx_sha256": member.card.onnx_sha256}
                | {key: state[key] for key in ("recipe", "weights", "versions", "git")}
                | {"train_seconds": state["train_seconds"]}
                | ({"start": state["start"]} if state.get("start") else {})
                for member, state in zip(members, states, strict=True)
            ],
        },
        "notices": [],
    }
    return write_bundle(out, graph, card)


def _alike(runs: Sequence[Path]) -> tuple[list[dict[str, Any]], list[Bundle]]:
    """The records and bundles of finished runs; `RunError` where they do not belong together."""
    for i, run in enumerate(runs):
        if run.resolve() in [other.resolve() for other in runs[:i]]:
            raise RunError(f"{run}: is named twice; an ensemble is of different runs")
    states = [finished_run(run) for run in runs]
    members = [Bundle.load(run / "bundle") for run in runs]
    parts = [_parts(run) for run in runs]
    for run, member, part in zip(runs, members, parts, strict=True):
        if member.card.preprocess != members[0].card.preprocess:
            raise RunError(f"{run}: makes films ready otherwise than {runs[0]}; train alike")
        if part != parts[0]:
            raise RunError(f"{run}: was trained on another split than {runs[0]}; split alike")
        if _map_of(member) != _map_of(members[0]):
            raise RunError(
                f"{run}: draws a map of another size than {runs[0]}; take networks alike"
            )
    return states, members


def _data(members: Sequence[dict[str, Any]], validation: str) -> dict[str, Any]:
    """What a card tells of the films, from what those of the members tell."""
    told = [str(one.get("trained_on") or "") for one in members]
    earlier = list(dict.fromkeys(sha for one in members for sha in one.get("earlier_sha256", ())))
    return {
        **members[0],
        **({"earlier_sha256": earlier} if earlier else {}),  # of any of them
        "validation_sha256": validation,
        # A part of the films would pass for all of them.
        "trained_on": all_prefixes(told) if all(told) else None,
    }


def _map_of(bundle: Bundle) -> tuple[int, ...]:
    """The shape of its map of a film."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(bundle.onnx_path), providers=["CPUExecutionProvider"])
    size = bundle.card.preprocess.size
    found = session.run(["map"], {"film": np.zeros((1, size, size), np.uint8)})[0]
    return tuple(found.shape)


def _parts(run: Path) -> set[tuple[str, str]]:
    """(sha256, part) of each film of a run's split."""
    rows = split_rows(run / "split.csv", "name another run")
    return {(row["sha256"], row["part"]) for row in rows}
