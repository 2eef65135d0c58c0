"""How old the patient of a DICOM film is.

PatientAge is optional (type 3) and often left out; PatientBirthDate has to stand in every file, if
only empty (type 2). An adult must not pass for a patient whose age nobody told, so where there is
no age it is reckoned from the dates. They are used for this alone, and only the age is handed on.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydicom

DAYS = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "StudyDate", "SeriesDate")
"""When a film was taken, best first. Any may be left out or empty, StudyDate too."""

OLDEST = 130
"""Years beyond which dates are wrong, and no patient is so old."""

YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
"""Units of a DICOM age string (PS3.5, AS)."""

_AGE = re.compile(
    r"(\d{1,4})(?:\.\d*)?\s*(D(?:AYS?)?|W(?:EEKS?|KS?)?|M(?:ONTHS?|OS?)?|Y(?:EARS?|RS?)?)?"
)
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
"""PS3.5, DA; with dots in files of before 1993."""


def age_of(tags: dict[str, str]) -> float | None:
    """PatientAge in years ("034Y", "006M", "010W", "003D"); None where it is not told.

    Years too where no unit stands, or a word for one, as in many files against the standard: an
    adult must not pass for a child for want of a letter.
    """
    told = tags.get("PatientAge", "").strip().upper()
    found = _AGE.fullmatch(told)
    return None if found is None else int(found[1]) * YEARS[(found[2] or "Y")[0]]


def told_age(ds: pydicom.Dataset) -> str:
    """PatientAge as it stands; where it tells no age, what the dates tell, in the same form: full
    years ("084Y"), below two of them months ("018M"). "" where nothing tells it."""
    told = _text(ds, "PatientAge")
    if age_of({"PatientAge": told}) is not None:
        return told
    born = _date(_text(ds, "PatientBirthDate"))
    for name in DAYS if born else ():
        text = _text(ds, name)
        day = _date(text[:8] if name.endswith("Time") else text)
        months = -1 if born is None or day is None else _months(born, day)
        if 0 <= months < 12 * (OLDEST + 1):
            return f"{months // 12:03}Y" if months >= 24 else f"{months:03}M"
    return ""


def _months(born: date, day: date) -> int:
    """Full months from `born` to `day`; below 0 where that comes first."""
    return 12 * (day.year - born.year) + day.month - born.month - (day.day < born.day)


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    try:
        return None if found is None else date(*map(int, found.groups()))
    except ValueError:  # a 31st of February
        return None


def _text(ds: pydicom.Dataset, name: str) -> str:
    try:
        return str(ds.get(name) or "").strip()
    except Exception:  # a value that its own VR forbids tells nothing, and loses no film
        return ""
