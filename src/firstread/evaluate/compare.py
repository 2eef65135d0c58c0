"""Training runs side by side: what each reaches, what it costs, and what is chance.

All runs are judged on the validation films common to them, so every difference is paired:
McNemar's test on who calls a film rightly, DeLong's on the AUCs, each run against the best.
Asking several such questions at once makes a chance finding likelier; Holm's correction
(Holm 1979) pays for that. Beside the accuracy stand the times, so that the page answers what
a larger input is worth.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firstread.errors import RunError
from firstread.evaluate import figures
from firstread.evaluate.intervals import Sampler
from firstread.evaluate.metrics import confusion, film_losses
from firstread.evaluate.page import NOTICES, picture, write_page
from firstread.evaluate.paired import accuracy_difference, delong_paired, mcnemar
from firstread.evaluate.places import portable
from firstread.evaluate.result import versions
from firstread.evaluate.runs import TIMED_FILMS, Run, common_films, load_runs, reading_times
from firstread.evaluate.tables import decisions

DECIDED = ("accuracy", "sensitivity", "specificity", "precision", "f1")
"""Measures that hang on the run's threshold."""

LEVEL = 0.05
"""Corrected p-values below this are called a difference."""

HOW = {
    "intervals": "The intervals take patients, not films, as what varies by itself: Wilson's for "
    "shares, DeLong's or Newcombe's for AUCs, whichever is wider, a bootstrap for the rest.",
    "thresholds": "Each run decides at its own threshold, which was chosen on its validation "
    "films: accuracy, sensitivity, specificity and F1 are therefore a little too good; the AUC is "
    "free of that.",
    "reading": f"Reading: median of {TIMED_FILMS} random films, one at a time, one thread, the "
    "network alone, the runs taking turns on this machine.",
    "training": "Training: as the run recorded it, on the machine it was trained on; decoding the "
    "films is in it unless an earlier run had left them in the cache.",
    "tests": "p-values are corrected by Holm's method for the number of runs set against the "
    "best; below each the value alone. McNemar's exact test and DeLong's are by patient, so that "
    "a child with many films counts once. The best was picked on these very films, which favours "
    "it a little.",
}
"""What the page and the JSON say about how the numbers came about."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scand. J. Stat. 6, 1979), in the order given.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda j: p_values[j])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def compare_runs(
    paths: Sequence[Path],
    command: str = "",
    time_reading: Callable[[Sequence[Run]], list[float]] = reading_times,
) -> dict[str, Any]:
    """Compare training runs on the films they share, as one JSON object.

    ``films positives patients``: numbers; ``left_out``: films a run has and others lack;
    ``warnings``: sentences about runs that were chosen on these very films, or that take others
    for one patient than the first run does; ``best``: the name of the run with the highest
    accuracy (AUC, then the faster reader, where equal); ``runs``: for each its name, path, arch,
    size, train_seconds, read_ms, threshold, the estimates ``accuracy auc sensitivity specificity
    precision f1 loss brier`` as {"value", "low", "high", "method"}, and ``against_best`` (null for
    the best itself): the paired differences, the tests, and a finding in words. `time_reading`
    gives the milliseconds a film of each run. Raises `RunError`,
    `DataError`.
    """
    if len(paths) < 2:
        raise RunError("a comparison needs two runs or more; name another one")
    runs = load_runs(paths)
    files = common_films(runs)
    truth = np.array([runs[0].films[file].label for file in files], dtype=bool)
    if truth.all() or not truth.any():
        raise RunError(
            "the films common to the runs are all of one class; train them with one and the "
            "same --data and --split"
        )
    patients = _patients(runs[0], files)
    sampler = Sampler(patients)
    entries = [_measure(run, files, truth, sampler) for run in runs]
    for entry, ms in zip(entries, time_reading(runs), strict=True):
        entry["read_ms"] = ms
    best = max(
        range(len(runs)),
        key=lambda i: (
            entries[i]["accuracy"]["value"],
            entries[i]["auc"]["value"],
            -entries[i]["read_ms"],
        ),
    )
    _against(best, runs, entries, files, truth, patients)
    return {
        "format": 1,
        "films": len(files),
        "positives": int(truth.sum()),
        "patients": len(set(patients)),
        "left_out": {r.name: len(r.films) - len(files) for r in runs if len(r.films) > len(files)},
        "best": runs[best].name,
        "runs": entries,
        "warnings": [
            *_other_patients(runs, files),
            *(said for run in runs for said in _chosen_here(run)),
        ],
        "how": HOW,
        "notices": [*dict.fromkeys(n for run in runs for n in run.bundle.card.notices), *NOTICES],
        "command": command,
        "versions": versions() | {"machine": platform.machine()},
    }


def write_comparison(path: Path, result: dict[str, Any]) -> None:
    """Write a comparison as one HTML file that opens offline. Raises `OutputError`."""
    timed = [
        figures.Timed(
            run["name"],
            run["accuracy"]["value"],
            run["accuracy"]["low"],
            run["accuracy"]["high"],
            run["train_seconds"],
            run["read_ms"],
        )
        for run in result["runs"]
    ]
    drawn = picture(figures.accuracy_against_time(timed))
    write_page(
        path,
        "compare.html",
        {"result": result, "notices": result["notices"], "time_figure": drawn},
    )


def _patients(run: Run, files: Sequence[str]) -> list[str]:
    return [run.films[file].patient or file for file in files]


def _other_patients(runs: Sequence[Run], files: Sequence[str]) -> list[str]:
    """Which runs take other films for one patient's than the first run, by whose all is judged.

    What the patients are called does not matter, as nothing hangs on it.
    """
    first = _patients(runs[0], files)
    others = [(run.name, _patients(run, files)) for run in runs[1:]]
    unlike = [
        name
        for name, of in others
        if not len(set(zip(first, of, strict=True))) == len(set(first)) == len(set(of))
    ]
    if not unlike:
        return []
    return [
        f"which films are of one patient is told otherwise by {', '.join(unlike)} than by "
        f"{runs[0].name}, which counts here: intervals and p-values hang on it, so train all on "
        "one --data"
    ]


def _chosen_here(run: Run) -> list[str]:
    """What of a run was chosen on its validation films besides its threshold."""
    said = []
    if run.record.get("recipe", {}).get("patience"):
        said.append(f"{run.name}: its epoch was chosen by the AUC on these films, which favours it")
    if (run.path.resolve().parent / "study.db").is_file():
        said.append(
            f"{run.name}: is a trial of a search, whose best is picked by the AUC on these films, "
            "which favours it more than any other number here tells"
        )
    return said


def _calls(run: Run, files: Sequence[str]) -> Any:
    return run.probabilities(files) >= run.bundle.card.threshold


def _measure(run: Run, files: Sequence[str], truth: Any, sampler: Sampler) -> dict[str, Any]:
    p, calls = run.probabilities(files), _calls(run, files)
    counts = confusion(truth, calls)
    decided = decisions(sampler, truth, calls)
    # The logits order the films as the probabilities do, without rounding ties near 1.
    others = {
        "auc": sampler.auc(run.logits(files), truth),
        "loss": sampler.mean(film_losses(p, truth), least=0.0),
        "brier": sampler.mean_within((p - truth) ** 2),
    }
    return {
        "name": run.name,
        "path": portable(run.path),
        "arch": run.bundle.card.arch,
        "size": run.size,
        "train_seconds": run.train_seconds,
        "read_ms": None,
        "threshold": run.bundle.card.threshold,
        "confusion": counts.matrix,
        **{name: decided[name] for name in DECIDED},
        **{name: estimate.to_json() for name, estimate in others.items()},
        "against_best": None,
    }


def _against(
    best: int,
    runs: Sequence[Run],
    entries: list[dict[str, Any]],
    files: Sequence[str],
    truth: Any,
    patients: Sequence[str],
) -> None:
    """Put each other run's paired differences from the best into its entry."""
    right = [_calls(run, files) == truth for run in runs]
    others = [i for i in range(len(runs)) if i != best]
    tests = [mcnemar(right[i], right[best], patients) for i in others]
    areas = [
        delong_paired(runs[i].logits(files), runs[best].logits(files), truth, patients)
        for i in others
    ]
    tests_p = holm([test.p_value for test in tests])
    areas_p = holm([test.p_value for test in areas])
    for i, decision, area, p, q in zip(others, tests, areas, tests_p, areas_p, strict=True):
        entries[i]["against_best"] = {
            "accuracy_difference": accuracy_difference(right[i], right[best], patients).to_json(),
            "only_this_right": decision.only_a,
            "only_best_right": decision.only_b,
            "mcnemar_p": decision.p_value,
            "mcnemar_p_holm": p,
            "auc_difference": area.difference.to_json(),
            "delong_p": area.p_value,
            "delong_p_holm": q,
            "finding": _finding(p < LEVEL, q < LEVEL, area.difference.value),
        }


def _finding(accuracy_differs: bool, auc_differs: bool, auc_difference: float) -> str:
    """In words. The best has the highest accuracy, but its AUC may be the lower one."""
    above = auc_difference > 0
    if accuracy_differs and auc_differs:
        return "less accurate; but a higher AUC" if above else "less accurate, lower AUC"
    if accuracy_differs:
        return "less accurate; no difference in AUC shown"
    if auc_differs:
        return f"{'higher' if above else 'lower'} AUC; no difference in accuracy shown"
    return "no difference shown"
