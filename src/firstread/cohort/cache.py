"""Decode once: a memory-mapped uint8 array of preprocessed films.

Decoding a JPEG takes some 5 ms, reading it back from the map 5 microseconds. A cache is
one .npy file whose name is a hash over the films' contents, their order, the preprocessing and the
version of firstread, which may decode a film otherwise than the one before; so a changed film or
setting can never meet a stale cache. It is written under another name and then renamed: two runs
that build the same cache at once, in two containers too, each write their own file, and the last
rename wins. Which films could not be decoded stands in the same file, behind the array: in one
beside it, it might be the other run's, and pixels would stand under other films. What a killed run
leaves of its file goes when the next cache is built (`firstread.film.leftovers`). What could not be
decoded is tried again at every call: a disk may have failed for a moment only.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from firstread import __version__
from firstread.cohort.table import Cohort, FilmRow
from firstread.errors import FilmError, NoFilms, OutputError
from firstread.film.ahead import in_order
from firstread.film.decode import decode
from firstread.film.files import utf8
from firstread.film.leftovers import part_file
from firstread.film.places import cache_folder
from firstread.film.preprocess import Preprocess, preprocess
from firstread.film.shortage import named
from firstread.progress import in_words


@dataclass(frozen=True)
class CachedFilms:
    """`films`: the cohort without unreadable ones. `pixels`: (n, size, size) uint8, mapped.

    `failed`: (file, reason) of each film that could not be decoded.
    """

    films: Cohort
    pixels: npt.NDArray[np.uint8]
    failed: tuple[tuple[str, str], ...]


def cached_films(
    films: Cohort,
    how: Preprocess,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedFilms:
    """Decode and preprocess every film of a cohort, or map what an earlier call left.

    `progress` is called with (done, total). Raises `NoFilms` if not one film decodes, `Shortage`,
    and `OutputError` if the cache cannot be written, before any film is decoded where it has no
    room.
    """
    folder = folder or cache_folder()
    known_by = [how.key, __version__, *films.hashes]
    if how.frame != "squash":  # the same bytes may be told another true size
        known_by += [str(row.true_size) for row in films.rows]
    key = hashlib.sha256("\n".join(known_by).encode()).hexdigest()[:24]
    data = folder / f"{key}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        left = _left(films, how, data)
        if left is None:
            _build(films, how, data, progress)
            left = _read(data)
        pixels, failed = left
    except OSError as e:
        raise OutputError(
            f"{folder}: the decode cache cannot be written ({e.strerror}); "
            "make room or set FIRSTREAD_CACHE to another folder"
        ) from None
    bad = {i for i, _ in failed}
    kept = films.subset(i for i in range(len(films)) if i not in bad)
    return CachedFilms(kept, pixels, tuple((films.rows[i].file, why) for i, why in failed))


def _left(
    films: Cohort, how: Preprocess, data: Path
) -> tuple[npt.NDArray[np.uint8], list[tuple[int, str]]] | None:
    """What an earlier call left, or None where that is nothing, damaged, or lacks films that can
    be decoded by now."""
    if not data.is_file():
        return None
    try:
        pixels, failed = _read(data)
    except (ValueError, EOFError):
        return None
    if len(pixels) + len(failed) != len(films):
        return None
    again = (_prepared(films.rows[i], how) for i, _ in failed)
    return (pixels, failed) if all(isinstance(film, str) for film in again) else None


def prepared(row: FilmRow, how: Preprocess) -> npt.NDArray[np.uint8]:
    """A film as a model reads it, (size, size). Raises as `decode` does."""
    with named(row.path):
        film = decode(row.path, reduce_to=how.first)
    return preprocess(film.taken_at(row.true_size), how)


def _prepared(row: FilmRow, how: Preprocess) -> npt.NDArray[np.uint8] | str:
    """The same, or why it cannot be read."""
    try:
        return prepared(row, how)
    except FilmError as e:
        return str(e)


def _build(
    films: Cohort,
    how: Preprocess,
    data: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    with part_file(data) as out:  # first: what a killed run left there makes room
        _need_room(data.parent, len(films) * how.size**2)
        failed = _write_films(out, films, how, progress)
        out.seek(0, os.SEEK_END)
        out.write(utf8("\n".join(failed)))


def _need_room(folder: Path, needed: int) -> None:
    """Raise `OutputError` where `needed` bytes are not free: filling the disk takes as long as the
    decoding, and whatever else writes there fails with us."""
    there = shutil.disk_usage(folder)
    if there.total and there.free < needed:  # some network disks tell nothing
        raise OutputError(
            f"{folder}: the decode cache takes {in_words(needed)} there and {in_words(there.free)} "
            "are free; make room or set FIRSTREAD_CACHE to another folder"
        )


def _write_films(
    out: IO[bytes],
    films: Cohort,
    how: Preprocess,
    progress: Callable[[int, int], None] | None,
) -> list[str]:
    """Decode films into an .npy file, one after the other: all need not fit into memory at once.

    Returns a line of the log for each that cannot be decoded. Raises `NoFilms`.
    """

    def head(n: int) -> None:
        shape = (n, how.size, how.size)
        kind = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, kind)

    head(len(films))
    begin = out.tell()
    failed: list[str] = []
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        made = in_order(pool, partial(_prepared, how=how), films.rows, 2 * threads)
        for i, result in enumerate(made):
            if isinstance(result, str):
                failed.append(f"{i}\t{result}")
            else:
                out.write(result.tobytes())
            if progress is not None:
                progress(i + 1, len(films))
    if len(failed) == len(films):
        raise NoFilms(f"{films.root}: none of the {len(films)} films could be decoded")
    out.seek(0)
    head(len(films) - len(failed))  # numpy leaves room in it for any count
    if out.tell() != begin:
        raise OSError(errno.EIO, "the header of the cache would change its length")
    return failed


def _read(data: Path) -> tuple[npt.NDArray[np.uint8], list[tuple[int, str]]]:
    """The pixels, mapped, and the log behind them; of one open file, over whose name another run
    may put its own meanwhile. Raises `ValueError` where it is damaged."""
    with data.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        pixels: npt.NDArray[np.uint8] = np.memmap(file, np.uint8, "r", file.tell(), shape)
        file.seek(pixels.offset + pixels.nbytes)  # type: ignore[attr-defined]
        lines = (line.split("\t", 1) for line in file.read().decode().splitlines())
        return pixels, [(int(i), why) for i, why in lines]
