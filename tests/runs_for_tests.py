"""Run folders small enough for tests: synthetic logits beside the tiny bundle."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from bundles import tiny_bundle


def write_run(
    folder: Path,
    noise: float,
    n: int = 200,
    size: int = 32,
    seconds: float | None = 60.0,
    skip: int = 0,
    prefix: str = "",
    seed: int = 0,
) -> Path:
    """A run folder whose logits are the truth plus noise; returns the folder."""
    folder.mkdir(parents=True)
    tiny_bundle(folder / "bundle", size)
    (folder / "run.json").write_text(json.dumps({"train_seconds": seconds}))
    rng = np.random.default_rng(seed)
    with (folder / "val.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "patient", "logit"])
        for i in range(skip, n):
            label = i % 2
            logit = 2.0 * label - 1.0 + noise * rng.normal()
            table.writerow([f"{prefix}{i}.jpeg", label, f"p{i // 3}", logit])
    return folder
