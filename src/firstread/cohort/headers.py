"""The names of a table's columns, as its maker writes them and as we know them.

A column of patients that is passed over for its spelling puts one patient on both sides of a
split: NIH writes `Patient ID`, RSNA `patientId`, DICOM `PatientID`, and R makes it `Patient.ID`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from firstread.errors import TableError

KNOWN = {
    *("file", "label", "patient", "patient_id", "part", "split", "age"),
    *("original_width", "original_height"),
}
"""Columns that mean something to us."""

_BARE = {name.replace("_", ""): name for name in KNOWN}


def as_known(table: Path, names: Iterable[str]) -> list[str]:
    """The columns' names, those of `KNOWN` as they stand there, the others stripped.

    Capitals, spaces and signs count for nothing, unless the table has the column as it is known
    too. Raises `TableError` where two columns are then the same one.

    >>> as_known(Path("t.csv"), ["File ", "Patient ID", "View Position"])
    ['file', 'patient_id', 'View Position']
    """
    stripped = [name.strip() for name in names]
    exact = KNOWN & set(stripped)
    columns = [_known(name, exact) for name in stripped]
    for name in KNOWN:
        if columns.count(name) > 1:
            raise TableError(f"{table}: has the column `{name}` twice; rename one of them")
    return columns


def _known(name: str, exact: set[str]) -> str:
    meant = _BARE.get(re.sub(r"[\W_]+", "", name.lower()), name)
    return name if meant in exact else meant
