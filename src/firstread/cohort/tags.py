"""What DICOM files tell of their patients where no table does: who it is, and how old.

A clinic's export names its films by number or UID, and each would be taken for a patient of its
own; the PatientID stands in the file. It never leaves it: the patient is called by a digest of it
and its issuer, the same in every command. That is a pseudonym and no secret: whoever has a list
of PatientIDs can find theirs among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from firstread.film.age import age_of, told_age
from firstread.film.decode import looks_like_dicom, read_bytes

PICTURES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp"})
"""Endings of files that are not opened for a tag."""

READERS = 8
"""Files read at once: most of it is waiting for a disk or a network."""


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


def _told(path: Path) -> Told:
    if path.suffix.lower() in PICTURES:
        return Told()
    from firstread.film.quiet import quiet

    try:
        data = read_bytes(path)
        if not looks_like_dicom(data):
            return Told()
        from firstread.film.dicom import read_dataset

        with quiet:
            ds = read_dataset(data, header_only=True)
            # An id without its issuer is the hospital's own, one with it that of whoever gave it.
            who, issuer = (
                str(ds.get(name) or "").strip() for name in ("PatientID", "IssuerOfPatientID")
            )
            age = age_of({"PatientAge": told_age(ds)})
    except Exception:  # a broken film is reported where it is read
        return Told()
    digest = hashlib.sha256(f"{issuer}\n{who}".encode()).hexdigest()
    return Told(f"dicom-{digest[:16]}" if who else "", age)
