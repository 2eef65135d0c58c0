#!/usr/bin/env python3
"""How well the gate tells what is no upright frontal chest film, each kind by itself.

    python scripts/gate_study.py --split blocks.csv --table $FIRSTREAD_DATA/chest_xray.csv \\
        --adults $FIRSTREAD_DATA/nih_adult.csv --negatives $FIRSTREAD_DATA/negatives.csv \\
        [--photos skimage/data] [--bundle B] --json docs/results/gate.json

Good films are the held-out films of the split, which chose the gate's limits; the same films by
limits that other patients among them chose, a fifth at a time; and films of adults of another
hospital, which chose nothing. Of each kind of other picture: `turned_away`, the share
that gets no opinion (Wilson interval), and `referred`, the share that is left to a person; `auc`
against the held-out films, by the gate's strangeness, a picture that another measure turns away
counting as strangest (patient bootstrap of the good films and the others alike); `fpr_at_95`: share
of held-out films that a limit would turn away which turns away 95 % of the kind. Made ones are
held-out films spoilt as in `firstread.train.gate_films`, and re-photographed: askew, unevenly lit,
noisy, and tinted or in grey; `marked` is the share of them that bears the remark that it is one.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from verb import written

from firstread import __version__
from firstread.cohort.split import load_split
from firstread.cohort.table import load_cohort
from firstread.errors import FirstreadError
from firstread.evaluate.closed_form import wilson
from firstread.evaluate.metrics import auc
from firstread.evaluate.places import script_line
from firstread.film import decode, preprocess
from firstread.film.decode import Film
from firstread.film.lungs import doubt, lung_mask
from firstread.film.photo import looks_photographed
from firstread.film.quality import plainly_no_film
from firstread.read.bundle import Bundle
from firstread.read.engine import open_session
from firstread.read.gate import KINDS, OUTPUT, gate_from_card, judge, strangeness, told_otherwise
from firstread.train.gate import limits
from firstread.train.gate_films import spoilt, worse

MADE = 250
"""Held-out films that are spoilt, of each kind."""

DRAWS = 1000
FOLDS = 5
REFERRED = "referred"
TOP = 1e3
"""Strangeness of a picture that another measure than the probe turns away."""


class Judge:
    """A bundle's gate on decoded films: (strangeness, reason or None)."""

    def __init__(self, bundle: Bundle) -> None:
        self.card, self.session = bundle.card, open_session(bundle)

    def pixels(self, film: Film) -> npt.NDArray[np.uint8]:
        """What the model sees."""
        return preprocess(film, self.card.preprocess)

    def logits(self, square: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The graph's output (1, 1 + kinds) for a square."""
        found: npt.NDArray[np.float32] = self.session.run([OUTPUT], {"film": square[None]})[0]
        return found

    def __call__(self, film: Film) -> tuple[float, str | None]:
        """The gate's strangeness of a film, and why it would be turned away."""
        square = self.pixels(film)
        logits = self.logits(square)
        odd = float(strangeness(logits)[0])
        assert self.card.gate is not None
        why = plainly_no_film(film) or told_otherwise(film.tags)
        if why is not None:
            return TOP, why
        doubts: list[str | None] = []

        def look() -> str | None:
            doubts.append(_doubt(square))
            return doubts[-1]

        verdict = judge(self.card.gate, logits[0], look)
        by_lungs = any(doubts)
        referred = None if verdict.refer is None else f"{REFERRED}: {verdict.refer}"
        return (TOP if by_lungs else odd), verdict.reject or referred


def by_others(
    judged_by: Judge, squares: npt.NDArray[np.uint8], patients: list[str]
) -> list[str | None]:
    """Why each of the held-out films would get no opinion by limits that other patients chose."""
    rng = np.random.default_rng(1)
    as_is = np.concatenate([judged_by.logits(s) for s in squares])
    made = np.concatenate([judged_by.logits(s) for s in worse(squares, rng)])
    names = sorted(set(patients))
    turn = dict(zip(names, rng.permutation(len(names)) % FOLDS, strict=True))
    fold = np.array([turn[name] for name in patients])
    why: list[str | None] = [None] * len(squares)
    for i in range(FOLDS):
        gate = gate_from_card(limits(as_is[fold != i], made[fold != i]))
        for j in np.flatnonzero(fold == i):
            verdict = judge(gate, as_is[j], partial(_doubt, squares[j]))
            why[j] = verdict.reject or (verdict.refer and f"{REFERRED}: {verdict.refer}")
    return why


def _doubt(square: npt.NDArray[np.uint8]) -> str | None:
    return doubt(lung_mask(square))


def as_film(pixels: npt.NDArray[np.uint8]) -> Film:
    """Square grey pixels as a film."""
    return Film(pixels, pixels.shape[1], pixels.shape[0], "L", "PNG", 0)


def rephotographed(
    pixels: npt.NDArray[np.uint8], rng: np.random.Generator, mode: str = "RGB"
) -> Film:
    """A film as a phone would take it off a light box; `mode`: "L" for one in black and white."""
    size = len(pixels)
    image = Image.fromarray(pixels).convert("RGB")
    tilt = rng.uniform(-0.08, 0.08, 8) * size
    corners = np.array([0, 0, 0, size, size, size, size, 0]) + tilt
    image = image.transform((size, size), Image.Transform.QUAD, corners.tolist())
    y, x = np.mgrid[0:size, 0:size] / size
    light = 1 - 0.35 * np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.7))
    tint = np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.8, 1.0)])
    photo = np.asarray(image, float) * light[..., None] * tint + rng.normal(0, 4, (size, size, 3))
    out = io.BytesIO()
    shot = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).convert(mode)
    shot.save(out, "JPEG", quality=80)
    return decode(out.getvalue())


