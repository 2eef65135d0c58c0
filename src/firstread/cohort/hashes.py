"""Content hashes: what a film *is*, whatever its file is called."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from firstread.errors import Shortage, TableError
from firstread.film.ahead import of_each
from firstread.film.shortage import shortage
from firstread.progress import Progress


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def films_sha256(paths: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
    """sha256 of each film's bytes. Raises `TableError` where films are not there, or no files.

    `progress` is called with (done, all).
    """
    gone = [path for path in paths if not path.is_file()]  # a pipe would be waited for
    if gone:
        are = "is" if len(gone) == 1 else "are"
        odd = "no file" if len(gone) == 1 else "no files"
        what = odd if all(path.exists() for path in gone) else "not there"
        slash = ", with / between folders" if os.sep == "/" and "\\" in str(gone[0]) else ""
        raise TableError(
            f"{len(gone)} of {len(paths)} films {are} {what} (first: {gone[0]}); "
            f"the paths in a table are relative to the table{slash}"
        )
    return tuple(of_each(file_sha256, paths, progress))


def readable_sha256(paths: Sequence[Path], progress: Progress | None = None) -> tuple[str, ...]:
    """sha256 of each film's bytes, "" where there is no file that can be opened.

    `progress` is called with (done, all). Raises `Shortage`.
    """
    return tuple(of_each(sha256_if_readable, paths, progress))


def sha256_if_readable(path: Path) -> str:
    """sha256 of a film's bytes, "" where there is no file that can be opened. Raises `Shortage`."""
    try:
        return file_sha256(path) if path.is_file() else ""  # a pipe would be waited for
    except (OSError, ValueError) as e:  # a null byte in its name
        if short := shortage(e):
            raise Shortage(f"{path}: {short}") from None
        return ""


def combined_sha256(hashes: Iterable[str]) -> str:
    """One sha256 over many, independent of their order: the identity of a set of films."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()


PREFIX = 4
"""Bytes of a film's sha256 in `prefixes`: by chance one in a million films is taken for one of
five thousand."""


def prefixes(hashes: Iterable[str]) -> str:
    """The beginnings of many sha256, by which `are_among` knows them again: base64 text.

    Of a film it tells no more than whether one has it at hand.
    """
    heads = sorted({bytes.fromhex(h)[:PREFIX] for h in hashes})
    return base64.b64encode(b"".join(heads)).decode()


def all_prefixes(texts: Iterable[str]) -> str:
    """What `prefixes` would make of all films that it made `texts` of."""
    heads = sorted(set().union(*map(_heads, texts)))
    return base64.b64encode(b"".join(heads)).decode()


def _heads(text: str) -> set[bytes]:
    told = base64.b64decode(text)
    return {told[i : i + PREFIX] for i in range(0, len(told), PREFIX)}


def are_among(hashes: Iterable[str], text: str) -> list[bool]:
    """Of each sha256, "" for none, whether it is one that `prefixes` made `text` of."""
    heads = _heads(text)
    return [bytes.fromhex(h)[:PREFIX] in heads for h in hashes]
