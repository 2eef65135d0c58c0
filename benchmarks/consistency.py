"""Does a film keep its opinion when only its file changes?

Every film at its original size is read as users read it, and then again

* `copy`: as its 224 px copy from the public set (squashed, stored as JPEG at quality 75);
* `stretch`: made 20 % wider and narrower before the way in, stored without loss;
* `crop`: with a sixth of its width or of its height cut off, which squashing cannot undo;
* `jpeg`: stored again as JPEG at quality 50, 75 and 95, at its size.

For each the shift of the logit is given, of the raw one and of the calibrated one, and how
often the opinion changes. What counts are films of patients the run was not trained on.

    FIRSTREAD_DATA=... python benchmarks/consistency.py --run RUN --json consistency.json
"""

import argparse
import csv
import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from firstread import Reader, __version__
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.calibration import Platt
from firstread.evaluate.intervals import Sampler
from firstread.evaluate.places import command_line, portable
from firstread.film import decode
from firstread.film.files import write_atomic
from firstread.read.opinion import Opinion

STRETCH = 1.2
QUALITIES = (50, 75, 95)
BARS = {"copy": {"median": 0.1, "p95": 0.5, "changed": 0.01}, "stretch": {"p95": 0.3}}
"""Most that is wished for, of the calibrated logit; `changed` of the decisions."""

Floats = npt.NDArray[np.float64]
DRAWS = 2000
SEED = 0
NOTES = {
    "logit": "the raw logit is what the network gives; the calibrated one, slope * raw + "
    "intercept from the bundle's card, is the log odds of the probability that users see. The "
    "bars are held against the calibrated one",
    "decision": "changed: another word among pneumonia, no pneumonia, refer and rejected, as "
    "users see it; changed_call: the probability crosses the threshold, refer band or not",
    "interval": f"95 %, bootstrap over patients, {DRAWS} draws, seed {SEED}, percentiles; of a "
    "share Wilson's where each patient has one film, or where it is 0 or 1. The 95th percentile "
    "of few films is nearly their largest, and its interval from above is then too narrow. No "
    "quantile is interpolated",
    "met": "met: the value lies within the bar; shown: its interval does too",
    "copy": "the copies are stored as JPEG at 224 px; their pixels differ from those of the "
    "squashed originals by that storage alone (benchmarks/copies.py)",
    "stretch": "small by construction: the way in squashes every film to a square, which undoes "
    "a stretch but for the resampling. repacked is the control: the film stored without loss "
    "and not stretched, which also loses the reduced decode of large JPEGs. What the network "
    "makes of another aspect shows in crop",
    "crop": "the middle 1/1.2 of the width, or of the height, at full size: squashing magnifies "
    "it in one direction, so the aspect of what is shown changes, but tissue is lost too. No "
    "bar is set for it",
}


@dataclass(frozen=True)
class Change:
    """One way of changing a film's file: its group, its name, and how it is done.

    `apply` takes the film's path and its decoded pixels to another path, or to a file's bytes.
    """

    group: str
    name: str
    apply: Callable[[Path, Image.Image], Path | bytes]


def stored(film: Image.Image, kind: str = "BMP", **how: int) -> bytes:
    """A file's bytes; BMP loses nothing and costs no time."""
    out = io.BytesIO()
    film.save(out, kind, **how)
    return out.getvalue()


def stretched(film: Image.Image, factor: float) -> bytes:
    size = (max(1, round(film.width * factor)), film.height)
    return stored(film if factor == 1 else film.resize(size, Image.Resampling.LANCZOS))


def cropped(film: Image.Image, across: float, down: float) -> bytes:
    """The middle, without a share of the width (`across`) and of the height (`down`)."""
    dx, dy = round(film.width * across / 2), round(film.height * down / 2)
    return stored(film.crop((dx, dy, film.width - dx, film.height - dy)))


def restored(path: Path, quality: int) -> bytes:
    with Image.open(path) as film:  # in colour, where it was
        return stored(film, "JPEG", quality=quality)


