"""Content hashes: what a film *is*, whatever its file is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from firstread.errors import TableError


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def films_sha256(paths: Sequence[Path]) -> tuple[str, ...]:
    """sha256 of each film's bytes. Raises `TableError` where films are not there."""
    gone = [path for path in paths if not path.exists()]
    if gone:
        are = "is" if len(gone) == 1 else "are"
        raise TableError(
            f"{len(gone)} of {len(paths)} films {are} not there (first: {gone[0]}); "
            "the paths in a table are relative to the table"
        )
    return tuple(file_sha256(path) for path in paths)


def combined_sha256(hashes: Iterable[str]) -> str:
    """One sha256 over many, independent of their order: the identity of a set of films."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
