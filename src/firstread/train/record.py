"""run.json: what a run is, written when it begins, so that a killed run is known again.

A run's identity is a hash over the resolved recipe, the weights, the films of each part with
their labels and, where it goes on from another run, that run's checkpoint; where training looks at
lungs, the lung net too, and with teachers their resolved recipes.
A folder of another identity is refused, never overwritten.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from firstread.cohort.table import Cohort
from firstread.errors import RunError
from firstread.film.files import write_atomic
from firstread.film.lungs import shipped
from firstread.model.weights import Weights
from firstread.train.fit import precision_for
from firstread.train.recipe import Recipe
from firstread.train.start import Start, assert_split_whole

PACKAGES = ("firstread", "torch", "lightning", "numpy", "pillow", "onnx", "onnxruntime")


def open_run(
    out: Path,
    name: str,
    recipe: Recipe,
    split: Cohort,
    weights: Weights,
    start: Start | None,
    device: str,
    teachers: Sequence[Recipe] = (),
) -> dict[str, Any]:
    """run.json of the run in `out`: made now, or taken up again if it is the same run.

    Raises `RunError` where the folder is another run's, damaged, or no run's at all.
    """
    resolved = json.dumps(recipe.to_dict(), sort_keys=True)
    told = f"{resolved}\n{weights.sha256}\n{told_of(split, recipe.frame)}"
    if start:
        told += f"\nstart {start.sha256}"
    if teachers:
        told += "\nteachers " + json.dumps([t.to_dict() for t in teachers], sort_keys=True)
    # The loss then depends on the lung net, so that another net makes another run.
    lungs = shipped().sha256 if recipe.wants_lungs else None
    if lungs:
        told += f"\nlungs {lungs}"
    identity = hashlib.sha256(told.encode()).hexdigest()
    recipe_json = json.dumps(recipe.to_dict(), indent=2) + "\n"
    state = taken_up(out, identity, "recipe, weights, start, films or labels")
    if state is not None:
        if not (out / "recipe.json").is_file():  # killed between the two
            write_atomic(out / "recipe.json", recipe_json)
        return state
    state = {
        "identity": identity,
        "finished": False,
        "name": name,
        "recipe": recipe.to_dict(),
        "precision": precision_for(recipe, device),
        "device": device,
        "started": now(),
        "data_sha256": split.data_hash(),
        "films": {p: len(split.part(p)) for p in ("train", "val")},
        "patients": {p: len(set(split.part(p).patients)) for p in ("train", "val")},
        "weights": {
            "name": weights.record.name,
            "sha256": weights.sha256,
            "licence": weights.record.licence,
            "source": weights.record.source,
        },
        "start": start.origin if start else None,
        "lungs_sha256": lungs,
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "git": _git_state(),
    }
    write_atomic(out / "run.json", json.dumps(state, indent=2) + "\n")
    write_atomic(out / "recipe.json", recipe_json)
    return state


def told_of(split: Cohort, frame: str) -> str:
    """Part, label and sha256 of every film, a line each: what an identity holds of the films.

    And the size that a table tells of it, where `frame` keeps the aspect: it decides on the pixels.
    """
    lines = zip(split.rows, split.hashes, strict=True)
    sized = frame != "squash"
    return "\n".join(
        f"{row.part} {row.label} {sha}" + (f" {row.true_size}" if sized and row.true_size else "")
        for row, sha in lines
    )


def taken_up(out: Path, identity: str, parts: str) -> dict[str, Any] | None:
    """run.json of the run in `out` if it has this identity; None where there is no run yet.

    `parts`: what an identity is made of, for the message. Raises `RunError` where the folder is
    another run's, damaged, its split too, or no run's at all.
    """
    path = out / "run.json"
    if path.is_file():
        try:
            state: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):  # no JSON, or none of a record
            raise RunError(f"{path}: damaged; delete the run folder and train again") from None
        if state.get("identity") != identity:
            assert_split_whole(out / "split.csv", state)
            raise RunError(
                f"{out}: holds another run ({parts} differ); give another --out or delete it"
            )
        return state
    if out.is_dir() and any(not p.name.startswith(".") for p in out.iterdir()):
        raise RunError(f"{out}: not empty and no run of ours; give another --out")
    return None


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_state() -> dict[str, Any]:
    """Commit and cleanliness of the checkout the package runs from, if it is one."""

    def git(*words: str) -> str:
        # Else `status` takes the lock of the index, at which a commit just then would fail.
        command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # Installed below somebody's project, it would pass that one's commit off as its own.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"commit": git("rev-parse", "HEAD"), "clean": not changed}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
