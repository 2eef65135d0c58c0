"""A film whose bytes are those that were judged, or none: results lie under the patient they tell.

Opinions run ahead of the results. Until its turn comes a film's file may have been replaced by
another patient's, or be gone; and what comes through a pipe comes once.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from firstread.errors import FirstreadError, Shortage, UnreadableFilm

CHANGED = "the file was changed or taken away while it was read; read it again"


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


class Judged:
    """The film of `source`, of which no two readings differ.

    Of a file no more than the hash is kept, since many films may be ahead of their results; of
    what is none, such as a pipe, all bytes.
    """

    def __init__(self, source: Source):
        self.source = source
        self._hash: bytes | None = None
        self._bytes: bytes | None = None

    @property
    def name(self) -> str:
        """The name as given."""
        return self.source.name

    def read_bytes(self) -> bytes:
        """The bytes. Raises what the source does, and `UnreadableFilm` where they are others now.

        A source that is no file is asked once.
        """
        if self._bytes is not None:
            return self._bytes
        lasting = os.path.isfile(self.source.path)  # noqa: PTH113 a Path's own method may raise
        data = self.source.read_bytes()
        found = hashlib.sha256(data).digest()
        if self._hash not in (None, found):
            raise UnreadableFilm(CHANGED)
        self._hash = found
        if not lasting:
            self._bytes = data
        return data

    def again(self) -> bytes | None:
        """The bytes that were read; None where none could be, which the opinion has said.

        Raises `UnreadableFilm` where they are not to be had any more, `Shortage`.
        """
        if self._hash is None:
            return None
        try:
            return self.read_bytes()
        except Shortage:
            raise
        except FirstreadError:
            raise UnreadableFilm(CHANGED) from None
