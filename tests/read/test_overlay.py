import io

import numpy as np
import pytest
from PIL import Image

from firstread.errors import UnreadableFilm
from firstread.film import decode
from firstread.read.overlay import (
    film_png,
    overlay_at_aspect,
    overlay_png,
    place,
    strength,
    where,
)


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_only_positive_evidence_is_painted() -> None:
    pixels = np.full((48, 48), 100, np.uint8)
    heat = np.zeros((6, 6), np.float32)
    heat[1, 1], heat[4, 4] = 2.0, -2.0
    out = opened(overlay_png(pixels, heat)).astype(int)
    assert out.shape == (48, 48, 3)
    assert (out[32:, 32:] == 100).all()
    at = out[12, 12]
    assert at[0] > at[2]
    assert (at != 100).any()


@pytest.mark.parametrize("heat", [np.zeros((6, 6)), -np.ones((6, 6)), np.full((1, 1), np.nan)])
def test_nothing_for_pneumonia_leaves_the_film_alone(heat: np.ndarray) -> None:
    pixels = np.arange(32 * 32, dtype=np.uint32).reshape(32, 32).astype(np.uint8)
    out = opened(overlay_png(pixels, heat.astype(np.float32)))
    assert (out == pixels[..., None]).all()
    assert "No part" in where(heat.astype(np.float32))


def test_an_overlay_is_no_film_and_the_film_alone_is_one() -> None:
    pixels, heat = np.full((48, 48), 100, np.uint8), np.ones((6, 6), np.float32)
    for png in (overlay_png(pixels, heat), overlay_at_aspect(pixels, heat, None, 1.3)):
        with pytest.raises(UnreadableFilm, match="a result of firstread"):
            decode(png)
    assert (decode(film_png(pixels)).pixels == 100).all()


def test_weak_evidence_stays_faint_beside_strong_counter_evidence() -> None:
    heat = np.full((6, 6), -5.0, np.float32)
    heat[2, 2] = 0.5
    assert strength(heat, 60).max() <= 0.1
    assert strength(-heat, 60).max() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0, 0, ("upper", "patient's right")),
        (5, 5, ("lower", "patient's left")),
        (3, 2, ("middle", "near the midline")),
        (2, 4, ("middle", "patient's left")),
    ],
)
def test_the_place_in_words_is_the_patients(row: int, column: int, words: tuple[str, str]) -> None:
    heat = np.full((6, 6), -1.0, np.float32)
    heat[row, column] = 1.0
    if column == 2:
        heat = np.insert(heat, 3, -1.0, axis=1)
        heat[row, 2], heat[row, 3] = -1.0, 1.0
    said = where(heat)
    assert all(word in said for word in words)
    assert "looked most at" in said


def test_the_place_on_a_mirrored_film_is_the_patients_too() -> None:
    heat = np.full((6, 6), -1.0, np.float32)
    heat[4, 5] = 1.0
    assert "patient's left (right in the picture), if the film is hung as usual" in where(heat)
    told = where(heat, mirrored=True)
    assert "patient's right (right in the picture), by the orientation that the file" in told
    assert "as usual" not in told


def test_the_place_is_that_in_the_film_and_not_in_its_middle() -> None:
    """The map is of the middle third of a tall film: its upper part is the film's middle."""
    heat = np.zeros((7, 7), np.float32)
    heat[0, 3] = 1.0
    assert "upper part" in where(heat)
    assert "middle part" in where(heat, (0.0, 1 / 3, 1.0, 2 / 3))
    assert place(heat, (0.0, 1 / 3, 1.0, 2 / 3)) == pytest.approx((0.5, 1 / 3 + 1 / 42))
