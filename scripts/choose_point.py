#!/usr/bin/env python3
"""A bundle's gate, calibration, thresholds and refer band made anew, where its run is gone.

What `firstread export RUN --data --twin` does for a run. The network stays.

    python scripts/choose_point.py BUNDLE --data chest_xray.csv --split blocks.csv \\
        [--twin RUN] --name NAME --out NEW

The split's part `val` must be the films that the bundle was validated on.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from firstread.cohort.cache import cached_films
from firstread.cohort.split import load_split
from firstread.cohort.table import load_cohort
from firstread.errors import DataError, FirstreadError
from firstread.evaluate.corruptions import FULL
from firstread.read.bundle import Bundle, write_bundle
from firstread.train.gate import with_gate
from firstread.train.gate_graph import ungated
from firstread.train.point import choose_point, reader_of
from firstread.train.recipe import make_recipe
from firstread.train.record import now
from firstread.train.twin import load_twin


def chosen_anew(args: argparse.Namespace) -> str:
    """Write the new bundle; what its threshold is. Raises `FirstreadError`s of the parts."""
    bundle = Bundle.load(args.bundle)
    card, how = dict(bundle.card.raw), bundle.card.preprocess
    recipe = make_recipe(card["training"]["recipe"], str(args.bundle))
    shifted = load_twin(args.twin, recipe) if args.twin else None
    split = load_split(args.split, load_cohort(args.data))
    unseen = split.part("val")
    if unseen.data_hash() != card["data"]["validation_sha256"]:
        raise DataError(f"{args.split}: validates on other films than the bundle's card tells of")
    val = cached_films(unseen, how)
    large = cached_films(val.films, replace(how, size=max(how.size, FULL)))
    train = cached_films(split.part("train"), recipe.kept)
    bare = ungated(bundle.onnx_path.read_bytes())
    graph, card["gate"] = with_gate(
        bare, np.asarray(train.pixels), np.asarray(val.pixels), recipe.seed, print
    )
    read = reader_of(graph)
    logits = read(np.asarray(val.pixels))
    point = choose_point(
        read, np.asarray(large.pixels), how.size, logits, val.films.labels, shifted
    )
    card |= {"name": args.name, "created": now(), **point.to_card()}
    if shifted:
        card["training"] = {**card["training"], "twin": shifted.told}
    write_bundle(args.out, graph, card)
    return f"{args.name}: threshold {point.threshold:.4f}, {point.thresholds['decision'].how}"


def main() -> int:
    """0: written; 2: the parts do not belong together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the films, as a CSV")
    parser.add_argument("--split", type=Path, required=True, help="of them, as in training")
    parser.add_argument("--twin", type=Path, metavar="RUN", help="by the same recipe, by series")
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="NEW")
    try:
        print(chosen_anew(parser.parse_args()))
    except FirstreadError as e:
        print(f"choose_point: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
