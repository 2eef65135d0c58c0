"""Drawn chest films as a detector would send them: 2,048 px, 12 bits, plain or JPEG 2000."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.cohort.synthetic import draw_film

SIDE = 2048
GRAIN = 6.0
"""Standard deviation of the noise, of 4,095: a codec must pay for the lowest bits, as on real
films, which a drawn one without noise would give away for nothing."""

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def write_films(folder: Path, n: int, jpeg2000: bool) -> None:
    """`n` films into `folder`; every other one shows pneumonia."""
    folder.mkdir(parents=True)
    for i in range(n):
        path = folder / f"{i:04}.dcm"
        path.write_bytes(_file(_values(i), i))
        if jpeg2000:
            _compress(path)


def _values(seed: int) -> np.ndarray:
    """A film (SIDE, SIDE) uint16 of 12 bits."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(draw_film(rng, bool(seed % 2), 512))
    large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) * 16
    grain = rng.standard_normal((SIDE, SIDE), np.float32) * GRAIN
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
