"""What may pass by itself, told from what only a person can end.

A service is started again after the first, and left alone after the second.
"""

from __future__ import annotations

import errno
import sqlite3

from firstread.errors import NotNow
from firstread.film.shortage import shortage

AWAY = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY})
"""What is said of a drive or a share that does not answer, and may again."""

SHORT = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR}
    | {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
)
"""The same of a journal: no room or memory for it, its disk away, another program in it."""


def may_pass(error: BaseException) -> bool:
    """Whether the same may do later without anybody's doing."""
    if isinstance(error, sqlite3.Error):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in SHORT
    away = isinstance(error, OSError) and error.errno in AWAY
    return isinstance(error, NotNow) or away or shortage(error) is not None
