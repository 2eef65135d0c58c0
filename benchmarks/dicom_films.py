"""Chest films as a detector would send them: 2,048 px, 12 bits, plain or JPEG 2000."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.film import decode

SIDE = 2048
GRAIN = 6.0
"""Standard deviation of the noise, of 4,095: a codec must pay for the lowest bits, as on a
detector's own films, which an enlarged one without noise would give away for nothing."""

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def write_films(folder: Path, films: Sequence[Path], jpeg2000: bool) -> None:
    """The `films` into `folder`, enlarged where they are smaller."""
    folder.mkdir(parents=True)
    for i, film in enumerate(films):
        path = folder / f"{i:04}.dcm"
        path.write_bytes(_file(_values(film, i), i))
        if jpeg2000:
            _compress(path)


def _values(film: Path, seed: int) -> np.ndarray:
    """A film (SIDE, SIDE) uint16 of 12 bits."""
    small = Image.fromarray(decode(film).pixels.astype(np.uint8))
    large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) * 16
    grain = np.random.default_rng(seed).standard_normal((SIDE, SIDE), np.float32) * GRAIN
    return np.clip(large + grain, 0, 4095).astype(np.uint16)


def _file(values: np.ndarray, seed: int) -> bytes:
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = DX, f"1.2.826.0.1.3680043.8.498.{9000 + seed}"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "AP"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.PixelData = values.tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = DX
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _compress(path: Path) -> None:
    """Without loss, by GDCM, which keeps the 12 bits (Pillow writes 16)."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise SystemExit(f"{path.name}: GDCM cannot read it")
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEG2000Lossless))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise SystemExit(f"{path.name}: GDCM cannot compress it")
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    if not writer.Write():
        raise SystemExit(f"{path.name}: GDCM cannot write it")
