"""firstread read: opinions on films, on the terminal and in the forms that other systems read."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from firstread.cli.arguments import add_engine
from firstread.errors import NoFilms
from firstread.terminal import printable, say

if TYPE_CHECKING:
    from firstread.film.walk import Source
    from firstread.read.wanted import Wanted

HELP = (
    "Give an opinion on each film: files, folders that are walked, zips, DICOMDIRs. A film that "
    "cannot be read is listed as rejected and the rest goes on; the exit code is then 1. A batch "
    "that was killed or interrupted goes on when the same command is given again."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "paths", nargs="+", metavar="FILE_OR_FOLDER", help="films, folders, zips or DICOMDIRs"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write the opinions as JSON")
    parser.add_argument("--csv", type=Path, metavar="F", help="write them as a CSV table")
    parser.add_argument("--html", type=Path, metavar="F", help="write a page with heat maps")
    parser.add_argument(
        "--jsonl",
        type=Path,
        metavar="F",
        help="write a line of JSON as each film is read; - for standard output",
    )
    parser.add_argument(
        "--overlays", type=Path, metavar="DIR", help="write each film with its heat map as PNG"
    )
    parser.add_argument("--pdf", type=Path, metavar="DIR", help="write a page a film as PDF")
    parser.add_argument(
        "--dicom", type=Path, metavar="DIR", help="write a report and a capture a DICOM film"
    )
    parser.add_argument(
        "--fhir", type=Path, metavar="DIR", help="write a FHIR Bundle a film, as JSON"
    )
    parser.add_argument(
        "--anonymous", action="store_true", help="leave the patient out of DICOM and FHIR"
    )
    parser.add_argument(
        "--age", type=_age, metavar="YEARS", help="the patients' age, whatever the films tell"
    )
    parser.add_argument(
        "--regions",
        action="store_true",
        help="find the lungs, and say in which zones the evidence lies",
    )
    parser.add_argument("--bundle", type=Path, metavar="B", help="a bundle of your own")
    parser.add_argument(
        "--threads", type=_threads, metavar="N", help="films read at a time (default: the CPUs)"
    )
    add_engine(parser)


def _threads(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 256")
    return int(text)


def _age(text: str) -> float:
    try:
        age = float(text)
    except ValueError:
        age = -1.0
    if not 0.0 <= age <= 130.0:
        raise argparse.ArgumentTypeError("must be years, from 0 to 130")
    return age


def run(args: argparse.Namespace) -> int:
    """Read the films; 0, or 1 if any was rejected, or 130 if interrupted."""
    from firstread.read.engine import default_threads, opening

    threads = args.threads or default_threads()
    # Under way while the rest is imported and the films are found.
    coming = opening(args.bundle, args.engine, threads)

    from firstread.film.walk import iter_sources
    from firstread.read.outputs import Table, summary

    wanted = _wanted(args)
    films = list(iter_sources(args.paths, say))
    films = _outside(films, args.paths, wanted.folders)
    wanted.check(args.paths, [film.path for film in films])

    from firstread.read.batch import Batch
    from firstread.read.reader import Reader

    reader = Reader(coming.result(), threads, lungs=args.regions)
    table = Table([film.name for film in films])
    lines = _Terminal(sys.stdout)
    terminal = _Terminal(sys.stderr) if wanted.stream else lines
    batch = Batch(
        films,
        reader,
        wanted,
        show=lambda opinion: terminal.line(table.row(opinion)),
        stream=lines.line,
        note=say,
    )
    terminal.line(table.header())
    done = batch.run()
    for line in table.footer():
        terminal.line(line)
    terminal.line(summary(done.counts))
    for path in done.written:
        terminal.line(printable(f"wrote {path}"))
    for notice in reader.bundle.card.notices:
        terminal.line(printable(notice))
    trouble = lines.trouble or terminal.trouble
    if trouble is not None:
        raise trouble
    if done.interrupted:
        say(f"interrupted: {done.counts.total()} of {len(films)} films were read")
        if done.written:
            say("the same command goes on from there")
        return 130
    return 1 if done.failed else 0


def _wanted(args: argparse.Namespace) -> Wanted:
    """What to write, and where."""
    from firstread.read.wanted import Wanted

    stream = str(args.jsonl) in {"-", "/dev/stdout"}
    return Wanted(
        json=args.json,
        jsonl=None if stream else args.jsonl,
        csv=args.csv,
        html=args.html,
        overlays=args.overlays,
        pdf=args.pdf,
        dicom=args.dicom,
        fhir=args.fhir,
        anonymous=args.anonymous,
        stream=stream,
        regions=args.regions,
        age=args.age,
    )


def _outside(films: list[Source], given: list[str], folders: list[Path]) -> list[Source]:
    """The films but those in output folders below what was given: pictures of an earlier reading.

    How many those are is told. Raises `NoFilms` where none is left.
    """
    from firstread.film.files import real

    roots = [real(g) for g in given]
    inside = {real(f): f for f in folders if any(r in real(f).parents for r in roots)}
    if not inside:
        return films
    kept, left = [], Counter[Path]()
    for film in films:
        above = next((p for p in real(film.path).parents if p in inside), None)
        if above is None:
            kept.append(film)
        else:
            left[inside[above]] += 1
    for folder, n in left.items():
        say(f"{folder}: results go there, so {n} file{'' if n == 1 else 's'} below it left out")
    if not kept:
        raise NoFilms(f"{given[0]}: no films outside of the folders to write to; check the paths")
    return kept


class _Terminal:
    """A terminal or pipe that may go away (`| head`) or fill up without ending the reading."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.open = stream is not None  # closed before: print would take stdout in its place
        self.trouble: OSError | None = None

    def line(self, text: str) -> None:
        if self.open:
            try:
                print(text, file=self.stream, flush=True)
            except BrokenPipeError:
                self.open = False
            except OSError as e:  # told at the end, when the files are written
                self.open, self.trouble = False, e