def changes(data: Path, wanted: Sequence[str]) -> list[Change]:
    off = 1 - 1 / STRETCH
    train = data / "chest_xray" / "train"
    every = [
        Change("copy", "copy", lambda path, film: train / path.parent.name / path.name),
        Change("stretch", "wider", lambda path, film: stretched(film, STRETCH)),
        Change("stretch", "narrower", lambda path, film: stretched(film, 1 / STRETCH)),
        Change("stretch", "repacked", lambda path, film: stretched(film, 1.0)),
        Change("crop", "of width", lambda path, film: cropped(film, off, 0.0)),
        Change("crop", "of height", lambda path, film: cropped(film, 0.0, off)),
        *(
            Change("jpeg", f"quality {q}", lambda path, film, q=q: restored(path, q))
            for q in QUALITIES
        ),
    ]
    return [c for c in every if c.group in wanted]


def untrained(run: Path, films: Cohort) -> npt.NDArray[np.bool_]:
    """(n,) which films are of patients that the run validated on and was not trained on."""
    with (run / "split.csv").open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    val = {r["patient"] for r in rows if r["part"] == "val"}
    val -= {r["patient"] for r in rows if r["part"] != "val"}
    return np.array([p in val for p in films.patients], bool)


def quantile(values: Floats, weights: Floats, q: float) -> Floats:
    """The q-quantile of values (n,) under each row of weights (draws, n): no interpolation."""
    order = np.argsort(values)
    summed = np.cumsum(weights[:, order], axis=1)
    at = (summed >= q * summed[:, -1:] - 1e-9).argmax(axis=1)
    found: Floats = values[order][at]
    return found


def shifts(before: Floats, after: Floats, patients: Sequence[str]) -> dict[str, Any]:
    """How far logits (n,) moved, with intervals over draws of patients."""
    moved = after - before
    size = np.abs(moved)
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(SEED)
    picks = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    # The first row is the films as they are; the others weigh each patient as often as drawn.
    weights = np.vstack([np.ones(len(moved)), picks[:, index]])

    def estimate(drawn: Floats) -> dict[str, float]:
        low, high = np.percentile(drawn[1:], [2.5, 97.5])
        return {"value": round_(drawn[0]), "low": round_(low), "high": round_(high)}

    return {
        "median": estimate(quantile(size, weights, 0.5)),
        "p95": estimate(quantile(size, weights, 0.95)),
        "max": round_(size.max()),
        "mean_signed": estimate(weights @ moved / weights.sum(axis=1)),
    }


def round_(x: float) -> float:
    return round(float(x), 5)


def compared(
    before: Sequence[Opinion], after: Sequence[Opinion], patients: Sequence[str], reader: Reader
) -> dict[str, Any]:
    """One change on one set of films; films that could not be read on a side have no logit."""
    read = [a.logit is not None and b.logit is not None for a, b in zip(before, after, strict=True)]
    if not any(read):
        raise SystemExit(f"no film could be read; the first because: {before[0].reasons}")
    known = [p for p, good in zip(patients, read, strict=True) if good]
    raw = [
        np.array([o.logit for o, good in zip(side, read, strict=True) if good], np.float64)
        for side in (before, after)
    ]
    calibrated = [Platt.of(reader.bundle.card.calibration).logit(x) for x in raw]
    sampler = Sampler(patients, SEED, DRAWS)

    def share(word: Callable[[Opinion], object]) -> dict[str, Any]:
        hit = np.array([word(a) != word(b) for a, b in zip(before, after, strict=True)])
        return {"n": int(hit.sum())} | sampler.proportion(hit).to_json()

    return {
        "films": len(patients),
        "patients": len(set(patients)),
        "unread": read.count(False),
        "calibrated_logit": shifts(*calibrated, known),
        "raw_logit": shifts(*raw, known),
        "changed": share(lambda o: o.decision),
        "changed_call": share(lambda o: o.probability is None or o.probability >= o.threshold),
    }


def judged(group: str, found: dict[str, Any]) -> dict[str, Any]:
    """What the bars say of it."""
    bars = BARS.get(group, {})
    out = {}
    for name, bar in bars.items():
        e = found["changed"] if name == "changed" else found["calibrated_logit"][name]
        out[name] = {"bar": bar, "met": e["value"] <= bar, "shown": e["high"] <= bar}
    return found | ({"bars": out} if bars else {})


