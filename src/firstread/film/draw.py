"""Lung masks of whole folders, as 1-bit PNGs that mirror the films' paths."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from firstread.errors import FilmError, FolderNotFound, NoFilms, OutputError
from firstread.film.ahead import in_order
from firstread.film.decode import FILM_SUFFIXES, decode
from firstread.film.files import find_films, real, write_atomic
from firstread.film.lungs import SIDE, LungFinder, doubt
from firstread.film.preprocess import Preprocess, preprocess
from firstread.film.quality import plainly_no_film
from firstread.film.shortage import named
from firstread.film.turns import Turn
from firstread.progress import Progress


class Drawn(NamedTuple):
    """A film and why it got no mask; `kept`: it had one before, which was left as it is."""

    film: Path
    problem: str | None
    kept: bool = False


def mask_name(film: Path) -> Path:
    """The path of a film's mask, below the masks' folder as the film is below its own.

    .png in place of an ending that films have, else after the whole name: what follows the last
    dot of a UID is no ending, and tells one film from the next.

    >>> mask_name(Path("NORMAL/a.jpeg")).as_posix(), mask_name(Path("1.2.840.1.2")).as_posix()
    ('NORMAL/a.png', '1.2.840.1.2.png')
    """
    if film.suffix.lower() in FILM_SUFFIXES:
        return film.with_suffix(".png")
    return film.with_name(f"{film.name}.png")


def draw_masks(
    paths: Iterable[Path],
    out: Path,
    finder: LungFinder,
    *,
    replace: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
) -> Iterator[Drawn]:
    """Write a mask of 224 x 224 pixels for each film below `paths`; yield what became of it.

    A film of a folder gets OUT/<its path below the folder>.png, a film named by itself
    OUT/<its name>.png (`mask_name`). The problem is None where there is a mask now; a
    film that cannot be read, or whose mask is in doubt, gets none. A mask that is there is kept,
    since a hand may have mended it, and its film not read; with `replace` it is drawn anew, and
    where none can be drawn the problem names the earlier one, which stays. As many `threads` draw,
    in the films' order; `progress` is called with (done, all). Raises `NoFilms`, `Shortage`, and
    `OutputError` before any mask is drawn where two films would write the same mask, a mask would
    replace a film, or `out` lies in one of the folders, whose films the masks would be the next
    time.
    """
    paths = list(paths)
    for path in paths:
        if path.is_dir() and real(out).is_relative_to(real(path)):
            raise OutputError(
                f"{out}: lies in {path}, where its masks would pass for films; "
                "give a folder beside it"
            )
    places: dict[Path, Path] = {}
    for path in paths:
        for film in find_films([path]):
            below = film.relative_to(path) if path.is_dir() else Path(film.name)
            places.setdefault(film, out / mask_name(below))
    if not places:
        raise NoFilms("no films found; give films, or a folder that holds some")
    taken: dict[Path, Path] = {}
    for film, place in places.items():
        if taken.setdefault(place, film) != film:
            raise OutputError(
                f"{place}: would be the mask of {taken[place]} and of {film}; draw them apart"
            )
    films = {real(film) for film in places}
    for place in taken:
        if real(place) in films:
            raise OutputError(f"{place}: is one of the films; give --out another folder")

    yield from draw_each(places, finder, replace=replace, threads=threads, progress=progress)


def draw_each(
    places: Mapping[Path, Path],
    finder: LungFinder,
    *,
    replace: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
) -> Iterator[Drawn]:
    """`draw_masks` of films each of which has the place of its mask told: {film: mask}."""

    def one(pair: tuple[Path, Path]) -> Drawn:
        film, place = pair
        if place.exists() and not replace:
            return Drawn(film, None, kept=True)
        problem = _draw(film, place, finder)
        if problem is not None and place.exists():
            problem += f"; an earlier mask lies at {place}: delete it if it is not right"
        return Drawn(film, problem)

    with ThreadPoolExecutor(threads) as pool:
        made = in_order(pool, one, places.items(), 2 * threads - 1)
        for done, drawn in enumerate(made, 1):
            if progress is not None:
                progress(done, len(places))
            yield drawn


def _draw(path: Path, place: Path, finder: LungFinder) -> str | None:
    with named(path), Turn() as turn:
        try:
            with contextlib.suppress(OSError, ValueError):  # `decode` says it better
                turn(path.stat().st_size // 2)
            film = decode(path, reduce_to=SIDE, before=turn)
        except (FilmError, FolderNotFound) as e:  # gone since the folder was walked
            return str(e)
        mask = finder.mask(preprocess(film, Preprocess(SIDE)))
        problem = plainly_no_film(film) or doubt(mask)
    if problem is None:
        write_atomic(place, mask_png(mask))
    return problem


def mask_png(mask: npt.NDArray[np.bool_]) -> bytes:
    """A mask (h, w) as the bytes of a 1-bit PNG, white in the lungs."""
    out = io.BytesIO()
    Image.fromarray(mask).save(out, "PNG", optimize=True)
    return out.getvalue()
