#!/usr/bin/env python3
"""How much of a result is the seed: mean and spread over runs that differ in it alone.

    python scripts/seeds.py RUN RUN RUN --json docs/results/seeds.json

Each measure is taken on the runs' own validation films (val.csv, with the calibration and the
threshold of each run's bundle) and given as {"value", "low", "high", "sd", "values"}: mean,
95 % t-interval of the mean over seeds, standard deviation, one value a run. The interval tells
how the mean of other seeds would vary on these very films; how it would vary on other films is
what `firstread evaluate` gives for each run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firstread import __version__
from firstread.errors import FirstreadError, RunError
from firstread.evaluate.intervals import T975
from firstread.evaluate.metrics import (
    auc,
    average_precision,
    brier,
    confusion,
    ece,
    log_loss,
)
from firstread.evaluate.places import command_line, portable
from firstread.evaluate.runs import Run, common_films, load_runs
from firstread.film.files import write_atomic
from firstread.train.recipe import make_recipe

AUC_BAR = 0.99
KEPT = (
    *("identity", "git", "data_sha256", "weights", "versions", "python", "device", "precision"),
    *("started", "ended", "epochs_run", "train_seconds"),
)
"""What is kept of a run's run.json."""

HOW = {
    "interval": "95 % t-interval of the mean over seeds, on the same films; it holds the spread "
    "from training, not that from films",
    "threshold": "accuracy, sensitivity, specificity, precision, f1 and balanced_accuracy at "
    "each run's own threshold, which was chosen on these films: a little too good. auc and "
    "average_precision are free of it",
    "calibration": "loss, brier and ece of the calibrated probabilities; the calibration was "
    "fitted on these films: too good as well",
    "films": "the last block of patients of each series; no run was trained on them",
}


def measures(run: Run, files: Sequence[str]) -> dict[str, float]:
    """What one run reaches on these films."""
    truth = np.array([run.films[file].label for file in files], dtype=bool)
    p = run.probabilities(files)
    c = confusion(truth, p >= run.bundle.card.threshold)
    return {
        "auc": auc(run.logits(files), truth),
        "average_precision": average_precision(run.logits(files), truth),
        "accuracy": c.accuracy,
        "balanced_accuracy": c.balanced_accuracy,
        "sensitivity": c.sensitivity,
        "specificity": c.specificity,
        "precision": c.precision,
        "f1": c.f1,
        "loss": log_loss(p, truth),
        "brier": brier(p, truth),
        "ece": ece(p, truth),
        "threshold": run.bundle.card.threshold,
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean, t-interval and standard deviation of 2 to 10 values.

    >>> spread([1.0, 2.0, 3.0])["low"]
    -0.484
    """
    mean, sd = statistics.fmean(values), statistics.stdev(values)
    half = T975[len(values) - 2] * sd / math.sqrt(len(values))
    named = {"value": mean, "low": mean - half, "high": mean + half, "sd": sd}
    return {k: round(v, 6) for k, v in named.items()} | {"values": [round(v, 6) for v in values]}


def without_seed(run: Run) -> dict[str, Any]:
    """What the run was trained by, but for its seed."""
    recipe = run.record.get("recipe")
    if not isinstance(recipe, dict):
        raise RunError(f"{run.path / 'run.json'}: names no recipe; train the run again")
    # With what an older run's record lacks: a key that came later, at its default.
    whole = make_recipe(recipe, str(run.path)).to_dict()
    return {k: v for k, v in whole.items() if k != "seed"}


def summary(paths: Sequence[Path]) -> dict[str, Any]:
    """The JSON object. Raises `RunError` where the runs differ in more than their seeds."""
    if not 2 <= len(paths) <= len(T975) + 1:
        raise RunError(f"name 2 to {len(T975) + 1} runs that differ in their seed")
    runs = load_runs(paths)
    for run in runs[1:]:
        if without_seed(run) != without_seed(runs[0]):
            raise RunError(f"{run.path}: another recipe than {runs[0].path}; compare them instead")
        if set(run.films) != set(runs[0].films):
            raise RunError(f"{run.path}: other validation films than {runs[0].path}; split alike")
    seeds = [run.record["recipe"].get("seed") for run in runs]
    if len(set(seeds)) < len(seeds):
        raise RunError(f"two of the runs have one seed ({seeds}); name each seed once")
    files = common_films(runs)
    found = [measures(run, files) for run in runs]
    first = runs[0].films
    result: dict[str, Any] = {name: spread([f[name] for f in found]) for name in found[0]}
    if all(run.train_seconds for run in runs):
        result["train_seconds"] = spread([run.train_seconds or 0.0 for run in runs])
    area = result["auc"]
    return {
        "format": 1,
        **result,
        "bar": {
            "auc": AUC_BAR,
            "met": area["value"] >= AUC_BAR,
            "shown": area["low"] >= AUC_BAR,
        },
        "seeds": seeds,
        "films": len(files),
        "positives": sum(first[f].label for f in files),
        "patients": len({first[f].patient for f in files}),
        "runs": [entry(run, f) for run, f in zip(runs, found, strict=True)],
        "recipe": without_seed(runs[0]),
        "how": HOW,
    }


def entry(run: Run, found: dict[str, float]) -> dict[str, Any]:
    """One run: how it was made, and what it reached."""
    record = run.record
    seed, name = record["recipe"].get("seed"), record.get("name", run.name)
    return {
        "name": run.name,
        "path": portable(run.path),
        "seed": seed,
        # run.json keeps the resolved recipe, not the words; these make the same run again.
        "command": f"firstread train {name} --seed {seed} "
        f"--data $FIRSTREAD_DATA/{run.bundle.card.raw['data'].get('source', '')} "
        f"--out {portable(run.path)}",
        "bundle_sha256": run.bundle.sha256,
        **{key: record.get(key) for key in KEPT},
        **{k: round(v, 6) for k, v in found.items()},
    }


def main() -> int:
    """0: written; 2: the runs do not belong together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        result = summary(args.runs)
        command = command_line(["python", "scripts/seeds.py", *args.runs, "--json", args.json])
        result |= {"command": command, "versions": {"firstread": __version__}}
        write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
    except FirstreadError as e:
        print(f"seeds: {e}", file=sys.stderr)
        return 2
    for name, found in result.items():
        if isinstance(found, dict) and "values" in found:
            values = " ".join(f"{v:.4f}" for v in found["values"])
            print(
                f"{name:18} {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}] "
                f"sd {found['sd']:.4f}  {values}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
