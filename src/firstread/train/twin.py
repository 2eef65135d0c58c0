"""Films of another batch for the operating point: those that a twin of the run has never seen.

Where a threshold belongs depends on how films of another batch come out, and validation films of
the same batch cannot tell. A twin is a run by the same recipe on a split by series
(`firstread data split --by series`): the normals of one series and half of the patient numbers
are kept from it, and its logits of them stand for those that the run itself would give to another
batch. The twin knows only half of the films, so that it errs on the side of doubt.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import RunError
from firstread.train.recipe import Recipe, make_recipe


@dataclass(frozen=True)
class Shifted:
    """Films of another batch: logits (n,), labels (n,) 0 or 1, and what the card tells."""

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int8]
    told: dict[str, Any]


def load_twin(folder: Path, recipe: Recipe) -> Shifted:
    """What the finished run in `folder`, by the same recipe, says of its validation films.

    Raises `RunError` where it is no finished run, or of another recipe.
    """
    try:
        state = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        with (folder / "val.csv").open(newline="", encoding="utf-8") as f:
            rows = [(float(row["logit"]), int(row["label"])) for row in csv.DictReader(f)]
    except (OSError, ValueError, KeyError):
        raise RunError(f"{folder}: no finished run; make the twin by `firstread train`") from None
    if make_recipe(state["recipe"], str(folder)) != recipe:
        raise RunError(f"{folder}: is by another recipe; a twin is made by the run's own")
    logits, labels = (np.array(column) for column in zip(*rows, strict=True))
    told = {key: state[key] for key in ("identity", "data_sha256", "films", "patients")}
    return Shifted(logits, labels.astype(np.int8), told)
