"""Films at the limit of pixels, in the forms that cost most: nothing in them is broken."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import gdcm
import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

from firstread.film.guard import MOST_RLE
from fuzzing.seeds import _saved, by_gdcm, chest, dataset, written

SIDE = 8000
"""SIDE x SIDE pixels are the limit."""

Array = np.ndarray


def _eight(side: int = SIDE) -> Array:
    """A chest that large, of flat squares, so that it packs small."""
    times = -(-side // 84)
    return np.repeat(np.repeat(chest(), times, 0), times, 1)[:side, :side]


def _sixteen() -> Array:
    return _eight().astype(np.uint16) * 16


def _picture(mode: str, kind: str, **how: object) -> bytes:
    return _saved(Image.fromarray(_eight()).convert(mode), kind, **how)


def _deep_picture(kind: str, **how: object) -> bytes:
    return _saved(Image.fromarray(_sixteen()), kind, **how)


def _dicom(pixels: Array, bits: int, photometric: str = "MONOCHROME2", **tags: object) -> bytes:
    ds = dataset(pixels, bits, photometric)
    for name, value in tags.items():
        setattr(ds, name, value)
    return written(ds)


def _everything() -> bytes:
    """Signed, padded, shuttered, windowed by a sigmoid, inverted."""
    signed = (_eight().astype(np.int16) - 128) * 16
    ds = dataset(signed, 12, "MONOCHROME1")
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 0, 3000, "SIGMOID"
    ds.RescaleSlope, ds.RescaleIntercept = "1.5", "-10"
    ds.PixelPaddingValue = 0
    ds["PixelPaddingValue"].VR = "SS"
    ds.ShutterShape = ["CIRCULAR", "POLYGONAL"]
    ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = [4000, 4000], 3900
    ds.VerticesOfThePolygonalShutter = [1, 1, 1, SIDE, SIDE, SIDE, SIDE, 1]
    return written(ds)


def _tables() -> bytes:
    tags = {}
    for name in ("ModalityLUTSequence", "VOILUTSequence"):
        item = pydicom.Dataset()
        item.LUTDescriptor, item.LUTData = [4096, 0, 16], (np.arange(4096)).tolist()
        item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
        item.ModalityLUTType = "US"
        tags[name] = [item]
    return _dicom(_sixteen(), 12, **tags)


def _planes(photometric: str) -> bytes:
    grey = _eight(7900)
    ds = dataset(np.stack([grey] * 3, 2), 8, photometric)
    ds.PlanarConfiguration = 1
    ds.PixelData = np.stack([grey] * 3).tobytes()
    return written(ds)


def _deflated() -> bytes:
    plain = _dicom(_sixteen(), 12, WindowCenter=2048, WindowWidth=4096)
    start = 132 + 12 + int.from_bytes(plain[140:144], "little")
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(plain[start:]) + packer.flush()
    ds = dataset(chest(), 8)
    head = written(ds, "1.2.840.10008.1.2.1.99")
    return head[: 132 + 12 + int.from_bytes(head[140:144], "little")] + body


def _compressed(syntax: str, stream: bytes, pixels: Array, bits: int) -> bytes:
    ds = dataset(pixels, bits)
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    return written(ds, syntax)


def _rle() -> bytes:
    """Pixels one by one, each a run: as many as the limit of bytes lets through, then long runs."""
    single, all_of_them = MOST_RLE // 2 - 2**20, SIDE * SIDE
    rest = all_of_them - single
    segment = b"\x00\x10\x00\x20" * (single // 2) + b"\x81\x30" * (rest // 128)
    head = np.zeros(16, "<u4")
    head[:3] = 1, 64, 0
    ds = dataset(np.zeros((2, 2), np.uint8), 8)
    ds.Rows = ds.Columns = SIDE
    ds.PixelData = encapsulate([head.tobytes() + segment])
    ds["PixelData"].is_undefined_length = True
    return written(ds, RLELossless)


def _j2k() -> bytes:
    out = io.BytesIO()
    Image.fromarray(_sixteen()).save(out, "JPEG2000", no_jp2=True)
    return _compressed(JPEG2000Lossless, out.getvalue(), _sixteen(), 16)


def _scans() -> bytes:
    """A progressive JPEG as large as may be, with as many scans as are let through."""
    data = _picture("L", "JPEG", progressive=True, quality=30)
    at = data.rfind(b"\xff\xda")
    return data[:-2] + data[at:-2] * (99 - data.count(b"\xff\xda")) + data[-2:]


GIANTS: dict[str, Callable[[], bytes]] = {
    "png 8": lambda: _picture("L", "PNG", compress_level=1),
    "png rgb": lambda: _picture("RGB", "PNG", compress_level=1),
    "png rgba": lambda: _picture("RGBA", "PNG", compress_level=1),
    "png palette": lambda: _picture("P", "PNG", compress_level=1, transparency=bytes(256)),
    "png 16": lambda: _deep_picture("PNG", compress_level=1),
    "jpeg": lambda: _picture("L", "JPEG"),
    "jpeg cmyk": lambda: _picture("CMYK", "JPEG"),
    "jpeg scans": _scans,
    "tiff float": lambda: _saved(
        Image.fromarray(_eight().astype(np.float32)), "TIFF", compression="tiff_adobe_deflate"
    ),
    "tiff rgb": lambda: _picture("RGB", "TIFF"),
    "bmp rgb": lambda: _picture("RGB", "BMP"),
    "dicom 16": lambda: _dicom(_sixteen(), 12),
    "dicom everything": _everything,
    "dicom tables": _tables,
    "dicom rgb": lambda: _dicom(np.stack([_eight(7900)] * 3, 2), 8, "RGB"),
    "dicom rgb planes": lambda: _planes("RGB"),
    "dicom ybr": lambda: _planes("YBR_FULL"),
    "dicom 32": lambda: _dicom(_eight(7000).astype(np.uint32), 16),
    "dicom deflated": _deflated,
    "dicom rle": _rle,
    "dicom jpeg 2000": _j2k,
    "dicom jpeg-ls": lambda: by_gdcm(_dicom(_sixteen(), 12), gdcm.TransferSyntax.JPEGLSLossless),
    "dicom jpeg lossless": lambda: by_gdcm(
        _dicom(_sixteen(), 12), gdcm.TransferSyntax.JPEGLosslessProcess14_1
    ),
}
"""How to make each, by name."""
