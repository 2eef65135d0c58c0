"""What is read of the small picture in a JPEG 2000 file is what the whole one would have given."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEG2000Lossless

from dicom_films import dicom_film
from firstread.cohort.synthetic import draw_film
from firstread.errors import UnreadableFilm
from firstread.film import Film, Preprocess, decode, preprocess

SIDE, SIZE = 512, 64
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def values(top: int = 4095, side: int = SIDE) -> npt.NDArray[np.uint16]:
    """A chest of 12 bits with grain, reaching up to `top`."""
    rng = np.random.default_rng(1)
    film = draw_film(rng, True, side) * (top / 255) + rng.normal(0, top / 500, (side, side))
    film[:4, :4] = 0, top / 2, top, top
    return np.clip(film, 0, top).astype(np.uint16)


def j2k(pixels: npt.NDArray[np.uint16], **how: Any) -> bytes:
    """Pillow writes every deep picture as one of 16 bits."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG2000", no_jp2=True, irreversible=False, **how)
    return out.getvalue()


def as_dicom(code: bytes, side: int = SIDE, syntax: str = JPEG2000Lossless, **tags: Any) -> bytes:
    depth = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    ds = pydicom.dcmread(
        io.BytesIO(dicom_film(0, 96, **({"Rows": side, "Columns": side} | depth | tags)))
    )
    ds.PixelData = encapsulate([code])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def both(file: bytes) -> tuple[Film, Film]:
    return decode(file), decode(file, reduce_to=SIZE)


def assert_alike(whole: Film, small: Film, mean: float) -> None:
    a, b = (preprocess(film, Preprocess(SIZE)).astype(int) for film in (whole, small))
    assert np.abs(a - b).mean() < mean
    assert (whole.width, whole.height, whole.n_bytes) == (small.width, small.height, small.n_bytes)
    assert (whole.mode, whole.tags) == (small.mode, small.tags)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [WINDOW, {}], ids=["window", "range"])
def test_the_small_picture_reads_as_the_whole(photometric: str, window: dict[str, Any]) -> None:
    tags = {"PhotometricInterpretation": photometric, **window}
    whole, small = both(as_dicom(j2k(values()), **tags))
    assert whole.pixels.shape == (SIDE, SIDE)
    assert small.pixels.shape == (SIDE // 4, SIDE // 4)  # twice what is asked for
    assert_alike(whole, small, 1.0)


def test_lossy_ones_too_and_no_further_than_twice_the_size() -> None:
    lossy = io.BytesIO()
    Image.fromarray(values()).save(
        lossy, "JPEG2000", no_jp2=True, irreversible=True, quality_layers=[10]
    )
    whole, small = both(as_dicom(lossy.getvalue(), syntax=JPEG2000, **WINDOW))
    assert small.pixels.shape == (SIDE // 4, SIDE // 4)
    assert_alike(whole, small, 1.0)
    assert decode(as_dicom(j2k(values()), **WINDOW), 129).pixels.shape == (SIDE, SIDE)
    assert decode(as_dicom(j2k(values()), **WINDOW), 128).pixels.shape == (SIDE // 2, SIDE // 2)


def test_eight_bits_are_decoded_whole() -> None:
    code = io.BytesIO()
    Image.fromarray((values() >> 4).astype(np.uint8)).save(code, "JPEG2000", no_jp2=True)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, **WINDOW}
    whole, small = both(as_dicom(code.getvalue(), **eight))
    np.testing.assert_array_equal(whole.pixels, small.pixels)


@pytest.mark.parametrize("side", range(512, 521))
def test_sides_that_do_not_halve(side: int) -> None:
    whole, small = both(as_dicom(j2k(values(side=side)), side, **WINDOW))
    # The last small pixel stands for up to three that are not there: 0.6 % of so small a film.
    assert small.pixels.shape[0] in {-(-side // 2), -(-side // 4)}
    assert_alike(whole, small, 2.0)


@pytest.mark.parametrize(
    ("top", "tags"),
    [
        (900, {}),  # 10 bits would do, and only all of the pixels tell
        (1100, {}),
        (4095, {"BitsStored": 16, "HighBit": 15}),
        (4095, {"PixelPaddingValue": 0, **WINDOW}),
        (4095, {"PixelRepresentation": 1, **WINDOW}),
        (
            4095,
            {
                "ShutterShape": "CIRCULAR",
                "CenterOfCircularShutter": [256, 256],
                "RadiusOfCircularShutter": 200,
                **WINDOW,
            },
        ),
    ],
    ids=["10 bits", "hardly 12 bits", "16 bits", "padding", "signed", "shutter"],
)
def test_decoded_whole_where_single_pixels_count(top: int, tags: dict[str, Any]) -> None:
    whole, small = both(as_dicom(j2k(values(top)), **tags))
    np.testing.assert_array_equal(whole.pixels, small.pixels)


def test_decoded_whole_where_the_code_has_too_few_levels() -> None:
    whole, small = both(as_dicom(j2k(values(), num_resolutions=2), **WINDOW))
    np.testing.assert_array_equal(whole.pixels, small.pixels)


def test_a_broken_code_is_told_as_without_reduction() -> None:
    code = j2k(values())[:200]
    said = []
    for reduce_to in (None, SIZE):
        with pytest.raises(UnreadableFilm) as error:
            decode(as_dicom(code, **WINDOW), reduce_to)
        said.append(str(error.value))
    assert said[0] == said[1]
