"""The duplicates of a cohort: found, grouped, counted between sides, described for a report.

Pairs of near-identical films can be as many as half the square of the films. They are counted and
joined as they are found; only the likest are kept, to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstread.cohort.duplicates import THRESHOLD, Joined, Pairs, exact_groups, near_pairs
from firstread.cohort.look import Seen
from firstread.cohort.sides import NearAcross
from firstread.cohort.table import Cohort, FilmRow

LISTED = 200
"""Entries a list in the report holds at most; the counts beside it are always whole."""


@dataclass(frozen=True)
class Twins:
    """`exact`, `near`: groups of film indices. `pairs`: how many near pairs of different contents
    there are; `likest`: at most `LISTED` of them, the likest first."""

    exact: list[list[int]]
    near: list[list[int]]
    pairs: int
    likest: Pairs


def identical(seen: Sequence[Seen]) -> list[list[int]]:
    """Groups of films, among those that could be read, with the same bytes."""
    return exact_groups([s.sha256 if s.reason is None else None for s in seen])


def find_twins(seen: Sequence[Seen], exact: list[list[int]], across: Iterable[NearAcross]) -> Twins:
    """The twins among the films `seen`, with the groups of `identical`. Each of `across` is told
    of every near pair."""
    again = {i for group in exact for i in group[1:]}
    index = [i for i, s in enumerate(seen) if s.thumbnail is not None and i not in again]
    small = np.stack([s.thumbnail for s in (seen[i] for i in index) if s.thumbnail is not None])
    of = np.array(index, np.int64)
    near, count, across = Joined(len(seen)), 0, list(across)
    likest = Pairs(of[:0], of[:0], np.empty(0, np.float32))
    for some in near_pairs(small):
        some = Pairs(of[some.first], of[some.second], some.correlation)
        near.link(some.first, some.second)
        for sides in across:
            sides.add(some)
        count += len(some)
        likest = _likest(likest, some)
    return Twins(exact, near.groups(), count, likest)


def _likest(a: Pairs, b: Pairs) -> Pairs:
    first = np.concatenate((a.first, b.first))
    second = np.concatenate((a.second, b.second))
    correlation = np.concatenate((a.correlation, b.correlation))
    best = np.argsort(-np.abs(correlation), kind="stable")[:LISTED]
    return Pairs(first[best], second[best], correlation[best])


def describe_twins(cohort: Cohort, twins: Twins) -> dict[str, Any]:
    """{"exact", "near"} as the report has them; `near.complete` tells whether all pairs are
    listed."""
    likest = twins.likest
    pairs = zip(likest.first, likest.second, likest.correlation, strict=True)
    return {
        "exact": _describe_groups(cohort, twins.exact),
        "near": {
            **_describe_groups(cohort, twins.near),
            "threshold": THRESHOLD,
            "n_pairs": twins.pairs,
            "complete": twins.pairs == len(likest),
            "pairs": [
                {
                    "files": [cohort.rows[i].file, cohort.rows[j].file],
                    "correlation": round(float(correlation), 4),
                }
                for i, j, correlation in pairs
            ],
        },
    }


def _describe_groups(cohort: Cohort, groups: list[list[int]]) -> dict[str, Any]:
    def across(of: Callable[[FilmRow], object]) -> int:
        return sum(len({of(cohort.rows[i]) for i in g}) > 1 for g in groups)

    return {
        "groups": len(groups),
        "films": sum(map(len, groups)),
        "across_classes": across(lambda r: r.label),
        "across_patients": across(lambda r: r.patient),
        "across_parts": across(lambda r: r.part),
        "list": [[cohort.rows[i].file for i in g] for g in groups[:LISTED]],
    }
