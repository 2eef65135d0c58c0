"""What is plainly no film is turned away; what may be one never is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from firstread.film import FILM_SUFFIXES, Film, decode
from firstread.film.quality import plainly_no_film


def chest(height: int = 300, width: int = 320) -> np.ndarray:
    """Two dark ovals in a bright body on black: as much of a film as these rules look for."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    body = 190 - 60 * (x**2 + y**2)
    for side in (-0.42, 0.42):
        body -= 110 * np.exp(-(((x - side) / 0.3) ** 4) - ((y / 0.6) ** 4))
    noise = np.random.default_rng(0).normal(0, 4, body.shape)
    return np.clip(np.where(np.abs(x) > 0.93, 6, body) + noise, 0, 255).astype(np.uint8)


def film_of(pixels: np.ndarray, colour: float = 0.0, **tags: str) -> Film:
    height, width = pixels.shape
    return Film(pixels, width, height, "L", "PNG", 1, colour, tags)


def test_a_chest_passes_at_every_depth_and_size() -> None:
    for size in ((300, 320), (64, 64), (600, 450), (200, 580)):
        assert plainly_no_film(film_of(chest(*size))) is None
        assert plainly_no_film(film_of(chest(*size).astype(np.float32))) is None
    assert plainly_no_film(film_of(chest() // 4 + 90)) is None  # a quarter of the contrast


def test_small_strips_blanks_and_other_modalities() -> None:
    assert "too small" in (plainly_no_film(film_of(np.zeros((1, 1), np.uint8))) or "")
    assert "too small" in (plainly_no_film(film_of(chest(31, 200))) or "")
    assert "strip" in (plainly_no_film(film_of(chest(60, 300))) or "")
    assert "blank" in (plainly_no_film(film_of(np.full((99, 99), 255, np.uint8))) or "")
    assert "CT" in (plainly_no_film(film_of(chest(), Modality="CT")) or "")
    assert plainly_no_film(film_of(chest(), Modality="CR")) is None
    dark = np.random.default_rng(1).normal(12, 1.2, (200, 200)).clip(0, 255).astype(np.uint8)
    assert "blank" in (plainly_no_film(film_of(dark)) or "")


def test_the_stored_size_counts_not_the_reduced_one() -> None:
    reduced = Film(chest(40, 300), 2400, 320, "L", "JPEG", 1)
    assert "strip" in (plainly_no_film(reduced) or "")


def test_a_page_of_text_and_a_mask() -> None:
    page = Image.new("L", (600, 800), 255)
    draw = ImageDraw.Draw(page)
    for line in range(30):
        draw.text((40, 20 + 25 * line), "the quick brown fox jumps over the lazy dog " * 2, fill=0)
    assert "two grey" in (plainly_no_film(film_of(np.asarray(page))) or "")
    mask = (chest() > 120).astype(np.uint8) * 255
    assert "two grey" in (plainly_no_film(film_of(mask)) or "")


@pytest.mark.parametrize("tint", [(1.35, 1.2, 0.94), (0.8, 0.9, 1.0), (1.0, 0.97, 0.9)])
def test_a_tinted_film_passes_and_a_photograph_does_not(
    tint: tuple[float, float, float], tmp_path: Path
) -> None:
    rgb = np.clip(chest()[..., None] * np.array(tint), 0, 255).astype(np.uint8)
    path = tmp_path / "tinted.jpg"
    Image.fromarray(rgb).save(path, quality=85)
    assert plainly_no_film(decode(path, 224)) is None
    y, x = np.mgrid[0:300, 0:320]
    hues = np.dstack([x * 0.8, np.abs(200 - y), 255 - x * 0.5]).clip(0, 255).astype(np.uint8)
    Image.fromarray(hues).save(path, quality=85)
    assert "colour" in (plainly_no_film(decode(path, 224)) or "")


@pytest.mark.films
@pytest.mark.parametrize(
    ("folder", "step"),
    [("chest_xray", 37), ("nih_adult", 9), ("negatives", 4), ("chest_xray_original", 23)],
)
def test_no_real_film_is_turned_away(films_dir: Path, folder: str, step: int) -> None:
    """Every 37th and so on, for time; all 5,830 passed when the bounds were set."""
    paths = [p for p in sorted((films_dir / folder).rglob("*")) if p.suffix in FILM_SUFFIXES]
    assert paths
    refused = {p.name: plainly_no_film(decode(p, 224)) for p in paths[::step]}
    assert not {name: why for name, why in refused.items() if why}


@pytest.mark.parametrize(("mean", "spread"), [(128, 8), (60, 4), (200, 5)])
def test_a_faint_film_of_little_contrast_is_still_a_film(mean: int, spread: int) -> None:
    pixels = np.random.default_rng(0).normal(mean, spread, (64, 64)).clip(0, 255).astype(np.uint8)
    assert plainly_no_film(Film(pixels, 64, 64, "L", "PNG", 99)) is None
