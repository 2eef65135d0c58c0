"""What a column of a table holds: numbers, ages or words, and which of its cells are blank.

One `NA` makes no column of words of a column of numbers, and neither does a decimal comma.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firstread.cohort.ages import years_of

Values = list[float | str | None]

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "?", "-", "unknown"})
"""What stands in a cell whose value nobody knows, in small letters."""

NOBODY = MISSING | {"none", "nil", "missing", "<na>", "#nv", "#value!", "#ref!"}
"""The same of a patient. As a value, `none` may well be one."""


def nobody(patient: str) -> bool:
    """Whether what stands for a patient tells that nobody knows who it is."""
    return patient.strip().lower() in NOBODY


def values_of(cells: Sequence[str]) -> Values:
    """A column's cells as numbers if all that are filled are such, or ages (`45Y`, `006M`) in
    years; else as the texts. None where a cell is `MISSING`.

    >>> values_of(["1", "NA", "2,5"]), values_of(["12", "006M"]), values_of(["1", "PA", ""])
    ([1.0, None, 2.5], [12.0, 0.5], ['1', 'PA', None])
    """
    texts = [cell.strip() for cell in cells]
    filled = {text for text in texts if text.lower() not in MISSING}
    for read in (_number, years_of):
        numbers = {text: read(text) for text in filled}
        if None not in numbers.values():
            return [numbers.get(text) for text in texts]
    return [text if text in filled else None for text in texts]


def column_properties(columns: Mapping[str, Sequence[str]]) -> dict[str, Values]:
    """What to judge of each column: its values, and where it is partly blank whether it is
    filled (1) or not (0): a field that one class alone has tells the classes apart as well."""
    properties: dict[str, Values] = {}
    for name, cells in columns.items():
        values = values_of(cells)
        properties[f"column {name}"] = values
        if 0 < values.count(None) < len(values):
            filled: Values = [float(v is not None) for v in values]
            properties[f"column {name} (filled or not)"] = filled
    return properties


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        return None
