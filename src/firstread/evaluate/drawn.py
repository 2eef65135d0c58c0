"""Lung masks for films that have none: drawn by the lung net for as long as a study takes.

So that anyone with a folder of films can ask where a model's evidence lies. Masks drawn by
hand are better where there are some: the net misses a lung that is white from top to bottom.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.evaluate.masks import COLUMN
from firstread.film.draw import draw_each
from firstread.film.lungs import LungFinder
from firstread.plural import count
from firstread.progress import Progress


def has_masks(cohort: Cohort) -> bool:
    """Whether the films' table names a mask of any of them."""
    return any(row.extra.get(COLUMN, "").strip() for row in cohort.rows)


def with_drawn_masks(
    cohort: Cohort, folder: Path, *, threads: int = 1, progress: Progress | None = None
) -> tuple[Cohort, str]:
    """The same films with masks drawn into `folder`, named by the column `lung_mask`; and a
    sentence on whose masks these are and how many films got none.

    A film that cannot be read, or whose mask is in doubt, gets none, and studies leave it out.
    Raises `DataError` where no film gets one, and `Shortage`.
    """
    places = {row.path: folder / f"{i}.png" for i, row in enumerate(cohort.rows)}
    drawn = draw_each(places, LungFinder(), threads=threads, progress=progress)
    without = [(film, problem) for film, problem, _ in drawn if problem is not None]
    if len(without) == len(places):
        raise DataError(
            f"{cohort.root}: the lung net finds lungs on none of the films (the first, "
            f"{without[0][0].name}: {without[0][1]}); give masks with --masks, or leave "
            "--occlude silhouette and --heat-energy away"
        )
    said = "no lung masks were given: they are drawn by the lung net that comes with firstread"
    if without:
        said += (
            f"; {count(len(without), 'film gets', 'films get')} none and "
            f"{'is' if len(without) == 1 else 'are'} left out (the first, "
            f"{without[0][0].name}: {without[0][1]})"
        )
    rows = [replace(r, extra=r.extra | {COLUMN: str(places[r.path])}) for r in cohort.rows]
    return cohort.retold(rows), said
