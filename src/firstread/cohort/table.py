"""A cohort: many films with their labels and patients, from a folder or a CSV.

A folder holds `NORMAL/` and `PNEUMONIA/`, or these below `train/`, `val/`, `test/`. A CSV
has at least `file` (relative to the CSV's folder, or absolute) and `label`.

Who the patient is comes from a column `patient` (or `patient_id`, `Patient ID`), else from the
PatientID of a DICOM file (`firstread.cohort.tags`), else from the file's name. In the Guangzhou set
`personN` is counted separately for bacteria and for virus, and `NORMAL2-IM-n` is another child than
`IM-n`; the patient is therefore (series, number). Films whose name says nothing are each a patient
of their own, and so are pneumonia films called as the set calls its normals, and beside such the
normals of a shared name: viewers (OsiriX, Horos) call every film they export `IM-0001-0001`.

Columns `original_width` and `original_height` tell the size of a film before it was stored at
another, squashed perhaps; preprocessing that keeps the aspect needs them.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firstread.cohort.ages import years_of
from firstread.cohort.class_names import LABEL_WORDS, stands_for
from firstread.cohort.columns import MISSING, nobody
from firstread.cohort.film_names import NORMAL, named
from firstread.cohort.hashed import HashedFilms
from firstread.cohort.headers import as_known
from firstread.cohort.records import read_lines
from firstread.cohort.tags import Told, told_by_files
from firstread.errors import ClassFolderError, FolderNotFound, NoFilms, TableError
from firstread.film.decode import FILM_SUFFIXES, read_bytes
from firstread.film.files import find_films
from firstread.plural import count
from firstread.read.card import AGES

CLASS_FOLDERS = {"NORMAL": 0, "PNEUMONIA": 1}
PARTS = ("train", "val", "test")

TAKEN_COLUMNS = {"file", "label", "patient", "part", "split"}

_PIXELS = re.compile(r"\s*(0*[1-9][0-9]{0,5})(?:\.0*)?\s*")
"""A size in a cell. With `.0` it leaves pandas, where another row of the column is blank."""


@dataclass(frozen=True)
class FilmRow:
    """One film of a cohort. `label`: 1 pneumonia, 0 normal, None not known."""

    file: str
    path: Path
    label: int | None
    patient: str
    series: str = ""
    number: int | None = None
    etiology: str = ""
    part: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a reader calls the film: its path."""
        return str(self.path)

    def read_bytes(self) -> bytes:
        """The bytes of the file. Raises `FilmError` or `FolderNotFound`."""
        return read_bytes(self.path)

    @property
    def true_size(self) -> tuple[int, int] | None:
        """Width and height in pixels before the film was stored at another size, if told."""
        told = [self.extra.get(name, "") for name in ("original_width", "original_height")]
        width, height = (_PIXELS.fullmatch(text) for text in told)
        return (int(width[1]), int(height[1])) if width and height else None

    @property
    def is_alone(self) -> bool:
        """Whether nothing tells who the patient is, so that the film counts as one of its own."""
        return self.patient == f"film-{self.file}"

    @property
    def told_age(self) -> float | None:
        """The patient's age in years, of the column `age` or the DICOM file, if it tells one."""
        return years_of(self.extra.get("age", ""))


