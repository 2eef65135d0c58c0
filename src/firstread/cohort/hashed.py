"""Films that are known by their content: what a set of them is called, wherever it lies.

Of a set that is larger than the memory, or lies on a share, reading all once takes its time: that
is done when somebody first asks, and never again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firstread.cohort.hashes import combined_sha256, films_sha256, readable_sha256
from firstread.progress import Progress


class HashedFilms:
    """The hashes of films at `paths`, kept once they are read."""

    @property
    def paths(self) -> list[Path]:
        """The path of each film."""
        raise NotImplementedError

    @property
    def hashes(self) -> tuple[str, ...]:
        """sha256 of each film's bytes (read once, then kept). Raises `TableError`."""
        return self.read_hashes()

    @property
    def readable_hashes(self) -> tuple[str, ...]:
        """The same, "" of a film that cannot be opened (it will be rejected)."""
        return self.read_readable_hashes()

    def read_hashes(self, progress: Progress | None = None) -> tuple[str, ...]:
        """`hashes`. Where they have yet to be read, `progress` is called with (done, all)."""
        if "_hashes" not in self.__dict__:
            self.__dict__["_hashes"] = films_sha256(self.paths, progress)
        return self._kept("_hashes") or ()

    def read_readable_hashes(self, progress: Progress | None = None) -> tuple[str, ...]:
        """`readable_hashes`. Where they have yet to be read, `progress` is called with (done,
        all)."""
        known = self.known_hashes
        if known is None:
            known = readable_sha256(self.paths, progress)
            self.keep_readable_hashes(known)
        return known

    @property
    def known_hashes(self) -> tuple[str, ...] | None:
        """`readable_hashes`, None where the films have yet to be read for them."""
        known = self._kept("_hashes")
        return self._kept("_readable_hashes") if known is None else known

    def keep_readable_hashes(self, hashes: Sequence[str]) -> None:
        """Take `hashes` for `readable_hashes`: whoever reads the films for something else can tell
        them."""
        self.__dict__["_readable_hashes"] = tuple(hashes)

    def hand_on(self, some: HashedFilms, indices: Sequence[int]) -> None:
        """Tell the hashes, if they are known, to `some`, which are our films at `indices`."""
        for name in ("_hashes", "_readable_hashes"):
            if known := self._kept(name):
                some.__dict__[name] = tuple(known[i] for i in indices)

    def data_hash(self) -> str:
        """One sha256 that names this set of films, whatever their order or folder."""
        return combined_sha256(self.hashes)

    def _kept(self, name: str) -> tuple[str, ...] | None:
        found: tuple[str, ...] | None = self.__dict__.get(name)
        return found
