"""What a batch has done so far, on disk: so that a kill loses nothing and memory stays flat.

A journal lies beside the first output of a batch, as <output>.part. Its first line says what the
opinions depend on: bundle, version, options. Each line after it is a film: its name, size and
time of change, and its entry. A line is written when all of the film's own files are, so a film
in the journal is finished. The last line may be torn; it is cut off and its film read again. The
same command goes on from there, and takes its journal away when all outputs are written.

Lines reach the system one by one, which is enough for a killed process; the disk is told once a
second, for a machine that loses its power.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple

from firstread.errors import OutputError
from firstread.film.files import cannot_write
from firstread.read.entry import Entry

MARK = b'{"firstread_journal": 1, '
"""What a journal begins with: no other file is taken for one, and none is written over."""

SYNC_SECONDS = 1.0
"""Longest time that a finished film may wait for the disk."""


class Key(NamedTuple):
    """A film as it was when it was read: `name`, `size` in bytes and `mtime_ns` of its file.

    A film whose file could not be looked at has neither, and is always read again.
    """

    name: str
    size: int | None
    mtime_ns: int | None


class _Place(NamedTuple):
    offset: int
    pictured: bool
    stem: str | None


class Journal:
    """The journal at `path`, or one without a name where `path` is None.

    `header`: what the opinions depend on. `going_on`: whether one with the same header was found;
    `anew`: else what was different about the one that lay there, or None. `stems`: of the films
    that `find` has found. Raises `OutputError` where the place cannot be written, holds a file
    that is no journal, or another process writes to it.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any]):
        self.path = path
        self.going_on = False
        self.anew: str | None = None
        self.stems: set[str] = set()
        self._known: dict[Key, deque[_Place]] = {}
        self._synced = time.monotonic()
        self._file = self._open()
        try:
            self._begin(json.loads(json.dumps(dict(header))))
        except BaseException:
            with contextlib.suppress(OSError):  # a full disk, once more
                self._file.close()
            raise

    def plan(
        self,
        keys: Sequence[Key],
        note: Callable[[str], None],
        pictured: Callable[[int], bool] = lambda _: False,
    ) -> list[int | None]:
        """`find` for each film of a batch; `note` is told whether it goes on or starts anew.

        `pictured`: whether the film at a place of `keys` needs pictures.
        """
        found = [self.find(key, pictured(i)) for i, key in enumerate(keys)]
        before = sum(at is not None for at in found)
        if self.anew is not None:
            note(f"starting anew: {self.path} was made with {self.anew}")
        elif before:
            note(f"going on: {before:,} of {len(found):,} films were read before")
        return found

    def find(self, key: Key, pictured: bool = False) -> int | None:
        """Where a film that need not be read again stands, or None. Each is found once.

        With `pictured` only one that has the page's pictures will do.
        """
        places = self._known.get(key)
        if not places or key.size is None or (pictured and not places[0].pictured):
            return None
        place = places.popleft()
        if place.stem is not None:
            self.stems.add(place.stem)
        return place.offset

    def add(self, key: Key, entry: Entry) -> int:
        """Set a finished film down; returns where. Raises `OutputError` on a full disk."""
        return self._write(json.dumps({**key._asdict(), **asdict(entry)}).encode())

    def entry(self, offset: int) -> Entry:
        """The film that stands at `offset`."""
        self._file.seek(offset)
        return _entry(json.loads(self._file.readline()))

    def close(self, done: bool) -> None:
        """Let go of the journal; with `done`, or if no film is in it, take it away."""
        away = self.path if done or self._end == self._first else None
        left = None
        try:
            if away is None:
                os.fsync(self._file.fileno())
            else:
                away.unlink()  # while it is held: once let go of, it may be another process's
        except PermissionError:  # Windows takes away no file that is open
            left = away
        except OSError:
            pass
        with contextlib.suppress(OSError):  # a full disk, told before
            self._file.close()
        if left is not None:
            with contextlib.suppress(OSError):
                left.unlink()

    def _open(self) -> IO[bytes]:
        if self.path is None:
            return tempfile.TemporaryFile()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            file = os.fdopen(fd, "r+b")
        except OSError as e:
            raise self._cannot(e) from None
        if not _lock(file):
            file.close()
            raise OutputError(
                f"{self.path}: another firstread is writing it; wait, or choose another place"
            )
        return file

    def _begin(self, header: dict[str, Any]) -> None:
        found = self._file.readline(1 << 16)
        if not found.startswith(MARK[: len(found)]):
            raise OutputError(f"{self.path}: is no journal of firstread; move it away")
        self._first = self._end = len(found)
        if found.endswith(b"\n"):
            with contextlib.suppress(ValueError):
                before = json.loads(found)
                del before["firstread_journal"]
                self.anew = _difference(before, header)
                self.going_on = self.anew is None
        if self.going_on:
            self._take_over()
        try:
            self._file.truncate(self._end if self.going_on else 0)
        except OSError as e:
            raise self._cannot(e) from None
        if not self.going_on:
            self._end = 0
            try:
                self._write(MARK + json.dumps(header)[1:].encode())
            except OutputError:
                if self.path is not None:  # no film is in it
                    with contextlib.suppress(OSError):
                        self.path.unlink()
                raise
            self._first = self._end

    def _take_over(self) -> None:
        """Index the whole lines; the first that is none ends the journal."""
        last: dict[str, tuple[deque[_Place], _Place]] = {}
        for line in self._file:
            try:
                if not line.endswith(b"\n"):
                    return
                raw = json.loads(line)
                key = Key(raw["name"], raw["size"], raw["mtime_ns"])
                entry = _entry(raw)
                _ = entry.decision, hash((key, entry.stem)), [*map(os.fspath, entry.files)]
            except (ValueError, KeyError, TypeError, RecursionError):
                return
            # A picture that was thrown away since is wanted again.
            if all(os.path.lexists(file) for file in entry.files):
                place = _Place(self._end, entry.shown is not None, entry.stem)
                places = self._known.setdefault(key, deque())
                places.append(place)
                if entry.stem in last:  # its files were written over
                    before, gone = last[entry.stem]
                    before.remove(gone)
                if entry.stem is not None:
                    last[entry.stem] = places, place
            self._end += len(line)

    def _write(self, line: bytes) -> int:
        offset = self._end
        try:
            self._file.seek(offset)
            self._file.write(line + b"\n")
            self._file.flush()
            self._end = self._file.tell()
            if self.path is not None and time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as e:
            raise self._cannot(e) from None
        return offset

    def _cannot(self, e: OSError) -> OutputError:
        return cannot_write(self.path or tempfile.gettempdir(), e)


def _entry(raw: dict[str, Any]) -> Entry:
    return Entry(raw["fields"], raw["shown"], raw["stem"], tuple(raw["files"]), raw["trouble"])


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """What of the header changed, in words, or None."""
    changed = [k for k in (*now, *before) if before.get(k, ...) != now.get(k, ...)]
    return f"another {changed[0]}" if changed else None


def _lock(file: IO[bytes]) -> bool:
    """Whether no other process holds the file; where the system has no such locks, true."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network disk without locks
        return True
    return True
