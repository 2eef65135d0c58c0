"""Black and white where a file is careless: windows, rescale, padding, a dead pixel."""

import io
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from test_dicom import RAMP, dicom, difference
from test_lut import item

from firstread.errors import UnreadableFilm
from firstread.film import decode
from firstread.film.grey import range_of, used_range

PLAIN = RAMP * (255 / 4095)


def test_one_negative_pixel_leaves_the_contrast() -> None:
    signed = RAMP.astype(np.int16)
    signed[0, 0] = -1
    film = decode(dicom(signed, 16))
    assert difference(film.pixels, np.maximum(signed, 0) * (255 / 4095)) < 1e-3


def test_values_that_are_truly_signed_keep_their_range() -> None:
    assert used_range(-2048, 2047) == (-2048, 2047)
    assert used_range(-300, 2047) == (-2048, 2047)
    assert used_range(-100, 2047) == (0, 4095)
    assert used_range(-1, 0) == (-128, 127)


def test_padding_takes_no_part_in_the_range_of_a_modality_table() -> None:
    padded = np.maximum(RAMP, 1)
    padded[:, :8] = 0
    lut = item([4096, 0, 16], [65535, *range(1, 4096)])
    film = decode(dicom(padded, 12, PixelPaddingValue=0, ModalityLUTSequence=[lut]))
    assert film.pixels[:, :8].max() == 0
    assert difference(film.pixels[:, 8:], padded[:, 8:] * (255 / 4095)) < 1e-3


def test_what_a_shutter_hides_takes_no_part_in_the_range_of_floats() -> None:
    deep = (RAMP / 4095).astype(np.float32)
    deep[:10] = 3e38
    edges = ("UpperHorizontal", "LowerHorizontal", "LeftVertical", "RightVertical")
    tags = {f"Shutter{k}Edge": v for k, v in zip(edges, (10, 49, 0, 65), strict=True)}
    film = decode(floats(deep, ShutterShape="RECTANGULAR", **tags))
    assert difference(film.pixels[10:], deep[10:] * 255) < 1e-2
    assert film.pixels[:10].max() == 0


def changed(data: bytes, change: Callable[[pydicom.Dataset], object]) -> bytes:
    """The file after `change` to its data set, for what cannot be set by name."""
    ds = pydicom.dcmread(io.BytesIO(data))
    change(ds)
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def floats(deep: np.ndarray, **tags: object) -> bytes:
    """A film of floating point pixels, which has no BitsStored."""

    def change(ds: pydicom.Dataset) -> None:
        for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(ds, name)
        ds.FloatPixelData = deep.tobytes()

    return changed(dicom(deep, **tags), change)


@pytest.mark.parametrize(
    ("dtype", "stored", "value", "limit"),
    [
        (np.uint16, 63536, -2000, None),
        (np.int16, -2000, 63536, None),
        (np.int16, -1950, -2000, 63636),
        (np.uint16, 65535, -2, 0),
    ],
)
def test_padding_told_with_the_other_sign(
    dtype: type, stored: int, value: int, limit: int | None
) -> None:
    padded = np.maximum(RAMP, 1).astype(dtype)
    padded[:, :8] = stored

    def change(ds: pydicom.Dataset) -> None:
        for name, v in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
            if v is not None:
                ds.add_new(name, "SS" if v < 0 else "US", v)

    film = decode(changed(dicom(padded, 16), change))
    assert film.pixels[:, :8].max() == 0
    assert difference(film.pixels[:, 8:], padded[:, 8:] * (255 / 4095)) < 1e-3


def test_of_several_windows_the_first_usable_one_counts() -> None:
    one = decode(dicom(RAMP, 12, WindowCenter=2000, WindowWidth=1500)).pixels
    for centres, widths in ((["", 2000], ["", 1500]), ([9, 2000, 8], [0, 1500, 7])):
        film = decode(dicom(RAMP, 12, WindowCenter=centres, WindowWidth=widths))
        assert difference(film.pixels, one) == 0
    assert difference(decode(dicom(RAMP, 12, WindowCenter="", WindowWidth=9)).pixels, PLAIN) < 1e-3


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2048, "WindowWidth": 4096}], ids=str)
@pytest.mark.parametrize("rescale", [("", ""), (1, ""), ("", 0), (0, 0), (1, None)])
def test_an_empty_rescale_changes_nothing(
    window: dict[str, int], rescale: tuple[object, object]
) -> None:
    tags = dict(zip(("RescaleSlope", "RescaleIntercept"), rescale, strict=True))
    film = decode(dicom(RAMP, 12, **window, **{k: v for k, v in tags.items() if v is not None}))
    assert difference(film.pixels, PLAIN) < 1e-3


def test_a_slope_alone_inverts_with_a_window_as_without() -> None:
    for window in ({}, {"WindowCenter": -2047, "WindowWidth": 4096}):
        film = decode(dicom(RAMP, 12, RescaleSlope=-1, **window))
        assert difference(film.pixels, 255 - PLAIN) < 1e-3


def test_a_rescale_that_is_no_number_is_refused() -> None:
    whole = dicom(RAMP, 12, RescaleSlope="1.00", RescaleIntercept="0.00")
    for number, none in ((b"1.00", b"nan "), (b"0.00", b"inf ")):
        with pytest.raises(UnreadableFilm, match="makes no numbers"):
            decode(whole.replace(number, none))


def test_a_dead_pixel_below_zero_leaves_floats_their_range() -> None:
    assert range_of(-0.004, 0.9, whole=False) == (0.0, 1.0)
    assert range_of(-0.5, 0.9, whole=False) != (0.0, 1.0)
