"""How pixels are stored: bits above the lowest, what is left out, a broken stream."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from test_dicom import RAMP, dicom, difference
from test_jpeg2000 import as_dicom, j2k, values

from firstread.errors import UnreadableFilm
from firstread.film import decode

PLAIN = RAMP * (255 / 4095)
WINDOW = {"WindowCenter": 0, "WindowWidth": 4096}


def rle(data: bytes) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(data))
    ds.compress(RLELossless, encoding_plugin="pydicom")
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("above", [0, 2, 4])
@pytest.mark.parametrize("written", [bytes, rle], ids=["plain", "run-length"])
def test_values_that_lie_higher_than_the_lowest_bit(above: int, written: type) -> None:
    data = dicom((RAMP << above).astype(np.uint16) | np.uint16(above // 2), 12, HighBit=11 + above)
    assert difference(decode(written(data)).pixels, PLAIN) < 1e-3


def test_signed_values_that_lie_higher() -> None:
    signed = ((RAMP.astype(np.int32) - 2048) << 4).astype(np.int16)
    film = decode(dicom(signed, 12, HighBit=15, **WINDOW))
    low = decode(dicom(signed >> np.int16(4), 12, **WINDOW))
    assert difference(film.pixels, low.pixels) == 0


def test_a_high_bit_that_no_value_reaches_is_a_slip() -> None:
    assert difference(decode(dicom(RAMP, 12, HighBit=15)).pixels, PLAIN) < 1e-3
    assert difference(decode(dicom(RAMP, 12, HighBit=99)).pixels, PLAIN) < 1e-3


@pytest.mark.parametrize("name", ["PixelRepresentation", "BitsStored", "HighBit"])
def test_what_is_left_out_is_what_nearly_all_have(name: str) -> None:
    ds = pydicom.dcmread(io.BytesIO(dicom(RAMP, 16)))
    delattr(ds, name)
    out = io.BytesIO()
    ds.save_as(out)
    assert difference(decode(out.getvalue()).pixels, PLAIN) < 1e-3


def test_colour_without_its_order_and_names_in_lower_case() -> None:
    grey = (RAMP // 16).astype(np.uint8)
    ds = pydicom.dcmread(io.BytesIO(dicom(np.dstack([grey] * 3), photometric="RGB")))
    del ds.PlanarConfiguration
    out = io.BytesIO()
    ds.save_as(out)
    assert difference(decode(out.getvalue()).pixels, grey) < 0.01
    lower = dicom(255 - grey, photometric="MONOCHROME1").replace(b"MONOCHROME1 ", b"Monochrome1 ")
    film = decode(lower)
    assert film.mode == "MONOCHROME1"
    assert difference(film.pixels, grey) < 1e-3


def test_a_broken_stream_is_told_from_a_missing_decoder() -> None:
    code = j2k(values())
    whole = as_dicom(code)
    assert decode(whole).pixels.shape == (512, 512)
    with pytest.raises(UnreadableFilm, match="are broken; export it again, uncompressed"):
        decode(as_dicom(code[: len(code) // 8]))
    text = Path(pydicom.data.get_testdata_file("GDCMJ2K_TextGBR.dcm", download=False) or "")
    with pytest.raises(UnreadableFilm, match="are broken"):
        decode(text)
    ds = pydicom.dcmread(io.BytesIO(whole))
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
    ds.PixelData = encapsulate([code])
    out = io.BytesIO()
    ds.save_as(out)
    with pytest.raises(UnreadableFilm, match="cannot be decoded here"):
        decode(out.getvalue())