def folder_films(paths: list[Path]) -> Iterator[Film | None]:
    """Decoded films; None for one that does not decode, which is turned away by that alone."""
    for path in paths:
        try:
            yield decode(path)
        except FirstreadError:
            yield None


def negatives(table: Path) -> dict[str, list[Path]]:
    """Pictures of the negatives' table by kind."""
    found: dict[str, list[Path]] = {}
    for path in sorted((table.parent / "negatives").rglob("*")):
        if path.is_file():
            found.setdefault(path.parent.name, []).append(path)
    return found


def summary(
    odd: list[float], why: list[str | None], good: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """The measures of one kind against the held-out films' strangeness `good`."""
    bad = np.array(odd)
    rng = np.random.default_rng(0)
    draws = [_auc(rng.choice(good, len(good)), rng.choice(bad, len(bad))) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "n": len(bad),
        "auc": {"value": _auc(good, bad), "low": float(low), "high": float(high)},
        "fpr_at_95": float((good >= np.quantile(bad, 0.05)).mean()),
        **share(why),
    }


def _auc(good: npt.NDArray[np.float64], bad: npt.NDArray[np.float64]) -> float:
    labels = np.r_[np.zeros(len(good), bool), np.ones(len(bad), bool)]
    return auc(np.r_[good, bad], labels)


def share(why: list[str | None]) -> dict[str, Any]:
    """How many were turned away and how many referred, and the reasons, to the first colon."""
    referred = [w is not None and w.startswith(REFERRED) for w in why]
    rejected = [w is not None and not r for w, r in zip(why, referred, strict=True)]
    return {
        "turned_away": _share(sum(rejected), len(why)),
        "referred": _share(sum(referred), len(why)),
        "reasons": dict(Counter(w.split(":")[0] for w in why if w is not None)),
    }


def marked(films: list[Film]) -> dict[str, float]:
    """How many films bear the remark that they are photos of films."""
    return _share(sum(looks_photographed(film) is not None for film in films), len(films))


def _share(k: int, n: int) -> dict[str, float]:
    low, high = wilson(k, n)
    return {"value": k / n, "low": low, "high": high, "k": k, "n": n}


def study(args: argparse.Namespace) -> dict[str, Any]:
    """Every kind, the good films first."""
    bundle = Bundle.load(args.bundle)
    if bundle.card.gate is None:
        raise SystemExit("gate_study: the bundle has no gate; export it again with --data")
    gate = Judge(bundle)
    unseen = load_split(args.split, load_cohort(args.table)).part("val")
    films = [decode(row.path).taken_at(row.true_size) for row in unseen.rows]
    good = [gate(film) for film in films]
    held = np.array([odd for odd, _ in good])
    every = np.stack([gate.pixels(film) for film in films])
    others_chose = by_others(gate, every, unseen.patients)
    grown = [decode(path) for path in load_cohort(args.adults).paths]
    adults = [gate(film) for film in grown]
    kinds: dict[str, Any] = {}
    others = {name: list(folder_films(paths)) for name, paths in negatives(args.negatives).items()}
    others["CT and MR of pydicom"] = list(folder_films(_pydicom_slices()))
    others["photographs of scikit-learn"] = list(folder_films(_sklearn_photos()))
    if args.photos:
        pictures = sorted(p for p in args.photos.iterdir() if p.suffix in {".png", ".jpg"})
        others["pictures of scikit-image"] = list(folder_films(pictures))
    for name, pictures in others.items():
        found = [(TOP, "does not decode") if p is None else gate(p) for p in pictures]
        kinds[name] = summary([o for o, _ in found], [w for _, w in found], held)
        print(name, kinds[name], flush=True)
    rng = np.random.default_rng(0)
    some = np.sort(rng.permutation(len(films))[:MADE])
    # Spoilt at the size that films are squashed to first, as they would come.
    how = gate.card.preprocess
    first = replace(how, size=how.first, through=0)
    squares = np.stack([preprocess(films[i], first) for i in some])
    for kind in (*KINDS, "cut"):
        found = [gate(as_film(square)) for square in spoilt(squares, kind, rng)]
        kinds[f"made: {kind}"] = summary([o for o, _ in found], [w for _, w in found], held)
        print(kind, kinds[f"made: {kind}"], flush=True)
    for mode, name in (("RGB", "re-photographed"), ("L", "re-photographed in grey")):
        photos = [rephotographed(square, rng, mode) for square in squares]
        found = [gate(photo) for photo in photos]
        kinds[f"made: {name}"] = summary([o for o, _ in found], [w for _, w in found], held)
        kinds[f"made: {name}"]["marked"] = marked(photos)
    return {
        "format": 1,
        "bundle": {"name": bundle.name, "sha256": bundle.sha256},
        "good": {
            "held out": share([w for _, w in good]) | {"marked": marked(films)},
            "held out, limits by others": share(others_chose),
            "adults": share([w for _, w in adults]) | {"marked": marked(grown)},
        },
        "kinds": kinds,
        "firstread": __version__,
        "command": script_line(),
    }


def _pydicom_slices() -> list[Path]:
    from pydicom.data import get_testdata_file

    names = ("CT_small.dcm", "MR_small.dcm", "693_UNCI.dcm", "MR_truncated.dcm")
    found = [get_testdata_file(name, download=False) for name in names]
    return [Path(str(path)) for path in found if path]


def _sklearn_photos() -> list[Path]:
    import sklearn.datasets

    return sorted((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))


def main() -> int:
    """0: written; 2: something is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--adults", type=Path, required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument(
        "--photos", type=Path, help="scikit-image's pictures: skimage/data of its wheel"
    )
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    return written(study, parser.parse_args(), lambda result: result["good"])


if __name__ == "__main__":
    sys.exit(main())
