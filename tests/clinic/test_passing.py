"""What may pass by itself, among all that can go wrong where a node starts."""

import errno
import sqlite3

import pytest

from firstread.clinic.passing import may_pass
from firstread.errors import BundleError, NotNow, OutputError, Shortage
from nodes import of_journal


@pytest.mark.parametrize(
    "error",
    [
        NotNow("x"),
        Shortage("x"),
        MemoryError(),
        *(OSError(code, "x") for code in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EIO)),
        *map(of_journal, (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR | 8 << 8)),
    ],
    ids=repr,
)
def test_it_may_pass(error: Exception) -> None:
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [
        OutputError("x"),
        BundleError("x"),
        *(OSError(code, "x") for code in (errno.EACCES, errno.ENOTDIR, errno.EROFS)),
        OSError("x"),
        *map(of_journal, (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY)),
        sqlite3.OperationalError("x"),
    ],
    ids=repr,
)
def test_a_person_must_end_it(error: Exception) -> None:
    assert not may_pass(error)
