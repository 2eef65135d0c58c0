#!/usr/bin/env python3
"""Can the network's features tell bacterial from viral pneumonia? Asked before a hint is given.

    python scripts/hint_study.py --table $FIRSTREAD_DATA/chest_xray.csv --split blocks.csv \\
        [--bundle B] --json docs/results/hint.json

A linear probe (`firstread.train.gate.linear_probe`) on the features that the bundle's head reads
learns from the pneumonia films of the training part and is asked about those of the held-out
blocks, `blocks`; beside it, about a fifth of the training part's patients that another probe did
not learn from, `alike`, in turns. AUC of viral against bacterial, with a bootstrap interval over
patients. `prior`: share of viral films in each; `size`: the AUC of the original film's area alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from verb import written

from firstread import __version__
from firstread.cohort.cache import cached_films
from firstread.cohort.split import load_split
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import BundleError
from firstread.evaluate.intervals import Sampler
from firstread.evaluate.places import script_line
from firstread.read.bundle import Bundle
from firstread.train.gate import linear_probe
from firstread.train.gate_graph import Films, Floats, output_of

FOLDS = 5
HEAD = "net.head.layers.0.weight"
CAUSES = ("bacterial", "viral")


def head_features(bundle: Bundle) -> Callable[[Films], Floats]:
    """What reads the features (n, c) that the head of a bundle's network adds up."""
    import onnx

    model = onnx.load(str(bundle.onnx_path))
    heads = [node for node in model.graph.node if HEAD in node.input]
    names = [node.input[0] for node in heads if node.op_type == "Gemm"]
    if not names:
        raise BundleError(f"{bundle.name}: has no head of one network; give one that `train` made")
    width = next(w.dims[1] for w in model.graph.initializer if w.name == HEAD)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    graph = model.SerializeToString()
    reads = [output_of(graph, name) for name in names]

    def of_films(films: Films) -> Floats:
        # Of a film that is read mirrored as well two rows, or one of each of two heads.
        found = [read(films).reshape(len(films), -1, width) for read in reads]
        return np.concatenate(found, axis=1).mean(axis=1)

    return of_films


def pneumonias(films: Cohort) -> Cohort:
    """The films of a pneumonia whose cause the table tells."""
    told = [r.extra.get("etiology") in CAUSES for r in films.rows]
    return films.subset(np.flatnonzero(told).tolist())


def viral(films: Cohort) -> np.ndarray:
    """(n,) bool."""
    return np.array([r.extra["etiology"] == CAUSES[1] for r in films.rows])


def scored(learnt: Floats, truth: np.ndarray, asked: Floats) -> np.ndarray:
    """Log odds (n,) of viral for features `asked`, by a probe on the features `learnt`."""
    weight, bias = linear_probe([learnt[~truth], learnt[truth]])
    found = asked @ weight.T + bias
    return np.asarray(found[:, 1] - found[:, 0], np.float64)


def judged(scores: np.ndarray, films: Cohort) -> dict[str, Any]:
    """The AUC of viral against bacterial with its interval, and what was asked."""
    truth = viral(films)
    return {
        "auc": Sampler(films.patients).auc(scores, truth).to_json(),
        "films": len(truth),
        "prior": float(truth.mean()),
    }


def area(films: Cohort) -> np.ndarray:
    """(n,) pixels of the originals, 0 where the table does not tell."""
    sizes = [
        (r.extra.get("original_width") or 0, r.extra.get("original_height") or 0)
        for r in films.rows
    ]
    return np.array([float(w) * float(h) for w, h in sizes])


def study(args: argparse.Namespace) -> dict[str, Any]:
    """The blocks, the films alike, and the size alone."""
    bundle = Bundle.load(args.bundle)
    split = load_split(args.split, load_cohort(args.table))
    read = head_features(bundle)
    how = bundle.card.preprocess
    parts = {}
    for part in ("train", "val"):
        cached = cached_films(pneumonias(split.part(part)), how)
        parts[part] = cached.films, read(np.asarray(cached.pixels))
    (known, learnt), (unseen, asked) = parts["train"], parts["val"]
    truth = viral(known)
    names = sorted(set(known.patients))
    turn = dict(zip(names, np.random.default_rng(0).permutation(len(names)) % FOLDS, strict=True))
    fold = np.array([turn[name] for name in known.patients])
    alike = np.zeros(len(truth))
    for i in range(FOLDS):
        alike[fold == i] = scored(learnt[fold != i], truth[fold != i], learnt[fold == i])
    return {
        "format": 1,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "blocks": judged(scored(learnt, truth, asked), unseen),
        "alike": judged(alike, known),
        "size": judged(-area(unseen), unseen),
        "firstread": __version__,
        "command": script_line(),
    }


def main() -> int:
    """0: written; 2: something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    return written(study, parser.parse_args(), lambda result: result)


if __name__ == "__main__":
    sys.exit(main())
