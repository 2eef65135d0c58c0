"""What must hold of a split before anybody trains on it or judges by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from firstread.cohort.records import Record
from firstread.cohort.table import PARTS, Cohort
from firstread.errors import SplitError, TableError
from firstread.film.files import as_written
from firstread.plural import count

COLUMNS = ("file", "label", "part", "patient", "series", "etiology", "sha256")
SHA256 = 64
"""Characters of a film's sha256."""


def check_records(path: Path, records: Sequence[Record], cohort: Cohort) -> None:
    """Raise where the rows of the split at `path` cannot be the films of `cohort`, each once and
    in a part of `PARTS`: `TableError` where a row is cut short, else `SplitError`."""
    for record in records:
        whole = None not in [record[column] for column in COLUMNS]
        if not (whole and len(record["sha256"]) == SHA256):
            raise TableError(
                f"{path}: the row of {record['file']} is cut short; make the split anew with "
                "`firstread data split`"
            )
    there = {as_written(row.file) for row in cohort.rows}
    missing = [r["file"] for r in records if r["file"] not in there]
    if missing:
        raise SplitError(
            f"{path}: {count(len(missing), 'of its films is', 'of its films are')} not in "
            f"{cohort.root} (first: {missing[0]}); split that folder anew"
        )
    known = {*PARTS, ""}
    if odd := [r for r in records if r["part"] not in known]:
        raise SplitError(
            f"{path}: {count(len(odd), 'of its films is', 'of its films are')} in a part called "
            f"{odd[0]['part']!r} (first: {odd[0]['file']}); parts are {', '.join(PARTS)}"
        )
    twice, times = Counter(r["file"] for r in records).most_common(1)[0]
    if times > 1:
        raise SplitError(f"{path}: names {twice} {times} times; keep one of them")


def assert_disjoint(split: Cohort, told: Sequence[str] = ()) -> None:
    """Raise `SplitError` if a patient or a film's bytes are in two parts.

    `told`: the patients by another source, a name a film, "" where it has none.
    """
    groupings = [("patient", split.patients), ("film content", list(split.hashes))]
    if told:
        groupings.append(("patient, by the split's own column,", list(told)))
    for what, keys in groupings:
        seen: dict[str, str] = {}
        for key, row in zip(keys, split.rows, strict=True):
            if key and seen.setdefault(key, row.part) != row.part:
                there, here = seen[key] or "no part", row.part or "no part"
                raise SplitError(
                    f"the split leaks: one {what} is in {there} and in {here} ({row.file}); make "
                    "it with `firstread data split`"
                )


def assert_both_classes(split: Cohort) -> None:
    """Raise `SplitError` if train or val holds no films, or films of one class alone."""
    for part in ("train", "val"):
        there = {row.label for row in split.part(part).rows}
        for label, name in ((0, "normal"), (1, "pneumonia")):
            if label not in there:
                raise SplitError(
                    f"part {part} holds no {name} film; make the split with `firstread data split`"
                )
