#!/usr/bin/env python3
"""Which films of a training part have a doubtful label, by networks that did not train on them.

    python scripts/doubtful_labels.py RECIPE --table $FIRSTREAD_DATA/chest_xray.csv \\
        --split series.csv --runs RUNS --out cleaned.csv --json docs/results/doubtful.json

Confident learning (Northcutt, Jiang & Chuang 2021, arXiv:1911.00068): the patients of the training
part are dealt into folds, one network a fold is trained on the others, and a film is doubtful where
its probability of the other class is at least the mean that films of that class have. `--out` is
the split without these films; `--json` has how many there are of each kind, and names no film.
Trainings in RUNS that were stopped go on, finished ones are not made again.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from verb import written

from firstread import __version__
from firstread.cohort.split import load_split, save_split
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.calibration import sigmoid

FOLDS = 4

Floats = npt.NDArray[np.float64]


def dealt(films: Cohort) -> npt.NDArray[np.int64]:
    """The fold (n,) of each film: the patients of each series, in a random order, in turns."""
    rng, fold = np.random.default_rng(0), {}
    for series in sorted({r.series for r in films.rows}):
        theirs = sorted(
            {p for p, r in zip(films.patients, films.rows, strict=True) if r.series == series}
        )
        fold |= {theirs[j]: i % FOLDS for i, j in enumerate(rng.permutation(len(theirs)))}
    return np.array([fold[p] for p in films.patients])


def out_of_fold(films: Cohort, fold: npt.NDArray[np.int64], args: argparse.Namespace) -> Floats:
    """Probability (n,) of pneumonia by the network that did not train on the film."""
    found = dict.fromkeys((r.file for r in films.rows), np.nan)
    args.runs.mkdir(parents=True, exist_ok=True)
    for k in range(FOLDS):
        parts = ["val" if f == k else "train" for f in fold]
        rows = [replace(r, part=p) for r, p in zip(films.rows, parts, strict=True)]
        split, run = args.runs / f"fold-{k}.csv", args.runs / f"fold-{k}"
        save_split(films.retold(tuple(rows)), split)
        if not (run / "bundle" / "card.json").is_file():
            how = ["--data", args.table, "--split", split, "--out", run, "--seed", str(k)]
            command = [sys.executable, "-m", "firstread", "train", args.recipe, "--no-gate", *how]
            subprocess.run(list(map(str, command)), check=True)
        with (run / "val.csv").open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                found[row["file"]] = float(sigmoid(float(row["logit"])))
    return np.array([found[r.file] for r in films.rows])


def doubtful(probability: Floats, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(n,): whose other class is as likely as it is for that class's own films, and likelier."""
    ill = labels == 1
    as_ill, as_well = probability[ill].mean(), 1 - probability[~ill].mean()
    seems_ill = (probability >= as_ill) & (probability > 0.5)
    seems_well = (1 - probability >= as_well) & (probability < 0.5)
    return np.asarray(np.where(ill, seems_well, seems_ill))


def study(args: argparse.Namespace) -> dict[str, Any]:
    """Trains the folds, writes the split that is left and returns what is told of it."""
    split = load_split(args.split, load_cohort(args.table))
    films = split.part("train")
    fold = dealt(films)
    probability = out_of_fold(films, fold, args)
    odd = doubtful(probability, films.labels)
    dropped = {r.file for r, d in zip(films.rows, odd, strict=True) if d}
    left = [i for i, r in enumerate(split.rows) if r.file not in dropped]
    save_split(split.subset(left), args.out)
    kinds = [r.etiology for r in films.rows]
    return {
        "format": 1,
        "recipe": args.recipe,
        "folds": FOLDS,
        "films": Counter(kinds),
        "doubtful": Counter(k for k, d in zip(kinds, odd, strict=True) if d),
        "share": float(odd.mean()),
        "firstread": __version__,
    }


def main() -> int:
    """0: written; 2: the films or the split are not as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", metavar="RECIPE")
    parser.add_argument("--table", type=Path, required=True, help="the films, as a CSV")
    parser.add_argument("--split", type=Path, required=True, help="of that table")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the trainings")
    parser.add_argument("--out", type=Path, required=True, help="the split without doubtful films")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    return written(study, parser.parse_args(), lambda result: result)


if __name__ == "__main__":
    sys.exit(main())
