"""The plain reading of a set of films, kept as they come: a kill loses those under way alone.

The journal is that of `firstread read`, beside the first output that was named. A film stands in
it as the few numbers that judging takes, under a hash in place of its name: who handles journals
shall learn of no patient. One that could not be read does not: its reason may quote the name, it
is soon read again, and what was missing (a codec, a share) may be there by then.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import firstread
from firstread.errors import DataError
from firstread.evaluate.shortcuts import sharpness_of
from firstread.film.files import utf8
from firstread.read.batch import key_of
from firstread.read.entry import Entry
from firstread.read.journal import Journal, Key
from firstread.read.judged import Source
from firstread.read.opinion import Opinion

if TYPE_CHECKING:
    from firstread.read.reader import Reader

BLACK = 16
"""Grey levels, of 255, below which a pixel is air or border."""


@dataclass(frozen=True)
class Seen:
    """What judging takes of an opinion, without pixels (50 kB a film that nobody needs there).

    `probability`, `logit`, `aspect`: None where the film could not be read. Of the pixels, and NaN
    without any: `sharpness` of `sharpness_of`; `grey` and `contrast`, mean and standard deviation
    of the levels, 0 to 255; `black`, the share of them below `BLACK`.
    """

    probability: float | None
    logit: float | None
    decision: str
    reasons: tuple[str, ...]
    aspect: float | None
    sharpness: float
    grey: float
    contrast: float
    black: float


def seen(opinion: Opinion) -> Seen:
    """What is kept of an opinion that still holds its pixels."""
    pixels = opinion.pixels
    grey = contrast = black = float("nan")
    if pixels is not None:
        grey, contrast = float(pixels.mean()), float(pixels.std())
        black = float((pixels < BLACK).mean())
    return Seen(
        probability=opinion.probability,
        logit=opinion.logit,
        decision=opinion.decision,
        reasons=opinion.reasons,
        aspect=opinion.aspect,
        sharpness=sharpness_of(pixels),
        grey=grey,
        contrast=contrast,
        black=black,
    )


class Kept:
    """A reading with a journal at `place`; with none where that is None.

    `note`: what the user should know of it. As a context it takes the journal away at its end,
    for which all outputs must be written, and after a `DataError`: films that will not do will
    not do again. After any other error the journal stays.
    """

    def __init__(self, place: Path | None = None, note: Callable[[str], None] = lambda _: None):
        self.place, self.note = place, note
        self._journal: Journal | None = None
        self._made: Path | None = None

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._journal is not None:
            if kind is KeyboardInterrupt:
                self.note("the same command goes on from there")
            self._journal.close(done=kind is None or issubclass(kind, DataError))
        if self._made is not None:
            with contextlib.suppress(OSError):  # mostly there is something in it
                self._made.rmdir()

    def read(self, reader: Reader, films: Sequence[Source]) -> Generator[Seen, None, None]:
        """The films in their order, of which only those are read that the journal lacks.

        May be called once. Raises `OutputError` where the journal cannot be written, holds a file
        that is none, or another process writes to it.
        """
        journal = self._journal = self._open(reader)
        keys = [] if journal is None else [_key(film) for film in films]
        plan = [None] * len(films) if journal is None else journal.plan(keys, self.note)
        missing = [film for film, at in zip(films, plan, strict=True) if at is None]
        with contextlib.closing(reader.read_many(missing, heat=False)) as opinions:
            for i, at in enumerate(plan):
                if journal is not None and at is not None:
                    fields = journal.entry(at).fields
                    yield Seen(**fields | {"reasons": tuple(fields["reasons"])})
                    continue
                fresh = seen(next(opinions))
                if journal is not None and fresh.probability is not None:
                    journal.add(keys[i], Entry(asdict(fresh)))
                yield fresh

    def _open(self, reader: Reader) -> Journal | None:
        if self.place is None:
            return None
        header = {
            "bundle": reader.bundle.sha256,
            "engine": reader.engine,
            "version of firstread": firstread.__version__,
            "kind of reading": "evaluation",
        }
        self._made = None if self.place.parent.exists() else self.place.parent
        return Journal(self.place, header)


def _key(film: Source) -> Key:
    """What tells whether a film is the one that was read, and was told of as much."""
    told = (film.name, getattr(film, "true_size", None), getattr(film, "age", None))
    return key_of(film)._replace(name=hashlib.sha256(utf8(repr(told))).hexdigest())
