"""The node's queue on disk: what was promised to a sender is there after any stop.

A film is a file in films/, and a row in a journal (SQLite). Its states::

    received   the film is whole on disk; only now is the sender told "success"
    read       its results are whole on disk, with a delivery for each peer; the film is deleted
    sent       every peer has them; the results are deleted too
    failed     no result can be made; the film is kept in films/ for a person to look at

The bytes come first and the row after them, so a stop between the two leaves a file without a
row, which the next start adopts. The other way round, a row would promise what is not there.
States by folder alone would do for films, but not for several peers, each with deliveries of its
own, and not for remembering for years which films are done: that is a row of hashes, not a file.

A film's key is made of a hash of its UID and one of its bytes. So the same film sent again is
known, in whatever state; and other bytes under a UID that was seen before are a film of their
own, neither dropped nor taken for the first. No name or UID from outside becomes a file's name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from firstread.clinic import deliveries, journal
from firstread.clinic.adopt import adopt
from firstread.clinic.journal import FAILED, READ, RECEIVED
from firstread.clinic.passing import may_pass
from firstread.errors import NotNow, OutputError
from firstread.film.files import write_atomic

RESERVE = 32 * 2**20
"""Bytes that stay free: the results of films already taken, and the journal, must fit too."""

ROOM = 2**20
"""Bytes without which nothing is sent."""

TRIES = 3
"""Readings of a film begun and not ended, after which it may be what kills the process: it comes
after all others, once more."""


def short(uid: str) -> str:
    """How a UID is named in logs: twelve digits of its hash."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Taken:
    """What became of a film handed to the queue.

    `key`: its name here. `known`: the same bytes were here before. `differs`: other bytes were
    here before under the same UID. `anew`: they were here before and no result could be made of
    them; they are read once more.
    """

    key: str
    known: bool
    differs: bool
    anew: bool = False


@dataclass(frozen=True)
class Delivery:
    """One result that one peer has not got yet. `file`: its path."""

    key: str
    peer: str
    file: Path


