#!/usr/bin/env python3
"""What a trial of a recipe is worth on films unlike those it was trained on.

A trial is a recipe in studies/trials/, trained on one half of the split by series and looked at
on the other (docs/protocol.md says why). A candidate is one at full size, looked at on the blocks::

    firstread data split $FIRSTREAD_DATA/chest_xray.csv --by series --block 0 --out series0.csv
    firstread train studies/trials/NAME.toml --data ... --split series0.csv --out runs/NAME-0
    python scripts/trials.py NAME runs/NAME-0 --table $FIRSTREAD_DATA/chest_xray.csv \\
        --hospital $FIRSTREAD_DATA/nih_adult.csv --choose nih.csv --json FILE

Everything is taken at the raw logit's zero, where a balanced training puts it: a threshold
chosen on the films it is judged on would hide the very shift that is looked for.

Fields: `auc`, `balanced_error`, `sensitivity`, `specificity` of the other half;
`specificity_at_98`: at the cut that keeps 98 % of its pneumonias; `corrupted` and `groups`: mean
balanced error under corruptions of strength 1, 3 and 5, at 224 px, of 120 films a class;
`boxed`: the AUC that a fixed box over the lungs leaves; `lift`: heat in the lungs over that of a
uniform map; `hospital`: AUC within views, of the half of the films of another hospital that is
for choosing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread import __version__
from firstread.cohort.cache import cached_films
from firstread.cohort.split import load_split
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import FirstreadError
from firstread.evaluate.corruptions import FAMILIES, FAMILY_GROUPS, FULL, corrupt, shrunk
from firstread.evaluate.graph import Films, Graph
from firstread.evaluate.heat import heat_energy_study
from firstread.evaluate.metrics import auc
from firstread.evaluate.occlusion import box_mask, painted
from firstread.film.files import write_atomic
from firstread.film.preprocess import Preprocess
from firstread.read.bundle import Bundle

STRENGTHS = (1, 3, 5)
A_CLASS = 120
BATCH = 32

Logits = npt.NDArray[np.float64]


def logits_of(graph: Graph, films: Films) -> Logits:
    """Logits (n,) of films (n, s, s), in batches."""
    parts = [films[i : i + BATCH] for i in range(0, len(films), BATCH)]
    return np.concatenate([graph.logits(np.ascontiguousarray(p)) for p in parts])


def balanced_error(logits: Logits, truth: npt.NDArray[np.bool_]) -> float:
    """1 - (sensitivity + specificity) / 2 at a logit of zero."""
    called = logits >= 0
    return float(1 - (called[truth].mean() + (~called)[~truth].mean()) / 2)


def some_of(truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Indices of `A_CLASS` films of each class, always the same."""
    rng = np.random.default_rng(0)
    parts = [rng.permutation(np.flatnonzero(truth == c))[:A_CLASS] for c in (False, True)]
    return np.sort(np.concatenate(parts))


def corrupted(
    graph: Graph, films: Films, truth: npt.NDArray[np.bool_], size: int
) -> dict[str, float]:
    """Mean balanced error by corruption, of films at their full size."""
    found = {}
    for f, family in enumerate(FAMILIES):
        errors = []
        for strength in STRENGTHS:
            worse = [
                shrunk(
                    corrupt(film, family, strength, np.random.default_rng([0, i, f, strength])),
                    size,
                )
                for i, film in enumerate(films)
            ]
            errors.append(balanced_error(logits_of(graph, np.stack(worse)), truth))
        found[family] = statistics.fmean(errors)
    return found


def within_views(graph: Graph, hospital: Cohort, size: int) -> dict[str, float]:
    """AUC of each view's films, and their mean."""
    cached = cached_films(hospital, Preprocess(size))
    logits = logits_of(graph, np.asarray(cached.pixels))
    truth = cached.films.labels == 1
    views = np.array([r.extra.get("view", "") for r in cached.films.rows])
    found = {v: auc(logits[views == v], truth[views == v]) for v in ("AP", "PA")}
    return found | {"mean": statistics.fmean(found.values())}


def measured(run: Path, hospital: Cohort, table: Path, split: Path) -> dict[str, Any]:
    """The measures of one run on the films it did not see."""
    bundle = Bundle.load(run / "bundle")
    size, graph = bundle.card.preprocess.size, Graph(bundle.onnx_path)
    unseen = load_split(split, load_cohort(table)).part("val")
    cached = cached_films(unseen, Preprocess(size))
    truth, films = cached.films.labels == 1, np.asarray(cached.pixels)
    logits = logits_of(graph, films)
    cut = np.quantile(logits[truth], 0.02)
    some = some_of(truth)
    large = np.asarray(cached_films(cached.films.subset(some.tolist()), Preprocess(FULL)).pixels)
    families = corrupted(graph, large, truth[some], size)
    boxed = np.stack([painted(film, box_mask(size)) for film in films[some]])
    return {
        "auc": auc(logits, truth),
        "balanced_error": balanced_error(logits, truth),
        "sensitivity": float((logits[truth] >= 0).mean()),
        "specificity": float((logits[~truth] < 0).mean()),
        "specificity_at_98": float((logits[~truth] < cut).mean()),
        "corrupted": statistics.fmean(families.values()),
        "groups": {g: statistics.fmean(families[f] for f in fs) for g, fs in FAMILY_GROUPS.items()},
        "families": families,
        "lift": heat_energy_study(run / "bundle", cached.films.subset(some.tolist()), None)["lift"][
            "value"
        ],
        "boxed": auc(logits_of(graph, boxed), truth[some]),
        "hospital": within_views(graph, hospital, size),
        "films": len(films),
    }


def main() -> int:
    """0: written; 2: the runs do not belong together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--table", type=Path, required=True, help="the films, as a CSV")
    parser.add_argument("--split", type=Path, help="of that table, if the run was given a folder")
    parser.add_argument("--hospital", type=Path, required=True, help="films of another, as a CSV")
    parser.add_argument("--choose", type=Path, required=True, help="their split; `val` chooses")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        hospital = load_split(args.choose, load_cohort(args.hospital)).part("val")
        record = json.loads((args.run / "run.json").read_text(encoding="utf-8"))
        found = measured(args.run, hospital, args.table, args.split or args.run / "split.csv")
    except FirstreadError as e:
        print(f"trials: {e}", file=sys.stderr)
        return 2
    result = {
        "format": 1,
        "name": args.name,
        **found,
        "recipe": record["recipe"],
        "data_sha256": record["data_sha256"],
        "git": record["git"],
        "minutes": round(record["train_seconds"] / 60, 1),
        "hospital_films": len(hospital),
        "firstread": __version__,
    }
    write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
    shown = ("auc", "balanced_error", "specificity_at_98", "corrupted", "boxed")
    print(args.name, *(f"{k} {result[k]:.4f}" for k in shown), f"hospital {result['hospital']}")
    print(" ", {k: round(v, 3) for k, v in result["groups"].items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
