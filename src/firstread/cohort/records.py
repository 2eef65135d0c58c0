"""A CSV as people keep it: of a spreadsheet in any language, with or without a mark in front."""

from __future__ import annotations

import csv
from pathlib import Path

from firstread.errors import TableError

Record = dict[str, str]


def read_records(path: Path) -> tuple[list[str], list[Record]]:
    """The columns' names as they stand there, and a dict a line. Raises `TableError`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            apart = _separator(f.readline())
            f.seek(0)
            reader = csv.DictReader(f, delimiter=apart, skipinitialspace=True)
            columns = list(reader.fieldnames or [])
            return columns, list(reader)
    except (UnicodeDecodeError, csv.Error):
        raise TableError(f"{path}: not a CSV in UTF-8; save it as one") from None


def _separator(head: str) -> str:
    """What stands between the columns: where Excel knows a decimal comma, a semicolon."""
    return max((",", ";", "\t"), key=head.count)
