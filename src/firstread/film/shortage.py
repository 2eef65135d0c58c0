"""What may run out while a film is read: memory, open files, room on a disk.

A film is not at fault then, and must not be called bad: whoever reads it tries again later.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from firstread.errors import Shortage

WORDS = {
    errno.ENOMEM: "there was not enough memory to read it; free some",
    errno.EMFILE: "too many files are open to read it; close some",
    errno.ENFILE: "too many files are open to read it; close some",
    errno.ENOSPC: "the disk is too full to read it; free space",
    errno.EDQUOT: "the disk is too full to read it; free space",
}
"""What is said of the errors of a system that has run out of something."""


def shortage(error: BaseException) -> Shortage | None:
    """What is raised in the place of `error`, where it tells of something that ran out."""
    if isinstance(error, Shortage):
        return error
    number = error.errno if isinstance(error, OSError) else None
    words = WORDS.get(errno.ENOMEM if isinstance(error, MemoryError) else number or 0)
    return None if words is None else Shortage(f"{words} and try again")


CERTAIN = ("image file is truncated", "cannot identify image file")
"""Pillow's words for a stream that is at fault, however much memory there was."""


def ask_for(n_bytes: int, error: Exception) -> None:
    """Raise `MemoryError` if `error`, of a decoder, may be for want of memory, and `n_bytes` are
    not to be had either.

    Decoders in C tell the two with the same words: libjpeg and OpenJPEG through Pillow "broken data
    stream", and its decoder of TIFF -9, out of memory, of tiles of a spoilt size too.
    """
    if not any(words in str(error) for words in CERTAIN):
        np.empty(n_bytes, np.uint8)


@contextlib.contextmanager
def passed_over() -> Iterator[None]:
    """Go on past any error raised within, but raise a `Shortage` where something ran out."""
    try:
        yield
    except Exception as e:
        if short := shortage(e):
            raise short from None


@contextlib.contextmanager
def named(film: Path | str) -> Iterator[None]:
    """Have a `Shortage` raised within tell which film was being read."""
    try:
        yield
    except Shortage as e:
        raise Shortage(f"{film}: {e}") from None
