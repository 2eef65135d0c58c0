"""Opinions as files and as lines on a terminal. Every one of them carries the notices."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

from firstread.errors import OutputError
from firstread.film.files import real, utf8, write_atomic_parts
from firstread.read.bundle import Bundle
from firstread.read.digits import in_digits
from firstread.read.entry import Entry
from firstread.read.opinion import DECISIONS, NO_PNEUMONIA, PNEUMONIA, REJECTED, Opinion
from firstread.terminal import printable

CSV_COLUMNS = (
    "file",
    "probability",
    "threshold",
    "decision",
    "reasons",
    "logit",
    "bundle",
    "bundle_sha256",
    "engine",
    "regions",
    "regions_doubt",
    "notes",
    "overlay",
    "notices",
)


FORMULA = re.compile(r"(?:\A|(?<=;))(?=[=+\-@\t\r\n])")
"""Where a spreadsheet would begin a formula. One that writes decimals with a comma, as in most of
Europe, begins a cell after each semicolon."""


def json_parts(entries: Iterable[Entry]) -> Iterator[bytes]:
    """A JSON list, one object a film; plain ASCII, so that any file name survives it."""
    between = b"[\n "
    for entry in entries:
        text = json.dumps(entry.fields, indent=1, allow_nan=False)
        yield between + text.replace("\n", "\n ").encode()
        between = b",\n "
    yield b"[]\n" if between.startswith(b"[") else b"\n]\n"


def json_line(entry: Entry) -> str:
    """The same object on one line, without its end."""
    return json.dumps(entry.fields, allow_nan=False)


def csv_parts(entries: Iterable[Entry]) -> Iterator[bytes]:
    """A CSV table with a header row, one row a film; reasons are joined with "; ".

    A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV
    injection): file names come from anywhere. So does what stands behind a semicolon.
    """
    yield _row(CSV_COLUMNS)
    for entry in entries:
        yield _row(_cell(entry.fields[name]) for name in CSV_COLUMNS)


def _row(cells: Iterable[str]) -> bytes:
    import csv
    import io

    out = io.StringIO()
    # Not its own "\n": before 3.13 a carriage return is quoted only where lines end with one.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return utf8(out.getvalue().removesuffix("\r\n") + "\n")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    text = "; ".join(map(_part, value)) if isinstance(value, list) else str(value)
    return FORMULA.sub("'", text)


def _part(value: object) -> str:
    """One entry of a list: a text as it is, a region as "right lower 0.41"."""
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def write_outputs(
    entries: Callable[[], Iterable[Entry]],
    counts: Mapping[str, int],
    bundle: Bundle,
    *,
    json_path: Path | None = None,
    csv_path: Path | None = None,
    html_path: Path | None = None,
    total: int | None = None,
) -> list[Path]:
    """Write the files asked for, each whole or not at all; return their paths.

    `entries`: called once for each file, gives the films from the first on. `counts`: films by
    decision. `total`: the films there were, where the reading was stopped early. Raises
    `OutputError`.
    """
    written = []
    if json_path is not None:
        write_atomic_parts(json_path, json_parts(entries()))
        written.append(json_path)
    if csv_path is not None:
        write_atomic_parts(csv_path, csv_parts(entries()))
        written.append(csv_path)
    if html_path is not None:
        from firstread.read.page import page_parts

        parts = page_parts(entries(), counts, bundle, total)
        write_atomic_parts(html_path, map(utf8, parts))
        written.append(html_path)
    return written


def files_of(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """Which files the paths lead to, whatever link they go by: device and number of each that is
    there."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            info = path.stat()
            found.add((info.st_dev, info.st_ino))
    return found


def check_writable(path: Path, films: Set[tuple[int, int]]) -> None:
    """Raise `OutputError` now if `path` could not be written after an hour of reading.

    Nothing stays behind. A path that leads to one of the `films`, told by `files_of`, is refused
    as well.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file to write to")
    if not films.isdisjoint(files_of([path])):
        raise OutputError(f"{path}: is one of the films; name another file to write to")
    if path.exists() and not path.is_file():  # a pipe, a device: nothing is made beside it
        if not os.access(path, os.W_OK):
            raise OutputError(f"{path}: not permitted; choose another place")
        return
    folder = path.absolute().parent
    if path.is_symlink():  # where it leads no folder is made
        folder = real(path).parent
        if not folder.is_dir() or real(path).is_symlink():
            raise OutputError(f"{path}: is a link that leads nowhere; name another file")
    _try(path, folder)


def check_folder(path: Path) -> None:
    """The same for a folder that files are to be written to."""
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; name a folder to write to")
    _try(path, path.absolute())


def _try(path: Path, folder: Path) -> None:
    import tempfile

    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise OutputError(
            f"{path}: cannot be written ({e.strerror}); choose another place"
        ) from None


class Table:
    """A plain aligned table for the terminal, a line at a time as the films are read.

    Where regions were asked for, a film's zones stand on a line of their own below it; so do
    the notes on its quality. What limits the opinion on a film that was decided all the same is
    mostly one sentence for all of them, and is said once, by `footer`.
    """

    def __init__(self, files: Sequence[str], width: int | None = None):
        room = (width or shutil.get_terminal_size((100, 24)).columns) - len("  0.000  no pneumonia")
        longest = max((len(printable(f)) for f in files), default=4)
        self.width = max(4, min(longest, max(20, room)))
        self._limits: Counter[str] = Counter()

    def header(self) -> str:
        """The line above the films."""
        return f"{'file':<{self.width}}  prob.  decision"

    def row(self, opinion: Opinion) -> str:
        """A film's line; the reasons follow the decision."""
        name = printable(opinion.file)
        if len(name) > self.width:  # the end of a path tells films apart, its start does not
            name = "…" + name[1 - self.width :]
        p = "    -"
        # Of what was turned away the number means nothing; the files have it.
        if opinion.probability is not None and opinion.decision != REJECTED:
            p = in_digits(opinion.probability, opinion.threshold)[0]
        reasons = opinion.reasons
        if opinion.decision in {PNEUMONIA, NO_PNEUMONIA}:
            self._limits.update(reasons)
            reasons = ()
        why = ": " + printable("; ".join(reasons)) if reasons else ""
        lines = _where(opinion), printable("; ".join(opinion.notes))
        below = "".join(f"\n{'':{self.width}}         {line}" for line in lines if line)
        return f"{name:<{self.width}}  {p:<6} {opinion.decision}{why}{below}"

    def footer(self) -> list[str]:
        """What limits the opinions on films that were decided, and on how many, a line each."""
        return [
            f"of {n} film{'' if n == 1 else 's'} decided: {printable(why)}"
            for why, n in self._limits.most_common()
        ]


def _where(opinion: Opinion) -> str:
    """Zones and shares in a few words; why there are none; "" where they were not asked for, and
    for a film that was turned away, as on the page: nobody should look for meaning in them."""
    if opinion.decision == REJECTED:
        return ""
    if opinion.regions_doubt is not None:
        return f"no zones: {opinion.regions_doubt}"
    if opinion.regions is None:
        return ""
    found = ", ".join(f"{r.zone} {r.share:.0%}" for r in opinion.regions)
    if not found:
        return "no part of the film spoke for pneumonia"
    return f"evidence for pneumonia: {found}"


def summary(counts: Mapping[str, int]) -> str:
    """The last line: how many films, and how many of each decision."""
    films = sum(counts.values())
    parts = ", ".join(f"{counts.get(d, 0)} {d}" for d in DECISIONS)
    return f"{films} film{'' if films == 1 else 's'} read: {parts}"
