"""Lookup tables of every depth, sign and packing, over pixels of every kind."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from test_dicom import RAMP, big_endian, dicom, difference

from firstread.errors import UnreadableFilm
from firstread.film import decode

EIGHT = (np.arange(4096) >> 4).astype(np.uint8)
BOTH = pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])


def item(descriptor: list[int], data: object, vr: str = "US", described: str = "US") -> Dataset:
    ds = Dataset()
    ds.ModalityLUTType = "US"
    ds.add_new("LUTDescriptor", described, descriptor)
    ds.add_new("LUTData", vr, data)
    return ds


@BOTH
@pytest.mark.parametrize(
    ("vr", "data"),
    [
        ("US", EIGHT.tolist()),
        ("OW", EIGHT.astype("<u2").tobytes()),
        ("OW", EIGHT.tobytes()),
        ("US", EIGHT.view("<u2").tolist()),
    ],
    ids=["numbers", "two bytes each", "a byte each", "numbers of two each"],
)
def test_entries_of_eight_bits_for_pixels_of_twelve(name: str, vr: str, data: object) -> None:
    film = decode(dicom(RAMP, 12, **{name: [item([4096, 0, 8], data, vr)]}))
    assert difference(film.pixels, RAMP >> 4) < 1e-3


def test_entries_of_a_byte_each_in_big_endian() -> None:
    for data in (EIGHT.tobytes(), EIGHT.astype(">u2").tobytes()):
        film = decode(big_endian(item([4096, 0, 8], data, "OW")))
        assert difference(film.pixels, RAMP >> 4) < 1e-3


@BOTH
def test_signed_pixels_over_their_whole_range(name: str) -> None:
    signed = (RAMP.astype(np.int32) * 16 - 32768).astype(np.int16)
    entries = np.arange(65536).astype("<u2").tobytes()
    lut = item([0, -32768, 16], entries, "OW", "SS")
    film = decode(dicom(signed, 16, **{name: [lut]}))
    assert difference(film.pixels, RAMP * (16 * 255 / 65535)) < 1e-3


@pytest.mark.parametrize(("first", "described"), [(-1024, "SS"), (64512, "US")])
@pytest.mark.parametrize("lowest", [0, 1100])
def test_a_negative_first_value_with_and_without_its_sign(
    first: int, described: str, lowest: int
) -> None:
    stored = np.maximum(RAMP, lowest)  # with 1100, no value is negative
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    lut = item([4096, first, 12], list(range(4096)), described=described)
    film = decode(dicom(stored, 12, VOILUTSequence=[lut], **tags))
    assert difference(film.pixels, stored * (255 / 4095)) < 1e-3


def test_a_high_first_value_stays_one() -> None:
    high = RAMP + np.uint16(60000)
    lut = item([4096, 60000, 12], list(range(4096)))
    film = decode(dicom(high, 16, VOILUTSequence=[lut]))
    assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3


def test_a_film_of_millions_of_pixels_is_one_in_all_its_bands() -> None:
    """Whether values are negative is asked of the whole film, not of the rows at hand."""
    stored = np.full((3000, 1500), 1100, np.uint16)
    stored[-1, -1] = 0
    lut = item([4096, 64512, 12], list(range(4096)))
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024}
    pixels = decode(dicom(stored, 12, VOILUTSequence=[lut], **tags)).pixels
    assert difference(pixels, stored * (255 / 4095)) < 1e-3


def test_the_range_of_entries_is_the_descriptors() -> None:
    """A table that stops at a fifth of white stays dark; one entry beyond does not darken it."""
    dim = item([4096, 0, 12], (np.arange(4096) // 5).tolist())
    film = decode(dicom(RAMP, 12, VOILUTSequence=[dim]))
    assert difference(film.pixels, (RAMP // 5) * (255 / 4095)) < 1e-3
    beyond = item([4096, 0, 12], [*range(4095), 65535])
    film = decode(dicom(RAMP, 12, VOILUTSequence=[beyond]))
    assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3


def test_a_modality_of_twelve_bits_with_and_without_a_window() -> None:
    lut = item([4096, 0, 12], list(range(4096)))
    for window in ({}, {"WindowCenter": 2048, "WindowWidth": 4096}):
        film = decode(dicom(RAMP, 12, ModalityLUTSequence=[lut], **window))
        assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3


def test_a_rescale_between_two_entries_takes_the_lower() -> None:
    lut = item([4096, 0, 12], list(range(4096)))
    tags = {"RescaleSlope": "0.5", "RescaleIntercept": 0}
    film = decode(dicom(RAMP, 12, VOILUTSequence=[lut], **tags))
    assert difference(film.pixels, (RAMP // 2) * (255 / 4095)) < 1e-3


@pytest.mark.parametrize("data", [None, [1, 2, 3]])
def test_a_table_without_its_entries_leaves_the_window(data: list[int] | None) -> None:
    broken = item([4096, 0, 12], data or [0])
    if data is None:
        del broken.LUTData
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    film = decode(dicom(RAMP, 12, VOILUTSequence=[broken], **window))
    assert difference(film.pixels, RAMP * (255 / 4095)) < 1e-3
    whole = item([4096, 0, 12], list(range(4095, -1, -1)))
    film = decode(dicom(RAMP, 12, VOILUTSequence=[broken, whole], **window))
    assert difference(film.pixels, (4095 - RAMP) * (255 / 4095)) < 1e-3
    with pytest.raises(UnreadableFilm, match="table of the modality is broken"):
        decode(dicom(RAMP, 12, ModalityLUTSequence=[broken], **window))