class Queue:
    """A folder of films and results with its journal; one process at a time, any threads.

    `folder`: made if missing, for its owner's eyes only. `reserve`: bytes that stay free.
    `foreign`: how many entries of its folders are not ours, and left alone.
    Raises `OutputError` where the folder cannot be used, `NotNow` where another process uses it or
    its disk is full or away.
    """

    def __init__(self, folder: Path, reserve: int = RESERVE):
        self.folder = folder
        self.reserve = reserve
        self.films, self.results = folder / "films", folder / "results"
        self._lock = threading.RLock()
        with contextlib.ExitStack() as opened, self._errors():
            for path in (folder, self.films, self.results):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = opened.enter_context((folder / "lock").open("ab"))
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NotNow(
                    f"{folder}: another node uses this queue; stop it or name another folder"
                ) from None
            self._db = journal.connect(folder)
            opened.callback(self._db.close)
            journal.prepare(self._db)
            self.foreign = adopt(self.films, self.results, self._db)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let go of the folder."""
        with self._lock:
            self._opened.close()

    # Receiving

    def take(self, uid: str, data: bytes, mark: str = "") -> Taken:
        """Put a film on disk and in the journal; when this returns, it will be read.

        `data`: the bytes of its file. `mark`: the sha256 of what it is known by, if not by all of
        `data` (a file's header names the program that wrote it). Raises `OutputError` where
        there is no room; nothing is kept then.
        """
        name = hashlib.sha256(uid.encode()).hexdigest()[:24]
        key = f"{name}-{(mark or hashlib.sha256(data).hexdigest())[:24]}"
        with self._lock, self._errors():
            others = [
                row[0] for row in self._db.execute("select key from films where uid = ?", (name,))
            ]
            taken = Taken(key, key in others, any(other != key for other in others))
            if taken.known:
                return replace(taken, anew=self._begin_anew(key, data))
            path = self._kept(key, data)
            try:
                journal.insert(self._db, key)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return taken

    def _kept(self, key: str, data: bytes) -> Path:
        """The film's file, on the disk when this returns."""
        if self._free() < self.reserve + 2 * len(data):
            raise OutputError(f"{self.folder}: the disk is nearly full; free space")
        path = self.film(key)
        write_atomic(path, data)
        try:
            _sync_folder(self.films)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _begin_anew(self, key: str, data: bytes) -> bool:
        """Have a film that failed read again, from the bytes that came now; whether it had."""
        if journal.state_of(self._db, key) != FAILED:
            return False
        self._kept(key, data)
        self._db.execute("update films set state = ?, tries = 0 where key = ?", (RECEIVED, key))
        return True

    def film(self, key: str) -> Path:
        """Where a film's bytes are, while there are any."""
        return self.films / f"{key}.dcm"

    # Reading

    def next_film(self, but: Collection[str] = ()) -> tuple[str, int] | None:
        """The key of the film to read next, oldest first, and how often it was begun before.

        Those begun `TRIES` times come last. Counts the try at once. None where all are read but
        those in `but`.
        """
        with self._lock, self._errors():
            row = None
            for more in ("tries < ?", "tries >= ?"):  # apart, since to sort all of them takes long
                rows = self._db.execute(
                    f"select key, tries from films where state = ? and {more} order by rowid",
                    (RECEIVED, TRIES),
                )
                row = row or next((row for row in rows if row[0] not in but), None)
                rows.close()
            if row is not None:
                self._db.execute("update films set tries = tries + 1 where key = ?", (row[0],))
            return None if row is None else (str(row[0]), int(row[1]))

    def put_off(self, key: str) -> None:
        """Take the try back: the film was not at fault that it could not be read."""
        with self._lock, self._errors():
            self._db.execute("update films set tries = max(0, tries - 1) where key = ?", (key,))

    def place(self, key: str) -> Path:
        """An empty folder for the film's results.

        Raises `OutputError` where half of the reserve is gone: results that fill the disk to its
        end leave the journal no room to say that any was sent, and so none is sent nor deleted.
        """
        path = self.results / key
        self.check_room(self.reserve // 2)
        try:
            shutil.rmtree(path, ignore_errors=True)  # of a reading that did not come to its end
            path.mkdir(mode=0o700)
        except OSError as e:
            raise OutputError(f"{path}: cannot be made ({e.strerror}); free space") from None
        return path

    def done(self, key: str, files: Sequence[Path], peers: Sequence[str]) -> None:
        """The film's results lie whole in `files`; each peer is to get each of them.

        Without peers they stay there, for others to collect.
        """
        with self._lock, self._errors():
            _sync_folder(self.results / key)
            _sync_folder(self.results)
            with journal.transaction(self._db):
                deliveries.add(self._db, [(f"{key}/{f.name}", key) for f in files], peers)
                self._db.execute("update films set state = ? where key = ?", (READ, key))
            self.film(key).unlink(missing_ok=True)

    def fail(self, key: str) -> None:
        """No result can be made of this film; it is kept."""
        with self._lock, self._errors():
            self._db.execute("update films set state = ? where key = ?", (FAILED, key))
        shutil.rmtree(self.results / key, ignore_errors=True)

    # Sending

    def deliveries(self, peer: str, new: bool = False) -> list[Delivery]:
        """What `peer` has not got yet, at most 100: oldest film first, what it refused last, or
        with `new` not at all."""
        with self._lock, self._errors():
            rows = deliveries.next_for(self._db, peer, new)
        return [Delivery(key, peer, self.results / file) for key, file in rows]

    def check_room(self, room: int = ROOM) -> None:
        """Raise `OutputError` where less than `room` bytes are free; by default, what the journal
        needs to say that something was sent."""
        with self._errors():
            free = self._free()
        if free < room:
            raise OutputError(f"{self.folder}: the disk is nearly full; free space")

    def delivered(self, delivery: Delivery) -> str | None:
        """The peer has it; what all peers have is deleted. Why that could not be, or None."""
        file = f"{delivery.key}/{delivery.file.name}"
        with self._lock, self._errors():
            if deliveries.delivered(self._db, file, delivery.peer, delivery.key):
                try:
                    shutil.rmtree(self.results / delivery.key)
                except FileNotFoundError:  # somebody was quicker
                    pass
                except OSError as e:
                    return str(e.strerror)
        return None

    def refused(self, delivery: Delivery) -> None:
        """The peer would not have it: the others come first from now on."""
        with self._lock, self._errors():
            file = f"{delivery.key}/{delivery.file.name}"
            deliveries.refused(self._db, file, delivery.peer)

    def peers(self) -> dict[str, int]:
        """How many results wait for each peer."""
        with self._lock, self._errors():
            return deliveries.by_peer(self._db)

    def waiting(self, peers: Sequence[str]) -> list[Path]:
        """The results that wait for one of `peers`."""
        with self._lock, self._errors():
            files = deliveries.waiting(self._db, peers)
        return [self.results / file for file in files]

    def kept(self) -> int:
        """How many films have results here that wait for no peer."""
        with self._lock, self._errors():
            keys = deliveries.keys_for_nobody(self._db)
        return sum((self.results / key).is_dir() for key in keys)

    def resend(self, peers: Sequence[str]) -> int:
        """Have all results that lie here wait for `peers` and no others; how many there are."""
        with self._lock, self._errors():
            rows = self._db.execute("select key from films where state = ?", (READ,)).fetchall()
            files = [
                (f"{key}/{file.name}", key)
                for (key,) in rows
                for file in sorted((self.results / key).glob("*.dcm"))
            ]
            deliveries.give_to(self._db, files, peers)
        return len(files)

    def counts(self) -> dict[str, int]:
        """How many films are in each state."""
        with self._lock, self._errors():
            return dict(self._db.execute("select state, count(*) from films group by state"))

    # Inside

    def _free(self) -> int:
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise _kind(e)(f"{self.folder}: {journal.why(e)}") from None
        except OSError as e:
            raise _kind(e)(
                f"{self.folder}: cannot be used as a queue ({e.strerror}); "
                "free space or choose another folder"
            ) from None


def _kind(error: Exception) -> type[OutputError]:
    return NotNow if may_pass(error) else OutputError


def _sync_folder(path: Path) -> None:
    """Make a rename in the folder last through a power cut too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


Note = Callable[[str], None]
"""Takes one line for the log: never a name, an id, a date or a UID of a film."""
