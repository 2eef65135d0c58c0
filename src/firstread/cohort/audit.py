"""What is in a folder of films, and what is wrong with it.

`audit` decodes every film and returns one JSON-able dict: counts, sizes, duplicates,
patients and duplicates on both sides of a split, properties of the files that betray the
label, and `findings`, each with a severity and what to do about it.

A bad film never stops the audit; it is listed with its reason.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from firstread.cohort import leaks
from firstread.cohort.ages import why_unused
from firstread.cohort.class_names import misspelt
from firstread.cohort.columns import Values, column_properties
from firstread.cohort.findings import judge
from firstread.cohort.hashes import combined_sha256
from firstread.cohort.look import Seen, look_at_all
from firstread.cohort.sides import NearAcross, check_split, crossings, read_split, sides_of
from firstread.cohort.table import (
    CLASS_FOLDERS,
    PARTS,
    Cohort,
    FilmRow,
    folder_films,
    folder_row,
    load_cohort,
    told_apart,
)
from firstread.cohort.tags import crowded
from firstread.cohort.twins import LISTED, describe_twins, find_twins, identical
from firstread.errors import ClassFolderError, NoFilms
from firstread.film.decode import FILM_SUFFIXES
from firstread.film.files import find_films, is_junction, is_litter

UNREAD = frozenset({
    ".jfif", ".jpe", ".webp", ".gif", ".jp2", ".j2k", ".heic", ".avif", ".ima", ".img", ".nii",
    ".gz", ".mha", ".mhd", ".nrrd", ".npy", ".npz", ".pdf", ".zip", ".tar", ".rar", ".7z",
})  # fmt: skip
"""Endings that films, or archives of them, may have and that no folder is searched for."""

CLASS_NAMES = {0: "NORMAL", 1: "PNEUMONIA", None: "unlabelled"}


def load_for_audit(path: Path) -> Cohort:
    """The cohort at `path`, however untidy: as `load_cohort`, but class folders that are
    misnamed or lie deeper are left for the audit to name. Films outside any NORMAL/ and
    PNEUMONIA/ are then unlabelled. Raises `FolderNotFound`, `NoFilms` or `TableError`.
    """
    if not path.is_dir():
        return load_cohort(path, need_labels=False)
    try:
        rows = folder_films(path, need_labels=False).rows
    except ClassFolderError:
        rows = ()
    if all(r.label is None for r in rows):
        rows = tuple(_loose_row(path, film) for film in find_films([path]))
    if not rows:
        raise NoFilms(f"{path}: no film found; name the folder that holds NORMAL and PNEUMONIA")
    return Cohort(path, told_apart(rows))


def layout_problem(root: Path) -> str | None:
    """Why the other verbs would not take this folder as it is laid out, or None."""
    try:
        folder_films(root)
    except ClassFolderError as e:
        return str(e)
    return None


def _loose_row(root: Path, path: Path) -> FilmRow:
    folders = path.relative_to(root).parts[:-1]
    label = next((CLASS_FOLDERS[f] for f in reversed(folders) if f in CLASS_FOLDERS), None)
    part = next((f for f in folders if f in PARTS), "")
    return folder_row(root, path, label, part)


def audit(
    cohort: Cohort,
    split: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    walk: bool = True,
) -> dict[str, Any]:
    """Look at every film of `cohort`, and at the `split` CSV if one is given.

    Returns the report as plain types; `report["leaks_found"]` says whether a patient or a
    film is on both sides. `progress` is called with (films done, films). `walk`: the cohort
    is meant to be all of its folder (not a CSV), so that what lies beside it is named too.
    Raises `NoFilms` if no film could be read, `SplitError`, `TableError` or `FolderNotFound`
    for the split.
    """
    started = time.monotonic()
    planned = None if split is None else read_split(split)
    sides = sides_of(cohort, planned)
    seen = look_at_all(cohort.paths, progress)
    if not any(s.reason is None for s in seen):
        raise NoFilms(
            f"{cohort.root}: none of {len(seen)} films could be read (first: "
            f"{cohort.rows[0].file}: {seen[0].reason})"
        )
    exact = identical(seen)
    across = [NearAcross(s, exact) for s in sides]
    twins = find_twins(seen, exact, across)
    shas = [s.sha256 for s in seen]
    properties = _properties(cohort, seen)
    report: dict[str, Any] = {
        "format": 1,
        "root": str(cohort.root),
        "split": None if split is None else str(split),
        "films": len(cohort),
        "readable": sum(s.reason is None for s in seen),
        "data_sha256": combined_sha256(sha for sha in shas if sha is not None),
        "unreadable": _failures(cohort, [s.reason for s in seen]),
        "doubtful": _failures(cohort, [s.doubt for s in seen]),
        "counts": _counts(cohort),
        "patients": _patients(cohort),
        "ages_unused": why_unused(cohort),
        "pictures": _pictures(cohort, seen),
        "duplicates": describe_twins(cohort, twins),
        "between": [c for near in across for c in crossings(cohort, exact, near)],
        "split_check": None if planned is None else check_split(cohort, planned, shas),
        "metadata": [asdict(k) for k in leaks.find_leaks(properties, cohort.labels)],
        "not_judged": leaks.not_judged(properties, cohort.labels),
        "layout_problem": layout_problem(cohort.root) if walk else None,
        "misnamed_folders": misnamed_folders(cohort.root) if walk else [],
        "outside": _outside(cohort) if walk else [],
        "passed_over": _passed_over(cohort) if walk else None,
    }
    findings = judge(report)
    report["findings"] = [asdict(f) for f in findings]
    report["leaks_found"] = any(f.severity == "leak" for f in findings)
    report["seconds"] = round(time.monotonic() - started, 2)
    return report


def misnamed_folders(root: Path) -> list[dict[str, str]]:
    """Folders below `root` (two levels) whose name is nearly NORMAL or PNEUMONIA."""
    near = []
    for folder in sorted([*root.glob("*/"), *root.glob("*/*/")]):
        if folder.name in CLASS_FOLDERS or folder.name.startswith("."):
            continue
        if meant := misspelt(folder.name, CLASS_FOLDERS):
            near.append({"folder": folder.relative_to(root).as_posix(), "should_be": meant})
    return near


def _failures(cohort: Cohort, reasons: list[str | None]) -> list[dict[str, str]]:
    pairs = zip(cohort.rows, reasons, strict=True)
    return [{"file": row.file, "reason": reason} for row, reason in pairs if reason]


def _counts(cohort: Cohort) -> dict[str, Any]:
    def count(of: Callable[[FilmRow], str]) -> dict[str, int]:
        return dict(sorted(Counter(of(r) for r in cohort.rows).items()))

    return {
        "class": count(lambda r: CLASS_NAMES[r.label]),
        "part": count(lambda r: r.part or "-"),
        "series": count(lambda r: r.series or "-"),
        "etiology": count(lambda r: r.etiology or "-"),
        "part_class": count(lambda r: f"{r.part or '-'} {CLASS_NAMES[r.label]}"),
    }


def _patients(cohort: Cohort) -> dict[str, Any]:
    films = Counter(cohort.patients)
    per = sorted(films.values())
    lone = [r.file for r in cohort.rows if r.number is None and r.is_alone]
    return {
        "patients": len(films),
        "films_a_patient": {
            "median": float(np.median(per)),
            "mean": round(float(np.mean(per)), 2),
            "most": per[-1],
            "histogram": {str(k): v for k, v in sorted(Counter(per).items())},
        },
        "crowded": crowded(cohort.patients),
        "unknown": {"films": len(lone), "files": lone[:LISTED]},
    }


def _pictures(cohort: Cohort, seen: list[Seen]) -> dict[str, Any]:
    """Sizes, aspects, bytes and modes of the readable films, a class at a time."""
    out: dict[str, Any] = {}
    for label, name in CLASS_NAMES.items():
        pairs = zip(cohort.rows, seen, strict=True)
        films = [s for r, s in pairs if r.label == label and s.reason is None]
        if films:
            out[name] = {
                "films": len(films),
                "width": _spread([s.width for s in films]),
                "height": _spread([s.height for s in films]),
                "aspect": _spread([s.width / s.height for s in films]),
                "bytes": _spread([s.n_bytes for s in films]),
                "mode": dict(Counter(s.mode for s in films).most_common()),
                "format": dict(Counter(s.format for s in films).most_common()),
            }
    return out


def _spread(values: list[int] | list[float]) -> dict[str, float]:
    names = ("min", "p5", "median", "p95", "max")
    cuts = np.percentile(np.array(values, np.float64), (0, 5, 50, 95, 100))
    return {n: round(float(c), 3) for n, c in zip(names, cuts, strict=True)}


def _properties(cohort: Cohort, seen: list[Seen]) -> dict[str, Values]:
    def of(value: Callable[[Seen], float | str]) -> Values:
        return [value(s) if s.reason is None else None for s in seen]

    properties: dict[str, Values] = {
        "width": of(lambda s: s.width),
        "height": of(lambda s: s.height),
        "aspect": of(lambda s: s.width / s.height),
        "area": of(lambda s: s.width * s.height),
        "bytes": of(lambda s: s.n_bytes),
        "mode": of(lambda s: s.mode),
        "format": of(lambda s: s.format),
        "colour": of(lambda s: round(s.colour, 2)),
    }
    names = dict.fromkeys(k for r in cohort.rows for k in r.extra if k not in leaks.DERIVED)
    columns = {name: [r.extra.get(name, "") for r in cohort.rows] for name in names}
    return properties | column_properties(columns)


def _outside(cohort: Cohort) -> list[str]:
    """Films below a folder that lie outside its class folders, so that no verb would use them."""
    known = {p.resolve() for p in cohort.paths}
    found = find_films([cohort.root])
    return [p.relative_to(cohort.root).as_posix() for p in found if p.resolve() not in known]


def _passed_over(cohort: Cohort) -> dict[str, Any]:
    """What below a folder may hold films and is not looked into: {"links": linked folders, "lost":
    films that are links to nothing, "endings": the files of each of `UNREAD`}. A link to a class or
    a part is followed."""
    links: list[str] = []
    lost: list[str] = []
    endings: Counter[str] = Counter()
    used = {folder for path in cohort.paths for folder in path.parents}
    for folder, folders, files in os.walk(cohort.root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not is_litter(name))
        links += [
            (here / name).relative_to(cohort.root).as_posix()
            for name in folders
            if ((here / name).is_symlink() or is_junction(here / name)) and here / name not in used
        ]
        kinds = {name: Path(name).suffix.lower() for name in files if not is_litter(name)}
        endings.update(kind for kind in kinds.values() if kind in UNREAD)
        films = (here / name for name in sorted(kinds) if kinds[name] in FILM_SUFFIXES)
        lost += [p.relative_to(cohort.root).as_posix() for p in films if not p.exists()]
    return {"links": links, "lost": lost, "endings": dict(endings.most_common())}
