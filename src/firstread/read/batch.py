"""A batch of films: read, kept in a journal as they come, and written out at the end.

Nothing of a film stays in memory once it is in the journal. A film's own files (overlay, page,
DICOM results) are written before its line in the journal is, so what stands there is finished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from firstread.errors import FilmError, FirstreadError, OutputError
from firstread.film.files import write_atomic
from firstread.read.entry import Entry, entry_of
from firstread.read.journal import Journal, Key
from firstread.read.opinion import REJECTED, Opinion
from firstread.read.outputs import json_line, write_outputs
from firstread.read.page import PICTURES
from firstread.read.reader import Reader
from firstread.read.stems import Stems
from firstread.read.wanted import Wanted


class Source(Protocol):
    """A film: its `name` as the outputs show it, and the file at `path` that it is in."""

    @property
    def name(self) -> str:
        """The name as given."""

    @property
    def path(self) -> Path:
        """The file that tells by its size and time of change whether the film is the same."""

    def read_bytes(self) -> bytes:
        """The film's bytes. May raise a `FirstreadError`."""


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
        self._said_no_dicom = False

    def run(self) -> Done:
        """Read the films and write the outputs. Raises `OutputError`; a journal then stays."""
        journal = Journal(self.wanted.journal, self.wanted.header(self.reader.bundle))
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
        plan = [journal.find(key, page and i < PICTURES) for i, key in enumerate(keys)]
        before = sum(at is not None for at in plan)
        if journal.anew is not None:
            self.note(f"starting anew: {journal.path} was made with {journal.anew}")
        elif before:
            self.note(f"going on: {before} of {len(plan)} films were read before")
        stems = Stems(journal.stems, self._free(keys))
        lines = self._open_lines()
        offsets: list[int] = []
        interrupted = False
        missing = [s for s, at in zip(self.sources, plan, strict=True) if at is None]
        opinions = self._opinions(missing)
        try:
            for i, at in enumerate(plan):
                fresh = None
                if at is None:
                    fresh = next(opinions)
                    entry = self._finish(fresh, self.sources[i], page and i < PICTURES, stems)
                    # Kept before it is shown: what the user saw must be in the files.
                    at = journal.add(keys[i], entry)
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
        told = {} if self.wanted.age is None else {"age": self.wanted.age}
        return self.reader.read_many(sources, heat=self.wanted.heat, **told)

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
            json_path=self.wanted.json,
            csv_path=self.wanted.csv,
            html_path=self.wanted.html,
            total=len(self.sources) if interrupted else None,
        )
        lines = [] if self.wanted.jsonl is None else [self.wanted.jsonl]
        return [*lines, *written, *(f for f in self.wanted.folders if f.exists())]

    def _finish(self, opinion: Opinion, source: Source, pictured: bool, stems: Stems) -> Entry:
        """Write the film's own files; its entry."""
        wanted = self.wanted
        files: list[Path] = []
        overlay = stem = trouble = None
        if wanted.overlays is not None or wanted.pdf is not None:
            stem = stems.name(opinion.file)
        drawn = opinion.heat is not None and opinion.decision != REJECTED
        if wanted.overlays is not None and drawn:
            overlay = wanted.overlays / f"{stem}.png"
            _put(overlay, _overlay(opinion))
            files.append(overlay)
        if wanted.pdf is not None:
            from firstread.read.pdf import opinion_pdf

            page = wanted.pdf / f"{stem}.pdf"
            _put(page, opinion_pdf(opinion, self.reader.bundle))
            files.append(page)
        if wanted.dicom is not None:
            made, trouble = self._dicom(opinion, source, wanted.dicom)
            files += made
        return entry_of(
            opinion,
            pictured=pictured,
            overlay=overlay,
            stem=stem,
            files=tuple(files),
            trouble=trouble,
        )

    def _dicom(
        self, opinion: Opinion, source: Source, folder: Path
    ) -> tuple[list[Path], str | None]:
        """The film's DICOM results, or why there are none; other films are mentioned once."""
        from firstread.film.decode import _looks_like_dicom
        from firstread.read.dicom_out import write_results

        try:
            data = source.read_bytes()
        except Exception:  # the opinion has said so already
            return [], None
        if not _looks_like_dicom(data):
            if not self._said_no_dicom:
                self._said_no_dicom = True
                self.note(f"{opinion.file}: not DICOM, so it gets no DICOM results (said once)")
            return [], None
        try:
            return write_results(opinion, data, folder, anonymous=self.wanted.anonymous), None
        except FilmError as e:
            why = str(e)
        except (FirstreadError, OSError):
            raise
        except Exception as e:  # whatever is odd about one film, the next must get its turn
            why = f"they cannot be made from it ({type(e).__name__})"
        self.note(f"{opinion.file}: no DICOM results: {why}")
        return [], why

    def _free(self, keys: Sequence[Key]) -> Callable[[str], bool]:
        """Whether the files of a stem would fall on none of the films."""
        films: set[tuple[int, int]] = set()
        places = [(self.wanted.overlays, ".png"), (self.wanted.pdf, ".pdf")]
        places = [(folder, ending) for folder, ending in places if folder and folder.exists()]
        if places:
            for source in self.sources:
                try:
                    info = source.path.stat()
                except (OSError, ValueError):
                    continue
                films.add((info.st_dev, info.st_ino))

        def free(stem: str) -> bool:
            for folder, ending in places:
                assert folder is not None
                try:
                    info = (folder / (stem + ending)).stat()
                except OSError:
                    continue
                if (info.st_dev, info.st_ino) in films:
                    return False
            return True

        return free

    def _open_lines(self) -> IO[bytes] | None:
        path = self.wanted.jsonl
        if path is None:
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("wb", buffering=0)
        except OSError as e:
            raise _cannot(path, e) from None

    def _line(self, lines: IO[bytes] | None, entry: Entry) -> None:
        if self.wanted.stream:
            self.stream(json_line(entry))
        if lines is not None and self.wanted.jsonl is not None:
            try:
                lines.write(json_line(entry).encode() + b"\n")
            except OSError as e:
                raise _cannot(self.wanted.jsonl, e) from None


def key_of(source: Source) -> Key:
    """What tells whether a film is the one that was read before."""
    try:
        info = source.path.stat()
    except (OSError, ValueError):
        return Key(source.name, None, None)
    return Key(source.name, info.st_size, info.st_mtime_ns)


def _overlay(opinion: Opinion) -> bytes:
    from firstread.read.overlay import overlay_at_aspect

    assert opinion.pixels is not None
    assert opinion.heat is not None
    return overlay_at_aspect(opinion.pixels, opinion.heat, opinion.lungs, opinion.aspect or 1.0)


def _put(path: Path, data: bytes) -> None:
    """Write a file of the folder asked for: a link that lies in its place is not followed."""
    if path.is_symlink():
        path.unlink()
    write_atomic(path, data)


def _cannot(path: Path, e: OSError) -> OutputError:
    return OutputError(
        f"{path}: cannot be written ({e.strerror}); free space or choose another place"
    )
