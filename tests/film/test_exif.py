"""Films whose EXIF block turns them, or is broken."""

import pytest
from PIL import Image
from test_decode import GREY, L, difference, saved, wave

from firstread.film import Preprocess, decode, preprocess


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reduce_to", [None, 100])
def test_exif_orientation(kind: str, orientation: int, reduce_to: int | None) -> None:
    """A film stored turned is shown upright, reduced or not, and its size is the upright one."""
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    upright = Image.fromarray(wave(600, 900))
    stored = upright if orientation == 1 else upright.transpose(turn[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    film = decode(saved(stored, kind, exif=exif), reduce_to)
    assert (film.width, film.height) == (900, 600)
    assert film.pixels.shape == ((600, 900) if reduce_to is None or kind != "JPEG" else (300, 450))
    plain = preprocess(decode(saved(upright, "PNG")), Preprocess(size=64))
    assert difference(preprocess(film, Preprocess(size=64)), plain) <= 2


def test_broken_exif_loses_no_film() -> None:
    data = saved(L, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\xff\xff" + b"\xff" * 40)
    assert difference(decode(data).pixels, GREY) <= 6
