"""Who stands on both sides of a split: patients, identical films, films re-saved.

Without a split file the sides are the folders train, val and test. With one, they are its
parts, and the test folder where the split leaves it out; what the folders alone would leak
is then still told, but not held against the split.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from firstread.cohort.duplicates import Pairs
from firstread.cohort.records import read_records
from firstread.cohort.table import Cohort
from firstread.errors import FolderNotFound, SplitError, TableError
from firstread.film.files import as_written

EXAMPLES = 20
"""Patients or films named for a crossing at most."""


@dataclass(frozen=True)
class SplitFile:
    """A split as it was written: the part and the sha256 ("" if none) of each file."""

    parts: dict[str, str]
    hashes: dict[str, str]


@dataclass(frozen=True)
class Sides:
    """`side`: for each film of a cohort where it stands, None if nowhere. `judged`: whether a
    crossing counts as a leak of the split in use."""

    of: str
    side: tuple[str | None, ...]
    judged: bool


def read_split(path: Path) -> SplitFile:
    """Read a split CSV (columns file, part and, if there, sha256) without judging it.

    Raises `FolderNotFound` or `TableError`.
    """
    if not path.is_file():
        raise FolderNotFound(f"{path}: no such split; make one with `firstread data split`")
    _, records = read_records(path)
    if not records or not {"file", "part"} <= set(records[0]):
        raise TableError(
            f"{path}: needs columns file and part; make it with `firstread data split`"
        )
    parts: dict[str, str] = {}
    for record in records:
        file, part = record["file"] or "", record["part"] or ""
        if parts.setdefault(file, part) != part:
            raise SplitError(f"{path}: {file} is in {parts[file]} and in {part}; keep one of them")
    return SplitFile(parts, {r["file"]: r.get("sha256") or "" for r in records})


def check_split(cohort: Cohort, split: SplitFile, hashes: list[str | None]) -> dict[str, Any]:
    """How far `split` belongs to `cohort`, whose films have these sha256 `hashes` (n,).

    {"films": in both, "missing": named but not in the cohort, "changed": with other bytes,
    "unassigned": films of the cohort that the split leaves out}.
    """
    there = {as_written(r.file): h for r, h in zip(cohort.rows, hashes, strict=True)}
    changed = [f for f, sha in split.hashes.items() if sha and f in there and there[f] != sha]
    return {
        "films": sum(f in there for f in split.parts),
        "missing": [f for f in split.parts if f not in there],
        "changed": changed,
        "unassigned": sum(f not in split.parts for f in there),
    }


def sides_of(cohort: Cohort, split: SplitFile | None) -> list[Sides]:
    """The sides to compare: see the head of this file.

    Raises `SplitError` if no film of the split is in the cohort.
    """
    folders = tuple(r.part or None for r in cohort.rows)
    if split is None:
        return [Sides("folders", folders, judged=True)]
    if not any(as_written(r.file) in split.parts for r in cohort.rows):
        raise SplitError(
            f"{cohort.root}: none of its films is in the split; name the folder it was made from"
        )
    parts = tuple(
        split.parts.get(as_written(r.file)) or ("test folder" if r.part == "test" else None)
        for r in cohort.rows
    )
    return [Sides("split", parts, judged=True), Sides("folders", folders, judged=False)]


class NearAcross:
    """Near pairs on two `sides`: counted as they are found, a few kept as examples.

    Of each of the groups `exact` of identical films one is compared, and stands for all of them:
    it is on every side that one of them is on.
    """

    def __init__(self, sides: Sides, exact: list[list[int]]) -> None:
        self.sides = sides
        names = sorted({side for side in sides.side if side is not None})
        self._on = {name: np.array([side == name for side in sides.side]) for name in names}
        for on in self._on.values():
            for group in exact:
                on[group] = on[group].any()
        self._copies = {i: group for group in exact for i in group}
        self.counts = dict.fromkeys(combinations(names, 2), 0)
        self.examples: dict[tuple[str, str], list[tuple[int, int]]] = {b: [] for b in self.counts}

    def add(self, pairs: Pairs) -> None:
        """Count those of `pairs` (film indices) that stand on two sides."""
        for a, b in self.counts:
            there = self._on[a][pairs.first] & self._on[b][pairs.second]
            back = self._on[b][pairs.first] & self._on[a][pairs.second]
            crossed = np.flatnonzero(there | back)
            self.counts[a, b] += len(crossed)
            kept = self.examples[a, b]
            for k in crossed[: EXAMPLES - len(kept)]:
                on_first, on_second = (a, b) if there[k] else (b, a)
                first, second = int(pairs.first[k]), int(pairs.second[k])
                kept.append((self._copy(first, on_first), self._copy(second, on_second)))

    def _copy(self, film: int, side: str) -> int:
        """The film or a copy of it: one that stands on `side` itself."""
        return next(i for i in self._copies.get(film, [film]) if self.sides.side[i] == side)


def crossings(cohort: Cohort, exact: list[list[int]], near: NearAcross) -> list[dict[str, Any]]:
    """For each two of `near`'s sides how many patients, exact groups and near pairs are on both.

    `exact`: groups of film indices. One entry for every two sides, zeros too: {"of", "judged",
    "between", "patients", "exact", "near", "examples"}.
    """
    sides = near.sides
    patients: dict[str, set[str]] = defaultdict(set)
    for row, side in zip(cohort.rows, sides.side, strict=True):
        if side is not None:
            patients[side].add(row.patient)
    out = []
    for (a, b), n_near in near.counts.items():
        both = {a, b}
        shared = sorted(patients[a] & patients[b])
        groups = [g for g in exact if both <= {sides.side[i] for i in g}]
        examples = {
            "patients": shared[:EXAMPLES],
            "exact": [[cohort.rows[i].file for i in g] for g in groups[:EXAMPLES]],
            "near": [[cohort.rows[i].file for i in pair] for pair in near.examples[a, b]],
        }
        out.append(
            {
                "of": sides.of,
                "judged": sides.judged,
                "between": [a, b],
                "patients": len(shared),
                "exact": len(groups),
                "near": n_near,
                "examples": examples,
            }
        )
    return out
