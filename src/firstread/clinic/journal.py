"""The node's journal: an SQLite file with a row for each film and for each result on its way."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

RECEIVED, READ, SENT, FAILED = "received", "read", "sent", "failed"

NAME = "journal.sqlite"

SCHEMA = """
create table if not exists films (
    key text primary key, uid text not null, state text not null, tries integer not null default 0
);
create index if not exists films_by_uid on films (uid);
create index if not exists films_by_state on films (state);
create table if not exists deliveries (
    file text not null, peer text not null, key text not null,
    refused integer not null default 0, film integer not null default 0, primary key (file, peer)
) without rowid;
"""

INDEXES = """
create index if not exists deliveries_by_film on deliveries (key);
create index if not exists deliveries_in_turn on deliveries (peer, refused, film, file);
"""

FILM = """
begin;
alter table deliveries add column film integer not null default 0;
update deliveries set film = coalesce(
    (select f.rowid from films f where f.key = deliveries.key), 0
);
drop index deliveries_by_peer;
commit;
"""
"""What a journal of before lacks: the place of each film among all, by which its deliveries are in
order without being sorted."""


def connect(folder: Path) -> sqlite3.Connection:
    """The journal in `folder`, for any thread; each statement is a transaction of its own."""
    return sqlite3.connect(folder / NAME, check_same_thread=False, isolation_level=None)


def prepare(db: sqlite3.Connection) -> None:
    """Make its tables if they are missing. Raises where it cannot be written, as one that another
    user began: a node would run on it and refuse each film."""
    # WAL with FULL: a commit is on the disk when it returns, for one fsync.
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    db.executescript(SCHEMA)
    if "film" not in {row[1] for row in db.execute("pragma table_info(deliveries)")}:
        db.executescript(FILM)
    db.executescript(INDEXES)
    db.execute("delete from films where false")  # asks to write, and needs no room for it


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All statements within, or none."""
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")


def state_of(db: sqlite3.Connection, key: str) -> str | None:
    """A film's state; None of one that has no row."""
    row = db.execute("select state from films where key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def insert(db: sqlite3.Connection, key: str, state: str = RECEIVED) -> None:
    """A row for a film that has none."""
    row = key, key.split("-")[0], state
    db.execute("insert into films (key, uid, state) values (?, ?, ?)", row)


def why(error: sqlite3.Error) -> str:
    """What is wrong with the journal, and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return (
            f"its journal is broken ({error}); move {NAME}* out of the folder and start again, "
            "with --resend where --send is given: films and results that lie there are taken up"
        )
    if code == sqlite3.SQLITE_READONLY:
        return f"its journal cannot be written ({error}); check whose files they are, and the disk"
    return f"its journal cannot be used ({error}); free space or check the disk"
