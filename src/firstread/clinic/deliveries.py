"""The journal's deliveries: a row for each result that a peer has not got yet."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Sequence

from firstread.clinic import journal
from firstread.clinic.journal import READ, SENT

AT_ONCE = 100
"""Results that are handed out at a time."""


def add(db: sqlite3.Connection, files: Iterable[tuple[str, str]], peers: Sequence[str]) -> None:
    """Have each of `peers` get each of `files`, (place below results/, key of the film)."""
    db.executemany(
        "insert or ignore into deliveries (file, peer, key, film) "
        "select ?, ?, key, rowid from films where key = ?",
        [(file, peer, key) for file, key in files for peer in peers],
    )


def next_for(db: sqlite3.Connection, peer: str, new: bool) -> list[tuple[str, str]]:
    """What `peer` has not got yet, (key of the film, file), `AT_ONCE` at most: oldest film first,
    what it refused last, or with `new` not at all."""
    rows: list[tuple[str, str]] = db.execute(
        "select key, file from deliveries where peer = ? and refused <= ? "
        "order by refused, film, file limit ?",
        (peer, 0 if new else sys.maxsize, AT_ONCE),
    ).fetchall()
    return rows


def delivered(db: sqlite3.Connection, file: str, peer: str, key: str) -> bool:
    """The peer has it; whether all peers have all of the film's results."""
    with journal.transaction(db):
        db.execute("delete from deliveries where file = ? and peer = ?", (file, peer))
        (left,) = db.execute("select count(*) from deliveries where key = ?", (key,)).fetchone()
        if not left:
            db.execute("update films set state = ? where key = ?", (SENT, key))
    return not left


def refused(db: sqlite3.Connection, file: str, peer: str) -> None:
    """The peer would not have it: the others come first from now on."""
    db.execute(
        "update deliveries set refused = refused + 1 where file = ? and peer = ?", (file, peer)
    )


def by_peer(db: sqlite3.Connection) -> dict[str, int]:
    """How many results wait for each peer."""
    return dict(db.execute("select peer, count(*) from deliveries group by peer"))


def waiting(db: sqlite3.Connection, peers: Sequence[str]) -> set[str]:
    """The results that wait for one of `peers`."""
    rows = db.execute("select file, peer from deliveries")
    return {file for file, peer in rows if peer in peers}


def keys_for_nobody(db: sqlite3.Connection) -> list[str]:
    """Films with results that wait for no peer, if they still lie there."""
    rows = db.execute(
        "select key from films f where state = ? and not exists "
        "(select 1 from deliveries d where d.key = f.key)",
        (READ,),
    )
    return [key for (key,) in rows]


def give_to(db: sqlite3.Connection, files: Sequence[tuple[str, str]], peers: Sequence[str]) -> None:
    """Have `files` wait for `peers`, and nothing for any other."""
    with journal.transaction(db):
        for peer in by_peer(db):
            if peer not in peers:
                db.execute("delete from deliveries where peer = ?", (peer,))
        add(db, files, peers)
