"""A clinic for tests: films as arrays, as a reader would have told of them, or as real files.

`clinic(bundle, n)` gives opinions on n films without a film; `write_films` draws some that the
tiny bundle of `bundles` gets mostly right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from firstread.clinic.films import Look
from firstread.cohort.synthetic import draw_film
from firstread.evaluate.calibration import Floats, Platt
from firstread.evaluate.metrics import Bools
from firstread.evaluate.score import Scored
from firstread.read.bundle import Bundle

SPREAD = 1.3


def network(truth: Bools, rng: np.random.Generator, apart: float = 2.0) -> Floats:
    """A network's logits (n,): two normal distributions, their middles `apart`."""
    return np.asarray(rng.normal(np.where(truth, apart / 2, -apart / 2), SPREAD))


def told(
    bundle: Bundle,
    z: Floats,
    truth: Bools,
    *,
    patients: list[str] | None = None,
    rejected: Bools | None = None,
    aside: Bools | None = None,
) -> tuple[Scored, Look]:
    """What a reader says of films with the network's logits `z` (n,)."""
    n, card = len(z), bundle.card
    no = np.zeros(n, bool) if rejected is None else rejected
    away = np.zeros(n, bool) if aside is None else aside & ~no
    p = np.where(no, np.nan, Platt.of(card.calibration).probability(z))
    band = (p >= card.refer.low) & (p <= card.refer.high)
    said = np.where(p >= card.threshold, "pneumonia", "no pneumonia")
    said = np.where(no, "rejected", np.where(band | away, "refer", said))
    scored = Scored(
        files=tuple(f"{i}.png" for i in range(n)),
        labels=truth.astype(np.int8),
        patients=tuple(patients or (f"p{i}" for i in range(n))),
        probabilities=p,
        decisions=tuple(str(s) for s in said),
        reasons=tuple((("broken",) if r else ()) for r in no),
        threshold=card.threshold,
        refer=(card.refer.low, card.refer.high),
        bundle={
            "name": card.name,
            "sha256": bundle.sha256,
            "onnx_sha256": card.onnx_sha256,
            "calibration": card.raw["calibration"],
            "data": card.raw["data"],
        },
        data={"source": "clinic", "films": n, "patients": n, "sha256": "c" * 64},
        notices=card.notices,
    )
    grey = np.random.default_rng(n).normal(120, 10, n)
    look = Look(np.where(no, np.nan, z), away, no, {"logit": np.where(no, np.nan, z), "grey": grey})
    return scored, look


def clinic(
    bundle: Bundle, n: int, seed: int = 0, share: float = 0.5, apart: float = 2.0
) -> tuple[Scored, Look]:
    """`n` films, each of a patient of its own, a `share` of them with pneumonia."""
    truth = np.arange(n) < round(share * n)
    return told(bundle, network(truth, np.random.default_rng(seed), apart), truth)


def write_films(root: Path, n: int, seed: int = 0, brighter: float = 0.0, side: int = 40) -> Path:
    """`n` drawn films a class, those with pneumonia brighter by a fifth; returns `root`.

    `brighter`: grey levels that all are brighter by. Each film is of a patient of its own.
    """
    rng = np.random.default_rng(seed)
    for ill in (False, True):
        folder = root / ("PNEUMONIA" if ill else "NORMAL")
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(n):
            film = draw_film(rng, ill, side).astype(np.float64)
            film += (150 if ill else 105) + brighter + rng.normal(0, 20) - film.mean()
            Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root
