"""One look at a file: what it is, whether it decodes, and a thumbnail to compare it by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firstread.cohort.duplicates import SIDE, thumbnail
from firstread.cohort.hashes import file_sha256
from firstread.errors import FilmError, FolderNotFound
from firstread.film import decode
from firstread.film.ahead import of_each
from firstread.film.decode import MAX_BYTES
from firstread.film.quality import plainly_no_film
from firstread.film.shortage import named, shortage
from firstread.progress import Progress


@dataclass(frozen=True)
class Seen:
    """What one file told: `reason` is None if it decoded, and `doubt` if it looks like a film."""

    sha256: str | None
    reason: str | None
    doubt: str | None = None
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    n_bytes: int = 0
    colour: float = 0.0
    thumbnail: npt.NDArray[np.uint8] | None = None


def look_at(path: Path) -> Seen:
    """Read and decode one file; never raises for a bad film. Raises `Shortage`."""
    with named(path):
        return _looked_at(path)


def _looked_at(path: Path) -> Seen:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            return Seen(None, "no file; check the path")
        n_bytes = path.stat().st_size
        # Of a file that is too large to be a film, and perhaps for the memory, no byte is kept.
        source = path if n_bytes > MAX_BYTES else path.read_bytes()
        sha = file_sha256(source) if isinstance(source, Path) else sha256(source).hexdigest()
    except OSError as e:
        if short := shortage(e):
            raise short from None
        return Seen(None, f"cannot be opened ({e.strerror}); check the path")
    except ValueError:
        return Seen(None, "cannot be opened (a null byte in its name); check the path")
    try:
        film = decode(source, reduce_to=SIDE)
        small = thumbnail(film)
    except (FilmError, FolderNotFound) as e:
        return Seen(sha, str(e), n_bytes=n_bytes)
    return Seen(
        sha, None, plainly_no_film(film), film.width, film.height, film.mode, film.format,
        film.n_bytes, film.colour, small,
    )  # fmt: skip


def look_at_all(paths: Sequence[Path], progress: Progress | None = None) -> list[Seen]:
    """`look_at` every path in threads (decoders release the lock), in the order given."""
    return of_each(look_at, paths, progress, min(8, os.cpu_count() or 1))
