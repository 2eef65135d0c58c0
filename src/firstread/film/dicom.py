"""DICOM files to films: modality LUT, then VOI LUT or window, then MONOCHROME1 inversion."""

from __future__ import annotations

import io

import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from firstread.errors import FilmError, UnreadableFilm
from firstread.film.decode import Film, check_size

TAGS = ("Modality", "BodyPartExamined", "ViewPosition", "PatientAge", "PatientSex")
"""Tags a reader needs; names, ids and dates are never taken out of the file."""


def decode_dicom(data: bytes) -> Film:
    """Decode the bytes of a single-frame DICOM image. Raises `UnreadableFilm`, `FilmTooLarge`."""
    try:
        ds = pydicom.dcmread(io.BytesIO(data))
        rows, columns = int(ds.Rows), int(ds.Columns)
        if int(ds.get("NumberOfFrames") or 1) > 1:
            raise UnreadableFilm("a DICOM file of several frames; send single films")
        check_size(columns, rows)
        photometric = str(ds.PhotometricInterpretation)
        pixels = np.asarray(ds.pixel_array)
        if pixels.ndim == 3:
            grey = pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        else:
            values = apply_voi_lut(apply_modality_lut(pixels, ds), ds)
            grey = np.asarray(values, dtype=np.float32)
    except FilmError:
        raise
    except Exception as e:  # pydicom and its codecs raise nearly anything on broken bytes
        raise UnreadableFilm(
            f"the DICOM file does not decode ({type(e).__name__}); export it again, uncompressed"
        ) from None
    low, high = float(grey.min()), float(grey.max())
    if pixels.ndim == 2 and high > low:
        grey = (grey - low) * np.float32(255.0 / (high - low))
    if photometric == "MONOCHROME1":
        grey = np.float32(255.0) - grey
    tags = {name: str(ds.get(name)) for name in TAGS if ds.get(name)}
    return Film(grey, columns, rows, photometric, "DICOM", len(data), tags=tags)
