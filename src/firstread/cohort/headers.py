"""The names of a table's columns, as its maker writes them and as we know them.

A column of patients that is passed over for its spelling puts one patient on both sides of a
split: NIH writes `Patient ID`, RSNA `patientId`, DICOM `PatientID`, and R makes it `Patient.ID`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from firstread.errors import TableError

KNOWN = {
    *("file", "label", "patient", "patient_id", "part", "split", "age"),
    *("original_width", "original_height"),
}
"""Columns that mean something to us."""

_BARE = {name.replace("_", ""): name for name in KNOWN}

_ELSE = {"patientage": "age"}
"""What a column is where the table has none of that name: NIH and DICOM write `Patient Age`."""


def as_known(table: Path, names: Iterable[str]) -> list[str]:
    """The columns' names, those of `KNOWN` as they stand there, the others stripped.

    Capitals, spaces and signs count for nothing, unless the table has the column as it is known
    too. Raises `TableError` where two columns are then the same one.

    >>> as_known(Path("t.csv"), ["File ", "Patient ID", "Patient Age", "View Position"])
    ['file', 'patient_id', 'age', 'View Position']
    """
    stripped = [name.strip() for name in names]
    exact = KNOWN & set(stripped)
    columns = [_known(name, exact) for name in stripped]
    for i, name in enumerate(stripped):
        meant = _ELSE.get(_bare(name), "")
        columns[i] = meant if meant and meant not in columns else columns[i]
    for name in KNOWN:
        if columns.count(name) > 1:
            raise TableError(f"{table}: has the column `{name}` twice; rename one of them")
    return columns


def spelt(asked: str, columns: Collection[str]) -> str:
    """What a column that is `asked` for is called among `columns`, however their table spells it.

    >>> spelt("Patient ID", ["patient_id", "view"]), spelt("View", ["view"])
    ('patient_id', 'View')
    """
    meant = _BARE.get(_bare(asked)) or _ELSE.get(_bare(asked), asked)
    return meant if asked not in columns and meant in columns else asked


def _known(name: str, exact: set[str]) -> str:
    meant = _BARE.get(_bare(name), name)
    return name if meant in exact else meant


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
