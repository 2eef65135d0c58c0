"""What the files betray without a look at the lungs.

In the Guangzhou set the size of the original film alone nearly tells the label (AUC 0.94),
since the classes were collected differently. A model's figures mean something only beside
these, so each of them is one number a film, and its AUC stands next to the model's.
"""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.hashes import sha256_if_readable
from firstread.cohort.table import Cohort
from firstread.evaluate.calibration import Floats
from firstread.evaluate.intervals import Estimate, Sampler, json_of
from firstread.evaluate.metrics import Bools
from firstread.film.ahead import of_each
from firstread.film.decode import FORMATS, looks_like_dicom, read_bytes
from firstread.film.exif import orientation
from firstread.film.heads import check_head
from firstread.film.quiet import quiet
from firstread.film.shortage import named, passed_over
from firstread.progress import Progress

Header = tuple[float, float, float, float]

FROM_TABLE = "size of the original, from the columns original_width and original_height"
FROM_FILES = "size of the files as given"
SHARPNESS = "fine detail of the film as it is read"


def headers_of(cohort: Cohort, progress: Progress | None = None) -> Floats:
    """What the files tell without their pixels, (n, 4): width, height, bytes and colour (0 or 1).

    Each file is read, which takes as long as hashing them: once for all that want it, and for the
    films' hashes too where these are not known yet. `progress` is called with (done, all).
    Raises `Shortage`.
    """
    if cohort.known_hashes is not None:
        headers = of_each(_header, cohort.paths, progress)
    else:
        told = of_each(_header_and_hash, cohort.paths, progress)
        headers = [header for header, _ in told]
        cohort.keep_readable_hashes([sha for _, sha in told])
    return np.array(headers).reshape(-1, 4)


def shortcut_numbers(cohort: Cohort, headers: Floats) -> dict[str, tuple[Floats, str]]:
    """Numbers that need no look at the pixels, (n,) each, with a note on where they are from.

    "aspect" (width / height), "area" (pixels), "bytes" (file size), "colour" (1 if not stored
    grey). The size is the original's if the table says it for most films; copies of one size
    would hide it. NaN where a film's size is not told. `headers`: of `headers_of`.
    """
    original = np.array(
        [row.true_size or (np.nan, np.nan) for row in cohort.rows], np.float64
    ).reshape(-1, 2)
    told = np.isfinite(original[:, 0])
    labels = cohort.labels == 1
    # Of each class alike: told of one class alone, it could be compared with nothing.
    known = bool(told.mean() > 0.5) and all(
        told[labels == c].any() for c in (False, True) if (labels == c).any()
    )
    width, height = original.T if known else headers[:, :2].T
    note = FROM_TABLE if known else FROM_FILES
    if known and not told.all():
        note += f"; films without, left out: {int((~told).sum())}"
    if not known and len(np.unique(headers[:, :2], axis=0)) == 1:
        note += "; all are the same, so the originals' size is not known here"
    return {
        "aspect": (width / height, note),
        "area": (width * height, note),
        "bytes": (headers[:, 2], "size of the files as given, in bytes"),
        "colour": (headers[:, 3], "1 where the file is stored in colour, else 0"),
    }


def sharpness_of(pixels: npt.NDArray[np.uint8] | None) -> float:
    """The fine detail of a film (s, s), in grey levels; NaN without one.

    Immerkaer's estimate of noise (1996, doi:10.1006/cviu.1996.0060): what a mask leaves that is
    blind to edges and slopes. A small original that was enlarged, or a detector of its own, has
    another than the films beside it.
    """
    if pixels is None or min(pixels.shape) < 3:
        return float("nan")
    rows = np.diff(pixels.astype(np.int32), 2, axis=0)
    return float(np.abs(np.diff(rows, 2, axis=1)).mean() * math.sqrt(math.pi / 2) / 6)


def _header(path: Path) -> Header:
    with named(path):
        return _told_by(path, _bytes(path))


def _header_and_hash(path: Path) -> tuple[Header, str]:
    """The header, and the hash as `sha256_if_readable` has it."""
    with named(path):
        data = _bytes(path)
        header = _told_by(path, data)
    if data is None or not path.is_file():  # too large to be kept in memory; a pipe has no hash
        return header, sha256_if_readable(path)
    return header, hashlib.sha256(data).hexdigest()


def _bytes(path: Path) -> bytes | None:
    """The bytes of a file, None where it has been rejected for want of them. Raises `Shortage`."""
    with passed_over():
        return read_bytes(path)
    return None


def _told_by(path: Path, data: bytes | None) -> Header:
    """Width, height, bytes and colour (0 or 1), without decoding a pixel."""
    width = height = size = colour = np.nan
    # A broken file has been rejected elsewhere; a hostile one meets the guards that a reader has.
    with passed_over(), quiet:
        size = float(path.stat().st_size)
        if data is None:
            pass
        elif looks_like_dicom(data):
            from firstread.film.dicom import read_dataset

            ds = read_dataset(data, header_only=True)
            width, height = float(ds.Columns), float(ds.Rows)
            colour = float(int(ds.get("SamplesPerPixel") or 1) > 1)
        else:
            from PIL import Image

            check_head(data)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = map(float, image.size)
                # A TIFF's size is turned already. Without a block Pillow decodes a PNG to seek one.
                if "exif" in image.info and orientation(image) >= 5:
                    width, height = height, width
                colour = float(image.mode in {"RGB", "RGBA", "CMYK", "YCbCr", "P", "PA"})
    return width, height, size, colour


def shortcut_aucs(
    numbers: dict[str, tuple[Floats, str]],
    truth: Bools,
    patients: tuple[str, ...],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """AUC of each number alone against `truth` (n,), the better of both directions.

    max(AUC, 1 - AUC), since it is not known beforehand whether large or small means
    pneumonia; so it is never below 0.5, and slightly above it by chance. Films without the
    number are left out.
    """
    table = []
    for name, (values, note) in numbers.items():
        has = np.isfinite(values)
        there = values[has]
        distinct = len(np.unique(there))
        estimate: Estimate | None = None
        if distinct > 1 and 0 < truth[has].sum() < has.sum():
            sampler = Sampler([p for p, h in zip(patients, has, strict=True) if h], seed)
            estimate = sampler.auc(there, truth[has])
            larger = estimate.value >= 0.5
            if not larger:
                estimate = sampler.auc(-there, truth[has])
            note_here = f"{note}; {'larger' if larger else 'smaller'} means pneumonia"
        elif has.any() and (truth[has].all() or not truth[has].any()):
            which = "with" if truth[has].all() else "without"
            note_here = f"{note}; told of films {which} pneumonia alone, which gives the class away"
        else:
            note_here = f"{note}; it does not vary, so it tells nothing"
        table.append(
            {
                "name": name,
                "auc": json_of(estimate),
                "n": int(has.sum()),
                "values": distinct,
                "note": note_here,
            }
        )
    return table
