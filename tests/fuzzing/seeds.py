"""Whole films to be spoilt: one drawn chest in every form that firstread reads.

All of them name one patient who does not exist, in every attribute and comment that could hold a
name, so that a leak can be seen: `SECRETS`.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from PIL import Image, PngImagePlugin
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from firstread.cohort.synthetic import draw_film

PATIENT = {
    "PatientName": "Zyxquuth^Gwendolin",
    "PatientID": "QXZETA-778899",
    "PatientBirthDate": "20190213",
    "AccessionNumber": "ACCZETA99",
    "InstitutionName": "Klinik Wurzelbach",
    "InstitutionAddress": "Hohlweg 17 Unterpfuhl",
    "ReferringPhysicianName": "Quellwasser^Doktorin",
    "PerformingPhysicianName": "Birkenstock^Arztin",
    "OperatorsName": "Schnabelweber^Ruth",
    "StudyDescription": "Thorax Wurzelbach",
    "PatientAddress": "Gasse 4 Zipfelheim",
    "OtherPatientIDs": "OTHERZETA5",
    "StudyID": "STUZETA1",
    "DeviceSerialNumber": "SERZETA42",
}
"""Who the films are of: nobody."""

SECRETS = frozenset(
    part
    for value in PATIENT.values()
    for part in value.replace("^", " ").split()
    if len(part) >= 6 and part != "Thorax"
)
"""Words that may stand in no opinion, log or error."""

UID = "1.2.826.0.1.3680043.8.498.77001"


def chest(width: int = 84, height: int = 100) -> np.ndarray:
    """A drawn film, (height, width) uint8."""
    square = Image.fromarray(draw_film(np.random.default_rng(5), True, 112))
    return np.asarray(square.resize((width, height)))


def deep() -> np.ndarray:
    """The same at 12 bits, (height, width) uint16."""
    eight = chest().astype(np.uint16)
    return eight * 16 + eight // 16


def _saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def pictures() -> dict[str, bytes]:
    """JPEG, PNG, TIFF and BMP."""
    grey, sixteen = Image.fromarray(chest()), Image.fromarray(deep() * 16)
    colour = grey.convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, PATIENT["PatientName"]
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", PATIENT["PatientName"])
    texts.add_text("Comment", PATIENT["PatientID"] * 40, zip=True)
    icc = bytes(128) + b"profile" * 100
    return {
        "jpeg grey": _saved(grey, "JPEG", quality=90, comment=PATIENT["PatientName"]),
        "jpeg rgb": _saved(colour, "JPEG", quality=85),
        "jpeg progressive": _saved(grey, "JPEG", progressive=True),
        "jpeg restart": _saved(colour, "JPEG", restart_marker_rows=1, subsampling=2),
        "jpeg cmyk": _saved(grey.convert("CMYK"), "JPEG"),
        "jpeg turned": _saved(grey, "JPEG", exif=exif, icc_profile=icc),
        "jpeg mpo": _saved(grey, "MPO", save_all=True, append_images=[grey.resize((32, 40))]),
        "png 8": _saved(grey, "PNG", pnginfo=texts),
        "png 16": _saved(sixteen, "PNG"),
        "png 1": _saved(grey.convert("1"), "PNG"),
        "png palette": _saved(grey.convert("P"), "PNG", transparency=bytes(range(0, 250, 10))),
        "png rgba": _saved(grey.convert("RGBA"), "PNG", icc_profile=icc),
        "png animated": _saved(grey, "PNG", save_all=True, append_images=[grey.rotate(180)]),
        "tiff": _saved(grey, "TIFF", tiffinfo={270: PATIENT["PatientName"]}),
        "tiff 16 lzw": _saved(sixteen, "TIFF", compression="tiff_lzw"),
        "tiff deflate": _saved(colour, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": _saved(colour, "TIFF", compression="jpeg"),
        "tiff fax": _saved(grey.convert("1"), "TIFF", compression="group4"),
        "tiff float": _saved(Image.fromarray(chest().astype(np.float32)), "TIFF"),
        "bmp": _saved(grey, "BMP"),
        "bmp rgb": _saved(colour, "BMP"),
    }


def dataset(pixels: np.ndarray, bits: int, photometric: str = "MONOCHROME2") -> pydicom.Dataset:
    """A DX object of the patient, uncompressed, with window, LUT-free."""
    ds = pydicom.Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", f"{UID}.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{UID}.2", f"{UID}.3"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "DX", "CHEST", "AP"
    for name, value in PATIENT.items():
        setattr(ds, name, value)
    ds.PatientSex, ds.PatientAge, ds.StudyDate, ds.InstanceNumber = "F", "004Y", "20240817", 3
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def written(ds: pydicom.Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A data set's file in an uncompressed transfer syntax."""
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _big_endian() -> bytes:
    ds = dataset(deep(), 12)
    ds.PixelData = deep().byteswap().tobytes()
    return written(ds, ExplicitVRBigEndian)


