"""At the node's start: its folder and its journal brought together after a stop at any moment.

Films and results without a row are taken up, also where the whole journal was lost; what a row
says is done is taken away. Only what bears a name of the node's own is touched: others keep things
in folders too, file systems among them.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from pathlib import Path

from firstread.clinic.journal import READ, RECEIVED, SENT, insert, state_of

_KEY = r"[0-9a-f]{24}-[0-9a-f]{24}"
_FILM = re.compile(rf"{_KEY}\.dcm")
_RESULTS = re.compile(_KEY)
_PART = re.compile(r"\..+\.part", re.DOTALL)


def adopt(films: Path, results: Path, db: sqlite3.Connection) -> int:
    """Do it; how many entries of the two folders are not the node's."""
    return _films(films, db) + _results(results, db)


def _films(folder: Path, db: sqlite3.Connection) -> int:
    foreign = 0
    for entry in _entries(folder):
        file = entry.is_file(follow_symlinks=False)
        if file and _PART.fullmatch(entry.name):
            Path(entry.path).unlink()  # half of a film whose sender was not told "success"
        elif file and _FILM.fullmatch(entry.name):
            key = entry.name.removesuffix(".dcm")
            state = state_of(db, key)
            if state is None:
                insert(db, key)
            elif state in {READ, SENT}:
                Path(entry.path).unlink()
        else:
            foreign += 1
    return foreign


def _results(folder: Path, db: sqlite3.Connection) -> int:
    """After `_films`: results that lie beside their film were not ended."""
    foreign = 0
    for entry in _entries(folder):
        if not _RESULTS.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
            foreign += 1
            continue
        state = state_of(db, entry.name)
        if state is None and any(Path(entry.path).glob("*.dcm")):
            insert(db, entry.name, READ)  # for whom, only a person can say
        elif state in {None, RECEIVED, SENT}:  # not ended, or not needed any more
            shutil.rmtree(entry.path, ignore_errors=True)
    return foreign


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
