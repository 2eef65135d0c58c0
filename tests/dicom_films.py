"""Synthetic films as DICOM files: a drawn chest in a DX object, changed as asked."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from firstread.cohort.synthetic import draw_film

DX = "1.2.840.10008.5.1.4.1.1.1.1"
NAME, ID = "Müller^Jürgen=李^明", "HOSP-4711"


def dicom_film(seed: int = 0, size: int = 96, **changes: Any) -> bytes:
    """A film's file; `changes` set attributes by keyword, None takes one away."""
    ds = pydicom.Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = DX, f"1.2.826.0.1.3680043.8.498.{1000 + seed}"
    ds.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.7"
    ds.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.8"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "AP"
    ds.PatientName, ds.PatientID, ds.PatientSex = NAME, ID, "F"
    ds.PatientBirthDate, ds.PatientAge = "20210304", "004Y"
    ds.StudyDate, ds.StudyTime, ds.ContentDate = "20250601", "101500", "20250602"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "A1", "S1", "Weiß^Anna"
    ds.InstanceNumber = 3
    pixels = draw_film(np.random.default_rng(seed), True, size)[: size * 3 // 4]
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = pixels.tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = DX
    ds.file_meta.MediaStorageSOPInstanceUID = str(changes.get("SOPInstanceUID") or "1.2.3.4")
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()
