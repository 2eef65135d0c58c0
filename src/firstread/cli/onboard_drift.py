"""`firstread onboard --drift`: films of later on against those that the clinic began with."""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.cli.arguments import check_output
from firstread.cli.onboard_lines import drift_lines
from firstread.errors import DataError
from firstread.progress import ProgressLine
from firstread.terminal import say

if TYPE_CHECKING:
    from firstread.cohort.table import Cohort


def drift(args: argparse.Namespace, command: str) -> int:
    """Compare; 1 if something changed. `command`: what makes the same result again.

    Raises `DataError` where nothing can be compared, `OutputError` where nothing can be written.
    """
    from firstread import __version__
    from firstread.clinic.drift import FIRST_FILMS, compare, load_baseline
    from firstread.clinic.films import look_at, one_a_patient
    from firstread.clinic.page import write_drift_page
    from firstread.cohort.copies import without_copies
    from firstread.cohort.inputs import keep_inputs
    from firstread.evaluate.kept import Kept
    from firstread.evaluate.places import portable
    from firstread.film.files import write_atomic
    from firstread.read.bundle import Bundle
    from firstread.read.wanted import Wanted

    if args.signed_by is not None or args.date is not None:
        raise DataError("--drift only compares; there is nothing to sign off")
    if args.data is None:
        raise DataError("name a folder of films, or a CSV, to compare with the baseline")
    base = load_baseline(args.drift)
    bundle = Bundle.load(args.bundle)
    pages = [] if args.out is None else [args.out / "drift.json", args.out / "drift.html"]
    place = Wanted(json=pages[0]).journal if pages else None
    for path in (*pages, place):
        check_output(path)
    keep_inputs([*pages, place], [args.data, args.drift])
    there = _films(args.data)
    films, copies = without_copies(there, ProgressLine("hashing"))
    first = base.get("film_of_patient") != "drawn"  # a baseline from before: held against alike
    warnings = [
        *copies,
        *([FIRST_FILMS] if first and len(set(films.patients)) < len(films) else []),
    ]
    for text in warnings:
        print(f"warning: {text}")
    with Kept(place, say) as kept:
        look = look_at(bundle, films, ProgressLine("read"), ProgressLine("headers"), kept)
        drawn = look.some(one_a_patient(films.patients, first))
        result = compare(base, drawn, bundle.card.onnx_sha256) | {
            "n_films": len(there),
            "warnings": warnings,
            "format": 1,
            "data": {"source": portable(args.data), "baseline": portable(args.drift)},
            "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            "command": command,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": {"firstread": __version__},
        }
        print("\n".join(drift_lines(result)))
        if args.out is not None:
            text = json.dumps(result, indent=1, allow_nan=False) + "\n"
            write_atomic(args.out / "drift.json", text)
            write_drift_page(args.out / "drift.html", result)
            print(f"wrote {args.out / 'drift.html'} and {args.out / 'drift.json'}")
    return 1 if result["moved"] else 0


def _films(path: Path) -> Cohort:
    """The films to compare, whose labels count for nothing: those of a CSV, or of any folder."""
    from dataclasses import replace

    from firstread.cohort.table import Cohort, FilmRow, load_cohort, told_apart
    from firstread.errors import NoFilms
    from firstread.film.files import find_films

    if path.suffix.lower() == ".csv":
        found = load_cohort(path, need_labels=False)
        return Cohort(found.root, tuple(replace(row, label=None) for row in found.rows))
    paths = find_films([path])
    if not paths:
        raise NoFilms(f"{path}: no film there; name a folder of films")
    root = path if path.is_dir() else path.parent
    names = [p.relative_to(root).as_posix() for p in paths]
    rows = [FilmRow(n, p, None, f"film-{n}") for n, p in zip(names, paths, strict=True)]
    return Cohort(root, told_apart(rows))