def _headless() -> bytes:
    ds = dataset(deep(), 12)
    del ds.file_meta
    out = io.BytesIO()
    ds.save_as(out, implicit_vr=True, little_endian=True)
    return out.getvalue()


def _by_pillow(syntax: str, kind: str, **how: object) -> bytes:
    ds = dataset(chest(), 8)
    ds.PixelData = encapsulate([_saved(Image.fromarray(chest()), kind, **how)])
    ds["PixelData"].is_undefined_length = True
    return written(ds, syntax)


def by_gdcm(data: bytes, syntax: int) -> bytes:
    """A file in a compressed transfer syntax, by GDCM."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain.dcm"), Path(folder, "packed.dcm")
        plain.write_bytes(data)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return packed.read_bytes()


def _with_tables() -> bytes:
    """Modality LUT, VOI LUT, shutter and padding: all that the grey scale pipeline knows."""
    ds = dataset(deep(), 12, "MONOCHROME1")
    for name, top in (("ModalityLUTSequence", 1), ("VOILUTSequence", 16)):
        item = pydicom.Dataset()
        item.LUTDescriptor, item.LUTData = [4096, 0, 16], (np.arange(4096) * top).tolist()
        item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
        item.ModalityLUTType = "US"
        setattr(ds, name, [item])
    ds.ShutterShape, ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = "RECTANGULAR", 0, 5
    ds["PixelPaddingValue"].VR = ds["PixelPaddingRangeLimit"].VR = "US"
    ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = 2, 82
    ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = 2, 98
    return written(ds)


def _windowed() -> bytes:
    ds = dataset((deep().astype(np.int32) - 2048).astype(np.int16), 12)
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = [0, 10], [3000, 20], "SIGMOID"
    ds.RescaleSlope, ds.RescaleIntercept = "1.5", "-10"
    ds.ShutterShape = ["CIRCULAR", "POLYGONAL"]
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [50, 42], 45
    ds.VerticesOfThePolygonalShutter = [1, 1, 1, 84, 100, 84, 100, 1]
    return written(ds)


def _palette() -> bytes:
    ds = dataset(chest(), 8, "PALETTE COLOR")
    ramp = (np.arange(256) * 257).astype("<u2").tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        ds[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(ds, f"{colour}PaletteColorLookupTableData", ramp)
    return written(ds)


def dicoms() -> dict[str, bytes]:
    """Every transfer syntax that is read, and every way to grey."""
    plain = written(dataset(deep(), 12))
    kinds = gdcm.TransferSyntax
    two_thousand = {"irreversible": True, "quality_layers": [8], "no_jp2": True}
    return {
        "dicom explicit": plain,
        "dicom implicit": written(dataset(deep(), 12), ImplicitVRLittleEndian),
        "dicom big endian": _big_endian(),
        "dicom deflated": written(dataset(deep(), 12), DeflatedExplicitVRLittleEndian),
        "dicom headless": _headless(),
        "dicom tables": _with_tables(),
        "dicom windowed": _windowed(),
        "dicom palette": _palette(),
        "dicom rgb": written(dataset(np.repeat(chest()[..., None], 3, 2), 8, "RGB")),
        "dicom rle": by_gdcm(plain, kinds.RLELossless),
        "dicom jpeg": _by_pillow(JPEGBaseline8Bit, "JPEG", quality=90),
        "dicom jpeg lossless": by_gdcm(plain, kinds.JPEGLosslessProcess14_1),
        "dicom jpeg lossless 14": by_gdcm(plain, kinds.JPEGLosslessProcess14),
        "dicom jpeg-ls": by_gdcm(plain, kinds.JPEGLSLossless),
        "dicom jpeg-ls near": by_gdcm(written(dataset(chest(), 8)), kinds.JPEGLSNearLossless),
        "dicom jpeg 2000": by_gdcm(plain, kinds.JPEG2000Lossless),
        "dicom jpeg 2000 lossy": _by_pillow(JPEG2000, "JPEG2000", **two_thousand),
    }


def zips() -> dict[str, bytes]:
    """Films in zips, packed and not."""
    plain = written(dataset(deep(), 12))
    made = {}
    for name, method in (("packed", zipfile.ZIP_DEFLATED), ("stored", zipfile.ZIP_STORED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for inner in ("ST/IM1", "ST/film.dcm", "x.png", "readme.txt"):
                day = zipfile.ZipInfo(inner, (2024, 1, 1, 0, 0, 0))
                day.compress_type = method
                archive.writestr(day, _png() if inner == "x.png" else plain)
        made[f"zip {name}"] = out.getvalue()
    return made


@cache
def _png() -> bytes:
    return _saved(Image.fromarray(chest()), "PNG")


@cache
def all_seeds() -> dict[str, bytes]:
    """Every seed by name. A name's first word is its family."""
    return {**pictures(), **dicoms(), **zips()}
