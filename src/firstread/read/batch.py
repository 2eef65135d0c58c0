"""A batch of films: read, kept in a journal as they come, and written out at the end.

Nothing of a film stays in memory once it is in the journal. A film's own files (overlay, page,
DICOM results, FHIR) are written before its line in the journal is, so what stands there is
finished.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from firstread.errors import Shortage
from firstread.film.files import cannot_write
from firstread.read.entry import Entry, entry_of
from firstread.read.journal import Journal, Key
from firstread.read.judged import Judged, Source
from firstread.read.opinion import REJECTED, Opinion, rejected
from firstread.read.outputs import files_of, json_line, write_outputs
from firstread.read.own_files import OwnFiles
from firstread.read.page import PICTURES
from firstread.read.reader import Reader
from firstread.read.stems import Stems
from firstread.read.wanted import Wanted


@dataclass(frozen=True)
class Done:
    """How a batch ended. `counts`: films by decision. `written`: the files. `failed`: whether a
    film was rejected or lacks a result. `interrupted`: whether it was stopped early.
    """

    counts: Counter[str]
    written: list[Path]
    failed: bool
    interrupted: bool


class Batch:
    """`sources` read by `reader`.

    `show`: is handed each opinion as it comes. `stream`: each line of JSON where `wanted.stream`.
    `note`: what the user should know besides.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        reader: Reader,
        wanted: Wanted,
        *,
        show: Callable[[Opinion], None],
        stream: Callable[[str], None],
        note: Callable[[str], None],
    ):
        self.sources, self.reader, self.wanted = sources, reader, wanted
        self.show, self.stream, self.note = show, stream, note
        self.counts: Counter[str] = Counter()
        self._failed = False
        self._ahead: deque[Judged] = deque()
        self.own = OwnFiles(wanted, reader.bundle, note)

    def run(self) -> Done:
        """Read the films and write the outputs. Raises `OutputError`; a journal then stays."""
        journal = Journal(
            self.wanted.journal, self.wanted.header(self.reader.bundle, self.reader.engine)
        )
        done = False
        try:
            outcome = self._run(journal)
            done = not outcome.interrupted
        finally:
            journal.close(done)
        return outcome

    def _run(self, journal: Journal) -> Done:
        keys = [key_of(s) for s in self.sources]
        page = self.wanted.html is not None
        plan = journal.plan(keys, self.note, lambda i: page and i < PICTURES)
        missing = [s for s, at in zip(self.sources, plan, strict=True) if at is None]
        stems = self._stems(missing, journal.stems)
        lines = self._open_lines()
        offsets: list[int] = []
        interrupted = False
        opinions = self._opinions(missing)
        try:
            for i, at in enumerate(plan):
                fresh = None
                if at is None:
                    fresh = next(opinions)
                    entry = self._finish(fresh, page and i < PICTURES, next(stems))
                    # Kept before it is shown: what the user saw must be in the files. One that was
                    # rejected is read again after a kill: what ran out may be there by then.
                    key = keys[i]._replace(size=None) if entry.decision == REJECTED else keys[i]
                    at = journal.add(key, entry)
                else:
                    entry = journal.entry(at)
                offsets.append(at)
                self.counts[entry.decision] += 1
                self._failed |= entry.decision == REJECTED or entry.trouble is not None
                self._line(lines, entry)
                if fresh is not None:
                    self.show(fresh)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            opinions.close()
            if lines is not None:
                lines.close()
        written = self._write(journal, offsets, interrupted)
        return Done(self.counts, written, self._failed, interrupted)

    def _opinions(self, sources: Sequence[Source]) -> Generator[Opinion, None, None]:
        """Opinions on `sources`. Where memory or the like runs out the film is read once more, with
        no other beside it; if that is not enough it is rejected, and those behind it are read."""
        referred = self.wanted.dicom is not None or self.wanted.fhir is not None
        at = 0
        while at < len(sources):
            films = self._kept(sources[at:]) if referred else sources[at:]
            many = self.reader.read_many(films, self.wanted.heat, self.wanted.age)
            try:
                with contextlib.closing(many):
                    for opinion in many:
                        at += 1
                        yield opinion
            except Shortage:
                self._ahead = deque([Judged(sources[at])])
                yield self._alone(self._ahead[0])
                at += 1

    def _alone(self, film: Judged) -> Opinion:
        try:
            return self.reader.read(film, self.wanted.heat, self.wanted.age)
        except Shortage as e:
            reason = str(e).removeprefix(f"{film.name}: ")
            return rejected(film.name, reason, self.reader.bundle, self.reader.engine)

    def _kept(self, sources: Sequence[Source]) -> Iterator[Judged]:
        """The films, each to be found first in `_ahead` when its opinion comes."""
        for source in sources:
            self._ahead.append(Judged(source))
            yield self._ahead[-1]

    def _write(self, journal: Journal, offsets: list[int], interrupted: bool) -> list[Path]:
        if interrupted and not offsets:
            return []

        def entries() -> Iterator[Entry]:
            return map(journal.entry, offsets)

        # An interrupt may have fallen between two lines: count what is written.
        self.counts = Counter(entry.decision for entry in entries())
        written = write_outputs(
            entries,
            self.counts,
            self.reader.bundle,
            json_path=self._free_for(self.wanted.json, interrupted),
            csv_path=self._free_for(self.wanted.csv, interrupted),
            html_path=self._free_for(self.wanted.html, interrupted),
            total=len(self.sources) if interrupted else None,
        )
        lines = [] if self.wanted.jsonl is None else [self.wanted.jsonl]
        return [*lines, *written, *(f for f in self.wanted.folders if f.exists())]

    def _free_for(self, path: Path | None, interrupted: bool) -> Path | None:
        """Where to write; nowhere, if a part of the films would replace what an earlier run left.

        The journal keeps what was read, and the same command goes on from there.
        """
        if path is None or not (interrupted and path.exists()):
            return path
        self.note(f"{path}: left as it was; give the same command again to go on")
        return None

    def _finish(self, opinion: Opinion, pictured: bool, stem: str | None) -> Entry:
        """Write the film's own files; its entry."""
        film = self._ahead.popleft() if self._ahead else None
        made = self.own.write(opinion, stem, film)
        for folder, ending in self.wanted.named:
            place = folder / f"{stem}{ending}"
            if place not in made.files:
                _take_away(place)
        return entry_of(
            opinion,
            pictured=pictured,
            overlay=made.overlay,
            stem=stem,
            files=made.files,
            trouble=made.trouble,
        )

    def _stems(self, missing: Sequence[Source], taken: set[str]) -> Iterator[str | None]:
        """What the files of each film are called, none of them a film itself.

        Whose results lie there already is not known: of the same film, or of another one that was
        called so from another folder. So it is told, while nothing is replaced yet.
        """
        if not self.wanted.named:
            return itertools.repeat(None)
        places = [(folder, ending) for folder, ending in self.wanted.named if folder.exists()]
        films = files_of(source.path for source in self.sources) if places else set()
        there: set[str] = set()

        def free(stem: str) -> bool:
            found = files_of(folder / (stem + ending) for folder, ending in places)
            if found:
                there.add(stem)
            return films.isdisjoint(found)

        names = Stems(taken, free)
        stems = [names.name(source.name) for source in missing]
        n = len(there.intersection(stems))
        if n:
            self.note(f"results by the name of {n} of these films lie there already: replaced")
        return iter(stems)

    def _open_lines(self) -> IO[bytes] | None:
        path = self.wanted.jsonl
        if path is None:
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("wb", buffering=0)
        except OSError as e:
            raise cannot_write(path, e) from None

    def _line(self, lines: IO[bytes] | None, entry: Entry) -> None:
        if self.wanted.stream:
            self.stream(json_line(entry))
        if lines is not None and self.wanted.jsonl is not None:
            try:
                lines.write(json_line(entry).encode() + b"\n")
            except OSError as e:
                raise cannot_write(self.wanted.jsonl, e) from None


def key_of(source: Source) -> Key:
    """What tells whether a film is the one that was read before."""
    try:
        info = source.path.stat()
    except (OSError, ValueError):
        return Key(source.name, None, None)
    return Key(source.name, info.st_size, info.st_mtime_ns)


def _take_away(place: Path) -> None:
    """Delete a result of ours that an earlier reading left where this one makes none."""
    with contextlib.suppress(OSError):
        if place.is_file() and not place.is_symlink():
            with place.open("rb") as file:
                ours = b"firstread" in file.read(2**20)
            if ours:
                place.unlink()
