"""Content hashes: what a film *is*, whatever its file is called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def combined_sha256(hashes: Iterable[str]) -> str:
    """One sha256 over many, independent of their order: the identity of a set of films."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
