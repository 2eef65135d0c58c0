"""What the files of a film are called, whatever the film itself is called.

A film's name comes from anywhere: folders, archives, cameras. Its own files all lie directly in
the folder that was asked for, under a name that keeps what can be kept of the film's: letters and
digits of any script, and numbers where two would be called the same.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable

from firstread.film.decode import FILM_SUFFIXES

LONGEST = 120
"""Bytes of a name that are kept, from its end: file systems allow 255, and an ending follows."""

RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in "123456789"}
)
"""What Windows opens as a device, with any ending."""


class Stems:
    """Names for films, none given twice, none of those `taken`.

    `free`: asked whether a name may be used, for files that lie there and must not be touched.
    """

    def __init__(self, taken: Iterable[str] = (), free: Callable[[str], bool] = lambda _: True):
        self._taken = {_folded(t) for t in taken}
        self._free = free

    def name(self, film: str) -> str:
        """A name for the files of `film`, without an ending: films/a.png becomes films_a."""
        first = safe(film)
        stem, number = first, 2
        while _folded(stem) in self._taken or not self._free(stem):
            stem, number = f"{first}-{number}", number + 1
        self._taken.add(_folded(stem))
        return stem


def safe(name: str) -> str:
    """`name` without its film ending, as one plain file name: no separator, no leading dot."""
    base, ending = os.path.splitext(name)  # noqa: PTH122 keeps "./"
    name = base if ending.lower() in FILM_SUFFIXES else name
    kept = "".join(
        c if c.isalnum() or c in "._-" else "_" for c in unicodedata.normalize("NFC", name)
    )
    parts = kept.encode("utf-8", "replace")[-LONGEST:].decode("utf-8", "ignore")
    plain = parts.strip("._-") or "film"
    return f"_{plain}" if plain.split(".")[0].upper() in RESERVED else plain


def _folded(stem: str) -> str:
    """As a disk that knows no case, or takes Unicode apart, would see it."""
    return unicodedata.normalize("NFKC", stem).casefold()