def study(
    data: Path, reader: Reader, run: Path | None, wanted: Sequence[str], limit: int | None = None
) -> dict[str, Any]:
    films = load_cohort(data / "chest_xray_original")
    if limit is not None:
        films = films.subset(np.linspace(0, len(films) - 1, min(limit, len(films))).astype(int))
    sets = {"all_films": np.ones(len(films), bool)}
    if run is not None and (new := untrained(run, films)).any():
        sets = {"untrained_patients": new} | sets
    ways = changes(data, wanted)
    read: list[list[Opinion]] = []
    for path in films.paths:
        film = Image.fromarray(decode(path).pixels)
        files = [path, *(way.apply(path, film) for way in ways)]
        read.append([replace(reader.read(file, heat=False), pixels=None) for file in files])
    out: dict[str, Any] = {name: {} for name in sets}
    for k, change in enumerate(ways, start=1):
        for name, chosen in sets.items():
            rows = np.flatnonzero(chosen)
            found = compared(
                [read[i][0] for i in rows],
                [read[i][k] for i in rows],
                [films.patients[i] for i in rows],
                reader,
            )
            out[name].setdefault(change.group, {})[change.name] = judged(change.group, found)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="the run; its split says who was trained on")
    parser.add_argument("--bundle", type=Path, help="default: the run's, else the shipped one")
    parser.add_argument("--json", type=Path, required=True, help="where the figures go")
    groups = ["copy", "stretch", "crop", "jpeg"]
    parser.add_argument("--only", nargs="+", choices=groups, default=groups)
    parser.add_argument("--limit", type=int, metavar="N", help="so many films, to try it out")
    args = parser.parse_args()
    if "FIRSTREAD_DATA" not in os.environ:
        raise SystemExit("set FIRSTREAD_DATA to the folder of real films")
    reader = Reader(args.bundle or (args.run and args.run / "bundle"))
    found = study(Path(os.environ["FIRSTREAD_DATA"]), reader, args.run, args.only, args.limit)
    words: list[str | Path] = ["python", "benchmarks/consistency.py"]
    for name in ("run", "bundle", "json", "limit"):
        if (value := getattr(args, name)) is not None:
            words += [f"--{name}", value if isinstance(value, Path) else str(value)]
    if args.only != groups:
        words += ["--only", *args.only]
    card = reader.bundle.card
    sets = {
        "untrained_patients": "films of the run's validation patients: not trained on, though "
        "calibration, threshold and refer band were chosen on their 224 px copies",
        "all_films": "all originals, MOST OF THEM OF PATIENTS THE MODEL WAS TRAINED ON"
        if "untrained_patients" in found
        else "all originals; whether the model was trained on them is not known here",
    }
    result = {
        "format": 1,
        **found,
        "sets": {name: sets[name] for name in found},
        "notes": NOTES,
        "bundle": {
            "name": card.name,
            "sha256": reader.bundle.sha256,
            "size": card.preprocess.size,
            "threshold": card.threshold,
            "refer": [card.refer.low, card.refer.high],
            "calibration": {
                "slope": card.calibration.slope,
                "intercept": card.calibration.intercept,
            },
        },
        "run": args.run and portable(args.run),
        "command": command_line(words),
        "versions": {
            "firstread": __version__,
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "numpy": np.__version__,
            "onnxruntime": importlib.metadata.version("onnxruntime"),
        },
    }
    write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """The figures as text."""
    lines = []
    for name in result["sets"]:
        lines += [f"{name}: |shift of the calibrated logit| (raw)"]
        for group, entries in result[name].items():
            for what, e in entries.items():
                c, r = e["calibrated_logit"], e["raw_logit"]
                lines.append(
                    f"  {group} {what:12} n {e['films']:4}  median {c['median']['value']:.3f} "
                    f"({r['median']['value']:.3f})  p95 {c['p95']['value']:.3f} "
                    f"[{c['p95']['low']:.3f}, {c['p95']['high']:.3f}] ({r['p95']['value']:.3f})  "
                    f"max {c['max']:.3f}  mean {c['mean_signed']['value']:+.3f}  "
                    f"changed {e['changed']['n']} (call {e['changed_call']['n']})"
                )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
