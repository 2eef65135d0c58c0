"""firstread read: opinions on films, as a table, JSON, CSV and an HTML page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.errors import FolderNotFound, NoFilms, OutputError

if TYPE_CHECKING:
    from firstread.read.opinion import Opinion

HELP = (
    "Give an opinion on each film: files, or folders that are walked. A film that cannot be "
    "read is listed as rejected and the rest goes on; the exit code is then 1."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("paths", nargs="+", metavar="FILE_OR_FOLDER", help="films, or folders")
    parser.add_argument("--json", type=Path, metavar="F", help="write the opinions as JSON")
    parser.add_argument("--csv", type=Path, metavar="F", help="write them as a CSV table")
    parser.add_argument("--html", type=Path, metavar="F", help="write a page with heat maps")
    parser.add_argument(
        "--regions",
        action="store_true",
        help="find the lungs, and say in which zones the evidence lies",
    )
    parser.add_argument("--bundle", type=Path, metavar="B", help="a bundle of your own")
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="films read at a time (default: the CPUs)"
    )


def _threads(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 256")
    return int(text)


def name_films(given: Iterable[str]) -> list[str]:
    """The films under the paths `given`, each named as given, joined with the path below it.

    A file is taken whatever it is called, and also if it does not exist, so that it is
    listed as rejected; unless nothing exists (`FolderNotFound`). Raises `NoFilms` where there
    is nothing to read.
    """
    from firstread.film.files import find_films

    given = list(given)
    names: dict[Path, str] = {}
    if not any(os.path.lexists(g) for g in given):
        raise FolderNotFound(f"{given[0]}: no such file or folder; check the path")
    for path in given:
        if not Path(path).is_dir():
            names.setdefault(Path(path), path)
            continue
        found = find_films([Path(path)])
        if not found:
            _note(f"{path}: no films in this folder")
        for film in found:
            below = os.path.relpath(film, path)
            names.setdefault(film, os.path.join(path, below))  # noqa: PTH118 keeps "./"
    if not names:
        raise NoFilms(
            f"{given[0]}: no films found; give JPEG, PNG, TIFF, BMP or DICOM files, "
            "or a folder that holds some"
        )
    return list(names.values())


def run(args: argparse.Namespace) -> int:
    """Read the films; 0, or 1 if any was rejected, or 130 if interrupted."""
    from firstread.read.outputs import Table, check_writable, summary, write_outputs
    from firstread.read.page import PICTURES

    names = name_films(args.paths)
    outputs = [p for p in (args.json, args.csv, args.html) if p is not None]
    if len({p.resolve() for p in outputs}) < len(outputs):
        raise OutputError(f"{outputs[0]}: named for two outputs; give each its own file")
    for path in outputs:
        check_writable(path, map(Path, names))

    from firstread.read.reader import Reader

    reader = Reader(args.bundle, threads=args.threads, lungs=args.regions)
    table = Table(names)
    terminal = _Terminal()
    opinions: list[Opinion] = []
    interrupted = False
    films = reader.read_many(names, heat=args.regions or args.html is not None)
    try:
        terminal.line(table.header())
        for opinion in films:
            row = table.row(opinion)
            if args.html is None or len(opinions) >= PICTURES:
                opinion = replace(
                    opinion, heat=None, pixels=None, lungs=None
                )  # hundreds of MB otherwise
            # Kept before it is shown: what the user saw must be in the files.
            opinions.append(opinion)
            terminal.line(row)
    except KeyboardInterrupt:
        interrupted = True
        films.close()
    written = []
    if opinions or not interrupted:
        written = write_outputs(
            opinions,
            reader.bundle,
            json_path=args.json,
            csv_path=args.csv,
            html_path=args.html,
            total=len(names) if interrupted else None,
        )
    terminal.line(summary(opinions))
    for path in written:
        terminal.line(f"wrote {path}")
    for notice in reader.bundle.card.notices:
        terminal.line(notice)
    if terminal.trouble is not None:
        raise terminal.trouble
    if interrupted:
        _note(f"interrupted: {len(opinions)} of {len(names)} films were read")
        return 130
    return 1 if any(o.decision == "rejected" for o in opinions) else 0


def _note(text: str) -> None:
    print(f"firstread: {text}", file=sys.stderr)


class _Terminal:
    """Standard output that may go away (`| head`) or fill up without ending the reading."""

    def __init__(self) -> None:
        self.open = True
        self.trouble: OSError | None = None

    def line(self, text: str) -> None:
        if self.open:
            try:
                print(text, flush=True)
            except BrokenPipeError:
                self.open = False
            except OSError as e:  # told at the end, when the files are written
                self.open, self.trouble = False, e
