"""How old patients are, as a table or their DICOM files tell it: in years or as DICOM writes it.

A model trained on films that all tell an age is for the ages between; one cell that tells none
makes it a model for nobody knows whom, so that this must be said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from firstread.film.age import OLDEST, age_of

if TYPE_CHECKING:
    from firstread.cohort.table import Cohort

_YEARS = re.compile(r"\d{1,3}([.,]\d*)?")


def years_of(told: str) -> float | None:
    """The age in years that a cell holds; None where it holds none.

    >>> years_of("17,5"), years_of("036M"), years_of("3Y"), years_of("abc")
    (17.5, 3.0, 3.0, None)
    """
    years = float(told.replace(",", ".")) if _YEARS.fullmatch(told) else None
    years = age_of({"PatientAge": told}) if years is None else years
    return None if years is None or years > OLDEST else years


def why_unused(films: Cohort) -> str | None:
    """What keeps ages that some films tell from being used, in a line; None where nothing does."""
    without = [row for row in films.rows if row.told_age is None]
    if not without or not any(row.extra.get("age") for row in films.rows):
        return None
    told = without[0].extra.get("age")
    what = f"holds {told!r}, no age" if told else "tells none"
    more = f", and {len(without) - 1} more" if len(without) > 1 else ""
    return f"ages are not used: {without[0].file} {what}{more}"
