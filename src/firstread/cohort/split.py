"""Patient-safe splits, written as a CSV that later steps verify.

Three ways:

- `patient`: a random fraction of the patients, stratified by etiology;
- `blocks`: of each series the k-th contiguous block of patient numbers. The official test
  of the Guangzhou set is made of such blocks (it looks like another batch), so this is
  the validation that comes nearest to it; a random split is nearly blind to the shift;
- `series`: the normal films of one series against those of the other, and beside them the
  lower half of the numbers of every other series against the upper half. A hard shift, for
  choosing between recipes and never for a model that ships: it sees half of the films.

Before any of these a part `test` can be kept apart, for one look at the end: the first block of
each series, where `val` is taken from the last, or a random fraction of the patients.

Patients who share a byte-identical film are kept together, and the official `val` folder
(16 films) and `test` folder are never split: they are left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from firstread.cohort.columns import nobody
from firstread.cohort.duplicates import Joined
from firstread.cohort.records import read_records
from firstread.cohort.split_checks import COLUMNS, assert_disjoint, check_records
from firstread.cohort.table import Cohort, FilmRow, by_name
from firstread.cohort.tags import crowded
from firstread.errors import FirstreadError, FolderNotFound, NoFilms, SplitError, TableError
from firstread.film.files import as_written, csv_text, write_changed
from firstread.progress import Progress

WAYS = ("blocks", "patient", "series")
_BEYOND = "block {} is beyond the first; use a smaller number"

Stratum = TypeVar("Stratum", bound=Hashable)
Order = tuple[int, tuple[tuple[int, str], ...], str]
"""Sorts patients: by number, then `P9` before `P10`."""


@dataclass(frozen=True)
class SplitPlan:
    """How to split. `fraction` of the patients goes to "val"; `block` counts from the end.

    By "series" `fraction` has no say, and `block` is 0 or 1: which of the two halves is "val".
    `test`: the fraction of the patients that is kept apart first, at random by "patient", else
    the first of each series. What is split is the rest, as if there were no others.
    """

    by: str = "blocks"
    fraction: float = 0.125
    block: int = 0
    seed: int = 0
    test: float = 0.0


def trainable(cohort: Cohort) -> Cohort:
    """The films that may be trained and validated on: `train`, or all if there are no parts."""
    parts = {r.part for r in cohort.rows}
    if parts <= {""}:
        return cohort
    kept = cohort.part("train")
    if not kept.rows:
        raise NoFilms(f"{cohort.root}: no `train` part (has {', '.join(sorted(parts))})")
    return kept


def make_split(cohort: Cohort, plan: SplitPlan, progress: Progress | None = None) -> Cohort:
    """The cohort's trainable films, each with its part: "train" or "val", or "test" if asked for.

    `progress` is called with (done, all) where they have yet to be hashed. Raises `SplitError`
    where a film is named twice, or a part would be empty or hold one class only.
    """
    films = trainable(cohort)
    if plan.by not in WAYS:
        raise SplitError(f"split by {plan.by!r} is not known; use {', '.join(WAYS)}")
    if not 0.0 < plan.fraction < 1.0:
        raise SplitError(f"fraction {plan.fraction} must lie between 0 and 1")
    if not 0.0 <= plan.test < 1.0:
        raise SplitError(f"a test fraction of {plan.test} must lie between 0 and 1")
    for twice, times in Counter(r.file for r in films.rows).most_common(1):
        if times > 1:
            raise SplitError(f"{films.root}: {twice} is named {times} times; keep one of them")
    films.read_hashes(progress)
    parts = ["train"] * len(films)
    groups = _groups(films)
    draws = {"test": _kept_apart, "val": _validating} if plan.test else {"val": _validating}
    for part, draw in draws.items():
        left = [i for i, there in enumerate(parts) if there == "train"]
        if part == "val" and plan.test and {films.rows[i].label for i in left} != {0, 1}:
            raise SplitError(
                f"a test fraction of {plan.test} leaves no films of one class to train on; use a "
                "smaller one"
            )
        held = draw(films.subset(left), plan, [groups[i] for i in left])
        # A group is held out whole as soon as one of its films is.
        whole = {groups[left[i]] for i in held}
        parts = [part if g in whole else there for g, there in zip(groups, parts, strict=True)]
    split = films.retold([replace(r, part=p) for r, p in zip(films.rows, parts, strict=True)])
    for part in sorted(set(parts) | {"train", "val"}):
        if {r.label for r in split.part(part).rows} != {0, 1}:
            raise SplitError(f"part {part} would not hold both classes; {_remedy(films)}")
    return split


def _kept_apart(films: Cohort, plan: SplitPlan, groups: list[int]) -> list[int]:
    plan = replace(plan, fraction=plan.test)
    if plan.by == "patient":
        return _random(films, plan, groups)
    return _blocks(films, plan, first=True)


def _validating(films: Cohort, plan: SplitPlan, groups: list[int]) -> list[int]:
    if plan.by == "patient":
        return _random(films, plan, groups)
    return _blocks(films, plan) if plan.by == "blocks" else _series(films, plan)


def unknown_patients(films: Cohort) -> str | None:
    """What a split of these films cannot promise, in a line; None where all patients are known."""
    alone = sum(row.is_alone for row in films.rows)
    if not alone:
        return None
    return (
        f"the patient of {alone:,} of {len(films):,} films is not known, so that each counts as "
        "one of its own: one patient's films may be on both sides; name patients in a column "
        "`patient` of a CSV"
    )


def _remedy(films: Cohort) -> str:
    if crowd := crowded(films.patients):
        return (
            f"one PatientID stands in {crowd[0]} of {crowd[1]} files: if that is no person, give "
            "a CSV with a column `patient`"
        )
    if len(set(films.patients)) == 1:
        return (
            "all films are of one patient: give films of more, or where they are, each its own in "
            "the column `patient`"
        )
    return "give more films or another fraction"


def _groups(films: Cohort) -> list[int]:
    """A group number a film: one patient, or patients joined by a byte-identical film."""
    joined = Joined(len(films))
    for keys in (films.patients, films.hashes):
        first: dict[str, int] = {}
        of = [first.setdefault(key, i) for i, key in enumerate(keys)]
        joined.link(np.arange(len(films)), np.array(of, np.int64))
    return joined.names.tolist()


def _stratum(row: FilmRow) -> str:
    return row.series or f"label-{row.label}"


def _by_number(films: Cohort) -> dict[str, dict[Order, list[int]]]:
    """Of each series the films of each patient, under a key that sorts by patient number."""
    patients: dict[str, dict[Order, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, r in enumerate(films.rows):
        number = r.number if r.number is not None else 0
        pieces = tuple(
            (int(digits), text) if digits else (-1, text)
            for digits, text in re.findall(r"([0-9]+)|([^0-9]+)", r.patient)
        )
        patients[_stratum(r)][number, pieces, r.patient].append(i)
    return patients


def _series(films: Cohort, plan: SplitPlan) -> list[int]:
    normal = sorted({_stratum(r) for r in films.rows if r.label == 0})
    if len(normal) != 2:
        raise SplitError(
            f"a split by series wants normal films of two series, not {len(normal)} "
            f"({', '.join(normal) or 'none'}); use `blocks` or `patient`"
        )
    if plan.block not in (0, 1):
        raise SplitError(f"block {plan.block} of a split by series; use 0 or 1")
    held: list[int] = []
    for name, members in _by_number(films).items():
        ordered = sorted(members)
        half = len(ordered) // 2
        if name in normal:
            chosen = ordered if name == normal[1 - plan.block] else []
        else:
            chosen = ordered[:half] if plan.block else ordered[half:]
        held += [i for key in chosen for i in members[key]]
    return held


def _blocks(films: Cohort, plan: SplitPlan, first: bool = False) -> list[int]:
    strata = _by_number(films)
    labels = {name: {films.rows[i].label for of in m.values() for i in of}
              for name, m in strata.items()}  # fmt: skip
    lone = _lone({name: len(m) for name, m in strata.items()}, labels)
    held: list[int] = []
    for name, members in strata.items():
        if name in lone:
            continue
        ordered = sorted(members)
        size = max(1, round(len(ordered) * plan.fraction))
        stop = size if first else len(ordered) - plan.block * size
        # Of fewer patients than there are blocks, a patient each; the other blocks have none.
        if stop <= 0 and len(ordered) * plan.fraction >= 1:
            raise SplitError(_BEYOND.format(plan.block))
        held += [i for key in ordered[max(0, stop - size) : max(0, stop)] for i in members[key]]
    if not held:
        raise SplitError(_BEYOND.format(plan.block))
    return held


def _lone(patients: dict[Stratum, int], labels: dict[Stratum, set[int | None]]) -> set[Stratum]:
    """Strata of one patient, of a class that a larger stratum has too: a film with a name of its
    own, say. They cannot stand on both sides, and would be held out by every draw."""
    larger = [labels[name] for name, n in patients.items() if n > 1]
    common = set[int | None]().union(*larger)
    return {name for name, n in patients.items() if n == 1 and labels[name] <= common}


def _random(films: Cohort, plan: SplitPlan, groups: list[int]) -> list[int]:
    """Films of a random fraction of the groups of each stratum.

    A group whose films are of several etiologies is of a stratum with its like: were it drawn
    once for each of them, far more than the fraction would be held out.
    """
    members: dict[int, list[int]] = defaultdict(list)
    kinds: dict[int, set[str]] = defaultdict(set)
    for i, r in enumerate(films.rows):
        members[groups[i]].append(i)
        kinds[groups[i]].add(r.etiology or f"label-{r.label}")
    strata: dict[tuple[str, ...], list[int]] = defaultdict(list)
    labels: dict[tuple[str, ...], set[int | None]] = defaultdict(set)
    for group, of in kinds.items():
        stratum = tuple(sorted(of))
        strata[stratum].append(group)
        labels[stratum] |= {films.rows[i].label for i in members[group]}
    lone = _lone({stratum: len(of) for stratum, of in strata.items()}, labels)
    rng = np.random.default_rng(plan.seed)
    held: list[int] = []
    for stratum in sorted(strata):
        order = rng.permutation(sorted(strata[stratum]))
        # Only a stratum of one kind has to be on both sides.
        least = 1 if len(stratum) == 1 and stratum not in lone else 0
        size = max(least, round(len(order) * plan.fraction))
        held += [i for g in order[:size] for i in members[int(g)]]
    return held


def save_split(split: Cohort, path: Path) -> None:
    """Write a split as CSV: file, label, part, patient, series, etiology, sha256.

    A name that is no UTF-8 stands there `as_written`, and `load_split` finds its film by that. A
    file that says just that already is left alone.
    """
    rows = (
        (r.file, r.label, r.part, r.patient, r.series, r.etiology, sha)
        for r, sha in zip(split.rows, split.hashes, strict=True)
    )
    write_changed(path, csv_text(COLUMNS, rows))


def load_split(path: Path, cohort: Cohort, progress: Progress | None = None) -> Cohort:
    """Apply a saved split to a cohort and verify it.

    Every film of the split must be in the cohort with the same bytes and label, once and in a part
    of `PARTS`, and no patient and no bytes may be on both sides; raises `SplitError` otherwise.
    Patients whom the cohort knows by no more than a film's name are those of the split. Where it
    names others than the split does, neither of the two groupings may have one on both sides.
    `progress`: as for `make_split`.
    """
    if not path.is_file():
        raise FolderNotFound(f"{path}: no such split; make one with `firstread data split`")
    _, records = read_records(path)
    if not records or not set(COLUMNS) <= set(records[0]):
        raise TableError(f"{path}: not a split; make one with `firstread data split`")
    check_records(path, records, cohort)
    by_file = {as_written(r.file): i for i, r in enumerate(cohort.rows)}
    films = cohort.subset(by_file[r["file"]] for r in records)
    for record, row, sha in zip(records, films.rows, films.read_hashes(progress), strict=True):
        if record["sha256"] != sha:
            raise SplitError(f"{path}: {row.file} is not the film it was; split anew")
        if record["label"] != str(row.label):
            raise SplitError(f"{path}: {row.file} has not the label it had; split anew")
    split = films.retold(list(map(_as_split, films.rows, records)))
    told = [r["patient"] for r in records]
    assert_disjoint(split, ["" if nobody(name) else name for name in told])
    return split


def split_of(
    films: Cohort, given: Path | None, out: Path, progress: Progress | None = None
) -> Cohort:
    """The split to train on: the one that is `given`, else that of the run which `out` holds, if it
    is of these films, else the default one. A run is the same by whatever rule it was split.

    `progress`, and what is raised: as for `load_split` and `make_split`; `TableError` also where
    the split that `out` holds is damaged.
    """
    if given:
        return load_split(given, films, progress)
    kept = out / "split.csv"
    if kept.is_file():
        try:
            split = load_split(kept, films, progress)
        except TableError:
            raise TableError(damaged(kept)) from None
        except FirstreadError:  # of other films: told by what the run is known by
            return make_split(films, SplitPlan(), progress)
        if len(split) == len(trainable(films)):
            return split
    return make_split(films, SplitPlan(), progress)


def damaged(kept: Path) -> str:
    """What to say of a run's split that is not what was written there."""
    return (
        f"{kept}: damaged; delete it, and where the run was begun with --split, give that split "
        "again"
    )


def _as_split(row: FilmRow, record: dict[str, str]) -> FilmRow:
    """The row in its part; who the patient is stands in the split too, where only a name tells."""
    patient = record["patient"]
    if nobody(patient) or patient == as_written(row.patient) or not by_name(row):
        patient = row.patient
    return replace(row, part=record["part"], patient=patient)
