"""What DICOM files tell of their patients where no table does: who it is, and how old.

A clinic's export names its films by number or UID, and each would be taken for a patient of its
own; the PatientID stands in the file. It never leaves it: the patient is called by a digest of it
and its issuer, the same in every command. That is a pseudonym and no secret: whoever has a list
of PatientIDs can find theirs among them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.film.age import age_of, told_age
from firstread.film.decode import FILM_SUFFIXES, looks_like_dicom, read_bytes

if TYPE_CHECKING:
    import pydicom

PICTURES = FILM_SUFFIXES - {".dcm", ".dicom"}
"""Endings of files that are not opened for a tag."""

READERS = 8
"""Files read at once: most of it is waiting for a disk or a network."""

HEAD = 2**20
"""Bytes that nearly every header ends within."""

NAMED = "dicom-"
"""What a patient's name begins with whom a file has told."""

CROWD = 20
"""Films that must tell an id, from which on one that stands in over a quarter of them is told."""


@dataclass(frozen=True)
class Told:
    """What a file tells: `patient`, a name for the patient, "" for none; `age` in years."""

    patient: str = ""
    age: float | None = None


def told_by_files(paths: Sequence[Path]) -> list[Told]:
    """What each file tells; nothing where it is no DICOM file or cannot be read.

    An id that all of several films bear tells none of them apart, and is what many tools write
    over the true one: it is taken for none.
    """
    with ThreadPoolExecutor(READERS) as pool:
        told = list(pool.map(_told, paths))
    ids = [t.patient for t in told if t.patient]
    if len(ids) > 1 and len(set(ids)) == 1:
        return [Told(age=t.age) for t in told]
    return told


def crowded(patients: Iterable[str]) -> tuple[int, int] | None:
    """(films of the one id that over a quarter of the films bear, films whose file tells an id);
    None where no id stands in so many.

    Such an id is seldom a person: a tool writes ANON, a second tool 0, and each is one "patient".
    """
    told = Counter(p for p in patients if p.startswith(NAMED))
    most, films = max(told.values(), default=0), told.total()
    return (most, films) if films >= CROWD and 4 * most > films else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _header(path: Path, head: bytes) -> pydicom.Dataset:
    """The data set before the pixels, of the beginning of the file if that holds it."""
    from firstread.film.dicom import read_dataset

    try:
        return read_dataset(head, header_only=True)
    except Exception:  # it goes on beyond, or is deflated
        if len(head) < HEAD:
            raise
        return read_dataset(read_bytes(path), header_only=True)


def _told(path: Path) -> Told:
    if path.suffix.lower() in PICTURES:
        return Told()
    from firstread.film.quiet import quiet

    try:
        if not path.is_file():  # a pipe would be waited for
            return Told()
        head = _head(path)
        if not looks_like_dicom(head):
            return Told()
        with quiet:
            ds = _header(path, head)
            # An id without its issuer is the hospital's own, one with it that of whoever gave it.
            who, issuer = (
                str(ds.get(name) or "").strip() for name in ("PatientID", "IssuerOfPatientID")
            )
            age = age_of({"PatientAge": told_age(ds)})
    except Exception:  # a broken film is reported where it is read
        return Told()
    digest = hashlib.sha256(f"{issuer}\n{who}".encode()).hexdigest()
    return Told(f"{NAMED}{digest[:16]}" if who else "", age)
