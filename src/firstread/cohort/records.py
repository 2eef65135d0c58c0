"""A CSV as people keep it: of a spreadsheet in any language, with or without a mark in front."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from firstread.errors import TableError

if TYPE_CHECKING:
    from _csv import Reader

Record = dict[str, str]

_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
"""A first line by which Excel is told what stands between the columns."""


def read_records(path: Path) -> tuple[list[str], list[Record]]:
    """The columns' names as they stand there, and the dicts of `read_lines`; raises as it does."""
    columns, records = read_lines(path)
    return columns, [record for _, record in records]


def read_lines(path: Path) -> tuple[list[str], list[tuple[int, Record]]]:
    """The columns' names as they stand there, and of each row that is not blank the number of its
    line, from 1, with a dict of its cells; None where a row is too short.

    Raises `TableError`, which names the line, where a quote is not closed or a line has more
    cells than columns: the lines up to the next quote would be one cell, or each value stand
    under another column than its own.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            head = f.readline()
            told = _SEP.fullmatch(head)
            if not told:
                f.seek(0)
            apart = told[1] if told else _separator(head)
            reader = csv.reader(f, delimiter=apart, skipinitialspace=True, strict=True)
            rows = _rows(path, reader, 1 if told else 0)
            _, columns = next(rows, (1, []))
            lines = _without_ends(columns, list(rows))
            return columns, [(line, _record(path, line, columns, cells)) for line, cells in lines]
    except UnicodeDecodeError:
        if path.suffix.lower() == ".zip":
            raise TableError(f"{path}: is packed; unpack it and name the folder") from None
        raise TableError(f"{path}: not a CSV in UTF-8; save it as one") from None


def _rows(path: Path, reader: Reader, before: int) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of the line it starts on, from 1; `before`:
    lines that were read already. A spreadsheet leaves rows of nothing but separators."""
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise TableError(
                f'{path}: line {line} has a cell whose quotes (") do not stand at both its ends; '
                "write it without, or double those inside"
            ) from None
        if any(cell.strip() for cell in cells):
            yield line, cells


def _without_ends(
    columns: list[str], rows: list[tuple[int, list[str]]]
) -> list[tuple[int, list[str]]]:
    """The rows without the blank cell behind the separator that each of them ends in."""
    more = min((len(cells) for _, cells in rows), default=0) - len(columns)
    if more < 1 or any(cell.strip() for _, cells in rows for cell in cells[-more:]):
        return rows
    return [(line, cells[:-more]) for line, cells in rows]


def _record(path: Path, line: int, columns: list[str], cells: list[str]) -> Record:
    if len(cells) > len(columns):
        raise TableError(
            f"{path}: line {line} has {len(cells)} cells and the table {len(columns)} columns; put "
            "a cell that holds what parts them in quotes"
        )
    record: dict[str, str | None] = dict.fromkeys(columns)
    record.update(zip(columns, cells, strict=False))
    return cast("Record", record)


def _separator(head: str) -> str:
    """What stands between the columns: where Excel knows a decimal comma, a semicolon."""
    return max((",", ";", "\t"), key=head.count)
