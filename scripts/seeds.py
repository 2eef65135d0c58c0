#!/usr/bin/env python3
"""How much of a result is the seed: mean and spread over runs that differ in it alone.

    python scripts/seeds.py RUN RUN RUN --json docs/results/seeds.json
    python scripts/seeds.py RUN RUN RUN --studies JSON JSON JSON ... --json docs/results/seeds.json

Each measure is taken on the runs' own validation films (val.csv, with the calibration and the
threshold of each run's bundle) and given as {"value", "low", "high", "sd", "values"}: mean,
95 % t-interval of the mean over seeds, standard deviation, one value a run. The interval tells
how the mean of other seeds would vary on these very films; how it would vary on other films is
what `firstread evaluate` gives for each run.

`--studies` takes the JSON of `firstread evaluate RUN`, one of each run for each set of films, and
gives their AUC and what their studies found in the same way, one entry of `studies` a set.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
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


def summary(paths: Sequence[Path], found_by: Sequence[Path] = ()) -> dict[str, Any]:
    """The JSON object, with the studies in `found_by`. Raises `RunError` where the runs differ in
    more than their seeds, or the studies are not theirs."""
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
        "studies": studies(found_by, runs),
        "recipe": without_seed(runs[0]),
        "how": HOW,
    }


def studied(result: Mapping[str, Any]) -> dict[str, float]:
    """What one JSON of `firstread evaluate` found, by name; none of it hangs on a threshold but
    `corrupted`, the mean balanced error under corruptions. `box_auc_either_way`: films with painted
    lungs that are ranked the wrong way round tell as much, and over seeds the two cancel out."""
    found = {"auc": result["auc"]["value"]}
    for study in result.get("occlusion", ()):
        area = study["auc"]["value"]
        found[f"{study['how']}_auc"] = area
        found[f"{study['how']}_auc_either_way"] = max(area, 1 - area)
        if study["distance_left"] is not None:
            found[f"{study['how']}_distance_left"] = study["distance_left"]["value"]
    if heat := result.get("heat_energy"):
        found["lift"] = heat["lift"]["value"]
    if worse := result.get("corruptions"):
        found["corrupted"] = worse["mean_balanced_error"]["value"]
    for column, groups in result["groups"].items():
        areas = {g["value"]: g["auc"]["value"] for g in groups if g["auc"] is not None}
        found |= {f"auc_{column}_{value}": area for value, area in areas.items()}
        if areas:
            found[f"auc_within_{column}"] = statistics.fmean(areas.values())
    return found


def studies(files: Sequence[Path], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One entry for each set of films that the JSON `files` are of, in the order given.

    Raises `RunError` where one is of none of the runs, or a set lacks one of a run.
    """
    owner = {run.bundle.sha256: run.name for run in runs}
    sets: dict[str, dict[str, dict[str, Any]]] = {}
    for file in files:
        result = json.loads(file.read_text(encoding="utf-8"))
        name = owner.get(result["bundle"]["sha256"])
        if name is None:
            raise RunError(f"{file}: of none of the runs; evaluate these")
        of = sets.setdefault(result["data"]["sha256"], {})
        if name in of:
            raise RunError(f"{file}: the second of {name} on these films; give one")
        of[name] = result
    for of in sets.values():
        if len(of) < len(runs):
            lacking = ", ".join(run.name for run in runs if run.name not in of)
            raise RunError(f"{next(iter(of.values()))['data']['given']}: not evaluated: {lacking}")
    return [_spread_of([of[run.name] for run in runs]) for of in sets.values()]


def _spread_of(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    each = [studied(result) for result in results]
    common = [name for name in each[0] if all(name in found for found in each)]
    data = results[0]["data"]
    return {
        "films": data["films"],
        **{key: data.get(key) for key in ("given", "part", "sha256")},
        **{name: spread([found[name] for found in each]) for name in common},
        "commands": [result["command"] for result in results],
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
    parser.add_argument("--studies", nargs="+", type=Path, default=[], metavar="FILE")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        result = summary(args.runs, args.studies)
        asked = ["--studies", *args.studies] if args.studies else []
        words = ["python", "scripts/seeds.py", *args.runs, *asked, "--json", args.json]
        command = command_line(words)
        result |= {"command": command, "versions": {"firstread": __version__}}
        write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
    except FirstreadError as e:
        print(f"seeds: {e}", file=sys.stderr)
        return 2
    show(result)
    for films in result["studies"]:
        print(f"\n{films['given']}, {films['part'] or 'all of it'}:")
        show(films)
    return 0


def show(spreads: Mapping[str, Any]) -> None:
    """Print the spreads, a line each."""
    for name, found in spreads.items():
        if isinstance(found, dict) and "values" in found:
            values = " ".join(f"{v:.4f}" for v in found["values"])
            print(
                f"{name:24} {found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}] "
                f"sd {found['sd']:.4f}  {values}"
            )


if __name__ == "__main__":
    sys.exit(main())