@dataclass(frozen=True)
class Cohort(HashedFilms):
    """Films in a fixed order. `root`: the folder that `file` is relative to."""

    root: Path
    rows: tuple[FilmRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def labels(self) -> npt.NDArray[np.int8]:
        """(n,) int8: 1 pneumonia, 0 normal, -1 not known."""
        return np.array([-1 if r.label is None else r.label for r in self.rows], np.int8)

    @property
    def patients(self) -> list[str]:
        """The patient of each film."""
        return [r.patient for r in self.rows]

    @property
    def paths(self) -> list[Path]:
        """The path of each film."""
        return [r.path for r in self.rows]

    @property
    def ages(self) -> tuple[float, float] | None:
        """Years, from and to, of the patients: of the column `age`, or, where it tells nothing, of
        the public set; None where not every film tells one."""
        if not any(r.extra.get("age") for r in self.rows):
            return AGES if all(r.number is not None for r in self.rows) else None
        years = [r.told_age for r in self.rows]
        known = [math.floor(age) for age in years if age is not None]
        return (float(min(known)), float(max(known))) if len(known) == len(years) else None

    def subset(self, indices: Iterable[int]) -> Cohort:
        """The films at `indices`, in that order."""
        return self._told(self.rows, [int(i) for i in indices])

    def part(self, *names: str) -> Cohort:
        """The films of the named parts ("train", "val", "test", "")."""
        return self._told(self.rows, [i for i, r in enumerate(self.rows) if r.part in names])

    def retold(self, rows: Sequence[FilmRow]) -> Cohort:
        """The same films in the same order, with other parts or patients."""
        return self._told(rows, range(len(self.rows)))

    def _told(self, rows: Sequence[FilmRow], indices: Sequence[int]) -> Cohort:
        """Some of the films, by `rows`. Their hashes are known if ours are."""
        cohort = Cohort(self.root, tuple(rows[i] for i in indices))
        self.hand_on(cohort, indices)
        return cohort


def told_apart(rows: Iterable[FilmRow]) -> tuple[FilmRow, ...]:
    """The rows with what their DICOM files tell of patients whom only a name has told so far.

    Ages that no column tells are theirs too. Beside such films, where a viewer named films, those
    of a shared name lose what it told.
    """
    rows = _without_viewers_names(rows)
    # An id is judged by all that stand there; where a table tells every patient, none is needed.
    nameless = any(by_name(row) for row in rows)
    unread = [i for i, row in enumerate(rows) if nameless or not row.extra.get("age")]
    told = dict(zip(unread, told_by_files([rows[i].path for i in unread]), strict=True))
    told = _as_named(rows, told)
    return tuple(_as_told(row, told.get(i, Told())) for i, row in enumerate(rows))


def _as_named(rows: tuple[FilmRow, ...], told: dict[int, Told]) -> dict[int, Told]:
    """What the files of `rows` told; a patient whom the table names in another row bears that name,
    or would stand there as two. An id to which the table gives several names stays as it is."""
    names: dict[str, set[str]] = defaultdict(set)
    for i, film in told.items():
        if not by_name(rows[i]):
            names[film.patient].add(rows[i].patient)
    one = {patient: of.pop() for patient, of in names.items() if patient and len(of) == 1}
    return {
        i: replace(film, patient=one.get(film.patient, film.patient)) for i, film in told.items()
    }


def _as_told(row: FilmRow, told: Told) -> FilmRow:
    if told.age is not None and not row.extra.get("age"):
        row = replace(row, extra=row.extra | {"age": f"{told.age:g}"})
    if told.patient and by_name(row):
        row = replace(row, patient=told.patient, series="", number=None)
    return row


def by_name(row: FilmRow) -> bool:
    """Whether nothing but the film's name has told who the patient is."""
    return row.patient in (f"film-{row.file}", named(row.file, row.label)[0])


def _without_viewers_names(rows: Iterable[FilmRow]) -> tuple[FilmRow, ...]:
    """The rows; where a viewer named films, those of a shared name lose what it told.

    In the Guangzhou set only normals are called so: a pneumonia film of such a name is a viewer's,
    which calls many patients' films alike. Without one, films of one name are copies of one film,
    at another size perhaps, and stay that patient's.
    """
    rows = tuple(rows)

    def name(row: FilmRow) -> str:
        return Path(row.file).name.lower()

    named_so = [row for row in rows if NORMAL.match(name(row))]
    if not any(row.label == 1 for row in named_so):
        return rows
    bearers = Counter(name(row) for row in named_so)
    return tuple(_anonymous(row) if bearers[name(row)] > 1 else row for row in rows)


def _anonymous(row: FilmRow) -> FilmRow:
    patient = f"film-{row.file}" if by_name(row) else row.patient
    return replace(row, patient=patient, series="", number=None)


def load_cohort(path: Path, need_labels: bool = True) -> Cohort:
    """Read a cohort from a folder or a CSV.

    Raises `FolderNotFound`, `ClassFolderError`, `NoFilms` or `TableError`. With
    `need_labels` false a folder without class folders is taken as unlabelled films.
    """
    if not path.exists():
        raise FolderNotFound(f"{path}: no such folder or file; check the path")
    cohort = _from_csv(path, need_labels) if path.is_file() else folder_films(path, need_labels)
    cohort = Cohort(cohort.root, told_apart(cohort.rows))
    if not cohort.rows:
        raise NoFilms(f"{path}: no film found (looked for {', '.join(sorted(FILM_SUFFIXES))})")
    for name, label in CLASS_FOLDERS.items():
        if need_labels and not any(r.label == label for r in cohort.rows):
            raise NoFilms(f"{path}: no {name} film found; both classes are needed")
    return cohort


def folder_films(root: Path, need_labels: bool = True) -> Cohort:
    """A folder's films as their places and names alone tell them; no file is read.

    Raises `ClassFolderError`, as `load_cohort` does.
    """
    bases = [(p, root / p) for p in PARTS if (root / p).is_dir()] or [("", root)]
    beside = [name for name in CLASS_FOLDERS if bases[0][0] and (root / name).is_dir()]
    if beside:
        raise ClassFolderError(
            f"{root}: {beside[0]} lies beside the part {bases[0][0]}, and its films would be left "
            "out; move it into a part, or name a folder that holds the classes alone"
        )
    rows: list[FilmRow] = []
    for part, base in bases:
        folders = {d.name: d for d in sorted(base.iterdir()) if d.is_dir()}
        if not need_labels and not any(name in folders for name in CLASS_FOLDERS):
            rows += [folder_row(root, f, None, part) for f in find_films([base])]
            continue
        for name, label in CLASS_FOLDERS.items():
            if name not in folders:
                raise ClassFolderError(_missing_class(base, name, list(folders)))
            films = find_films([folders[name]])
            _check_inside(folders[name], films)
            rows += [folder_row(root, f, label, part) for f in films]
    return Cohort(root, tuple(rows))


def _check_inside(folder: Path, films: list[Path]) -> None:
    """Raise `ClassFolderError` where the other class or a part lies in the class folder: its films
    would have the wrong label, or those of the test be trained on."""
    for inner in sorted({film.parent for film in films}):
        for name in inner.relative_to(folder).parts:
            if name in PARTS or (name.upper() in CLASS_FOLDERS and name.upper() != folder.name):
                what = "the part" if name in PARTS else "the class"
                raise ClassFolderError(
                    f"{inner}: {what} {name} lies inside of {folder.name}; move it out: parts "
                    "hold classes, and classes films"
                )


def _missing_class(base: Path, name: str, there: list[str]) -> str:
    near = [f for f in there if f not in CLASS_FOLDERS and stands_for(f, name)]
    if near:
        return f"{base}: class folder {name} is missing; rename {near[0]} to {name}"
    found = ", ".join(t for t in there if not t.startswith(".")) or "no folder"
    return f"{base}: class folder {name} is missing (found {found}); expected NORMAL and PNEUMONIA"


def folder_row(root: Path, path: Path, label: int | None, part: str) -> FilmRow:
    """A film of a folder as its place and name alone tell it."""
    file = path.relative_to(root).as_posix()
    patient, series, number, etiology = named(file, label)
    return FilmRow(file, path, label, patient, series, number, etiology, part)


def _from_csv(path: Path, need_labels: bool) -> Cohort:
    written, records = read_lines(path)
    columns = as_known(path, written)
    if "file" not in columns:
        raise TableError(f"{path}: no column `file` (has {', '.join(columns) or 'nothing'})")
    names = list(zip(columns, written, strict=True))
    told = ((line, {new: record[old] for new, old in names}) for line, record in records)
    rows = [(line, _csv_row(path, line, record)) for line, record in told]
    bare = [(line, row.file) for line, row in rows if row.label is None]
    if need_labels and bare:
        raise TableError(
            f"{path}: {count(len(bare), 'film has', 'films have')} no label (first: line "
            f"{bare[0][0]}, {bare[0][1]}); fill the column `label`"
        )
    return Cohort(path.parent, tuple(row for _, row in rows))


def _csv_row(table: Path, line: int, record: dict[str, str]) -> FilmRow:
    def told(column: str) -> str:
        """What a cell holds; exports pad them, and `P7 ` is no other patient than `P7`."""
        return (record.get(column) or "").strip()

    file = told("file")
    if not file:
        raise TableError(f"{table}: line {line} has no `file`")
    word = told("label").lower()
    if word not in LABEL_WORDS and word not in MISSING:
        raise TableError(f"{table}: line {line}: label {word!r}; use NORMAL or PNEUMONIA")
    label = LABEL_WORDS.get(word)
    patient, series, number, etiology = named(file, label)
    known = [p for p in map(told, ("patient", "patient_id")) if not nobody(p)]
    part = told("part") or told("split")
    patient = known[0] if known else patient
    return FilmRow(
        file=file,
        path=table.parent / file,
        label=label,
        patient=patient,
        series=series,
        number=number,
        etiology=etiology,
        part=part.lower() if part.lower() in PARTS else part,
        extra={
            k: told(k) for k, v in record.items() if k not in TAKEN_COLUMNS and isinstance(v, str)
        },
    )
