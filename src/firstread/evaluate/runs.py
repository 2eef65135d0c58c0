"""What a comparison needs of a training run: its validation logits, its bundle, its times.

A run folder holds val.csv (file, label, patient, logit), run.json and bundle/, and split.csv, which
tells films of one name apart. Only these are read, so runs of any recipe, size or machine can stand
side by side.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstread.errors import BundleError, RunError
from firstread.evaluate.calibration import Floats, Platt
from firstread.read.bundle import Bundle

COLUMNS = ("file", "label", "patient", "logit")
AGAIN = "run the same `firstread train` again"
TIMED_FILMS = 64
"""Films a model reads when its reading time is taken."""


@dataclass(frozen=True)
class ValFilm:
    """One line of val.csv. `label`: 1 pneumonia, 0 normal; `logit`: not calibrated. `sha256`: of
    the film's bytes, empty where the run has no split.csv."""

    label: int
    patient: str
    logit: float
    sha256: str = ""


@dataclass(frozen=True)
class Run:
    """A finished training run. `films`: by file name; `train_seconds`: None if not recorded."""

    name: str
    path: Path
    films: dict[str, ValFilm]
    bundle: Bundle
    record: dict[str, Any]

    @property
    def size(self) -> int:
        """Side of the square the network sees, in pixels."""
        return self.bundle.card.preprocess.size

    @property
    def train_seconds(self) -> float | None:
        """Training time as the run recorded it."""
        seconds = self.record.get("train_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return None
        return float(seconds) if math.isfinite(seconds) and seconds > 0 else None

    def logits(self, files: Sequence[str]) -> Floats:
        """Logits (n,) of some films, not calibrated."""
        return np.array([self.films[file].logit for file in files], dtype=np.float64)

    def probabilities(self, files: Sequence[str]) -> Floats:
        """Calibrated probabilities (n,) of some films."""
        return Platt.of(self.bundle.card.calibration).probability(self.logits(files))


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs in these folders, each under a name of its own.

    A run is named by its folder, with the folder above where two would share a name. Raises
    `RunError` for a folder that is no finished run or is named twice.
    """
    folders = [Path(path) for path in paths]
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise RunError(f"{folder}: named twice; name each run once")
        seen.add(folder.resolve())
    names = [folder.resolve().name for folder in folders]
    names = [
        name if names.count(name) == 1 else f"{folder.resolve().parent.name}/{name}"
        for name, folder in zip(names, folders, strict=True)
    ]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return [load_run(folder, name) for folder, name in zip(folders, names, strict=True)]


def load_run(path: Path, name: str | None = None) -> Run:
    """One training run. Raises `RunError` where a part is missing or makes no sense."""
    if not path.is_dir():
        raise RunError(f"{path}: no such run folder; name a folder that firstread train wrote")
    films = _read_films(path / "val.csv", _read_contents(path / "split.csv"))
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unfinished(path / "run.json") from None
    if not isinstance(record, dict):
        raise _unfinished(path / "run.json")
    if not (path / "bundle" / "card.json").is_file():
        raise RunError(without_bundle(path))
    try:
        bundle = Bundle.load(path / "bundle")
    except BundleError as e:
        raise RunError(f"{e} (or delete it and {AGAIN} to make it anew)") from None
    return Run(name or path.resolve().name, path, films, bundle, record)


def without_bundle(run: Path) -> str:
    """What to say of a run folder that holds no bundle."""
    if (run.resolve().parent / "study.db").is_file():
        return (
            f"{run}: of a search only the best trial keeps its bundle; train this one anew with "
            f"`firstread train {run / 'recipe.json'}` and another --out"
        )
    return f"{run}: not finished, or its bundle is gone; {AGAIN}"


def _unfinished(path: Path) -> RunError:
    return RunError(f"{path}: missing or damaged; {AGAIN}")


def _read_contents(path: Path) -> dict[str, str]:
    """sha256 of the run's films by file name."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {line["file"]: line["sha256"] for line in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, KeyError, csv.Error):
        raise RunError(f"{path}: damaged; train again") from None


def _read_films(path: Path, contents: dict[str, str]) -> dict[str, ValFilm]:
    films: dict[str, ValFilm] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if not set(COLUMNS) <= set(table.fieldnames or ()):
                raise RunError(f"{path}: needs the columns {', '.join(COLUMNS)}; train again")
            for line in table:
                label, logit = int(line["label"]), float(line["logit"])
                if label not in (0, 1) or not math.isfinite(logit):
                    raise ValueError
                if line["file"] in films:
                    raise RunError(f"{path}: names {line['file']} twice; train again")
                sha256 = contents.get(line["file"], "")
                films[line["file"]] = ValFilm(label, line["patient"], logit, sha256)
    except OSError:
        raise _unfinished(path) from None
    except (ValueError, TypeError, csv.Error):
        raise RunError(f"{path}: holds a line that cannot be read; train again") from None
    if not films:
        raise RunError(f"{path}: names no films; train again with films to validate on")
    return films


def common_films(runs: Sequence[Run]) -> list[str]:
    """The films that every run was validated on, sorted.

    Raises `RunError` where there are none, or where the runs disagree about one's label or have
    different films under one name.
    """
    shared = set(runs[0].films).intersection(*(run.films for run in runs[1:]))
    if not shared:
        raise RunError(
            "the runs share no validation film; train them with one and the same --data and --split"
        )
    for file in sorted(shared):
        if len({run.films[file].label for run in runs}) > 1:
            raise RunError(
                f"{file}: the runs disagree about its label; train them on the same data"
            )
        if len({run.films[file].sha256 for run in runs} - {""}) > 1:
            raise RunError(
                f"{file}: is another film in each of the runs; train them on the same data"
            )
    return sorted(shared)


def reading_times(runs: Sequence[Run], films: int = TIMED_FILMS) -> list[float]:
    """Median milliseconds a film that each run's network takes, one film and one thread.

    Random pixels from memory: decoding a film costs the same whichever network reads it. The
    networks take turns, eight films each, so that a machine that grows busy slows all alike.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    rng = np.random.default_rng(0)
    ready = []
    for run in runs:
        try:
            session = onnxruntime.InferenceSession(
                str(run.bundle.onnx_path), options, providers=["CPUExecutionProvider"]
            )
            film = rng.integers(0, 256, (1, run.size, run.size), dtype=np.uint8)
            for _ in range(3):
                session.run(["logit"], {"film": film})
        except Exception as e:  # onnxruntime's errors share no base of their own
            raise RunError(
                f"{run.bundle.onnx_path}: does not run ({type(e).__name__}); "
                f"delete {run.bundle.path} and {AGAIN} to make it anew"
            ) from None
        ready.append((session, run.size))
    taken: list[list[float]] = [[] for _ in runs]
    done = 0
    while done < films:
        turn = min(8, films - done)
        for (session, size), times in zip(ready, taken, strict=True):
            for _ in range(turn):
                film = rng.integers(0, 256, (1, size, size), dtype=np.uint8)
                start = time.perf_counter()
                session.run(["logit"], {"film": film})
                times.append(time.perf_counter() - start)
        done += turn
    return [1000.0 * float(np.median(times)) for times in taken]
