"""Photos of films, made with a seed from drawn and real films, against the films themselves."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from firstread.cohort.synthetic import draw_film
from firstread.film import Film, decode
from firstread.film.photo import looks_photographed


def photographed(pixels: np.ndarray, rng: np.random.Generator, colour: float) -> Film:
    """A film of grey `pixels` on a light box, seen from a little aside under uneven lamps.

    `colour`: how much of it the lamps and the sensor bring, 1 as a phone in a lit room.
    """
    film = Image.fromarray(pixels.astype(np.uint8))
    film = film.resize((film.width * 640 // max(film.size), film.height * 640 // max(film.size)))
    w, h = film.size
    wide, high = int(w * 1.2), int(h * 1.2)
    corner = rng.uniform(0, 0.1, (4, 2)) * (wide, high)
    seen = np.abs(np.array([(0, 0), (wide, 0), (wide, high), (0, high)]) - corner)
    rows, right = [], []
    for (px, py), (x, y) in zip(seen, [(0, 0), (w, 0), (w, h), (0, h)], strict=True):
        rows += [[px, py, 1, 0, 0, 0, -x * px, -x * py], [0, 0, 0, px, py, 1, -y * px, -y * py]]
        right += [x, y]
    way = tuple(np.linalg.solve(np.array(rows, float), np.array(right, float)))
    how = ((wide, high), Image.Transform.PERSPECTIVE, way, Image.Resampling.BILINEAR)
    inside = np.asarray(Image.new("L", (w, h), 255).transform(*how)) > 127
    grey = np.where(inside, 20 + 0.8 * np.asarray(film.transform(*how)), rng.uniform(150, 240))
    y, x = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    angle, side = rng.uniform(0, 2 * np.pi, 2)
    grey = grey * (1 - rng.uniform(0.1, 0.35) * (x**2 + y**2) / 2)
    grey = grey * (1 + rng.uniform(0, 0.2) * (x * np.cos(angle) + y * np.sin(angle)))
    lamps = rng.uniform(0.01, 0.04) * (x * np.cos(side) + y * np.sin(side))[..., None]
    tint = 1 + colour * (rng.uniform(-0.12, 0.12, 3) + lamps * np.array([1, 0, -1]))
    noise = rng.normal(0, 3, (high, wide, 3)) * colour + rng.normal(0, 2, (high, wide, 1))
    rgb = np.clip(grey[..., None] * tint + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    shot = Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(0.7))
    shot.save(out, "JPEG", quality=int(rng.integers(70, 93)))
    return decode(out.getvalue())


def found(films: list[np.ndarray], colour: float) -> float:
    rng = np.random.default_rng(1)
    return float(
        np.mean([looks_photographed(photographed(f, rng, colour)) is not None for f in films])
    )


def test_drawn_films() -> None:
    films = [draw_film(np.random.default_rng(i), i % 2 == 0, 224) for i in range(10)]
    assert found(films, 1.0) == 1.0
    assert found(films, 0.0) == 0.0  # in black and white there is nothing to tell it by
    for pixels in films:
        for mode in ("L", "RGB"):
            out = io.BytesIO()
            Image.fromarray(pixels).convert(mode).save(out, "JPEG", quality=80)
            assert looks_photographed(decode(out.getvalue())) is None


def test_a_tinted_scan_is_remarked_too_and_dicom_never() -> None:
    grey = draw_film(np.random.default_rng(1), True, 224).astype(np.float32)
    out = io.BytesIO()
    sepia = np.stack([grey, grey * 0.9, grey * 0.7], 2).astype(np.uint8)
    Image.fromarray(sepia).save(out, "PNG")
    film = decode(out.getvalue())
    assert "tinted scan" in (looks_photographed(film) or "")
    marked = Film(film.pixels, 224, 224, "RGB", "DICOM", 1, colour=film.colour)
    assert looks_photographed(marked) is None


def test_a_camera_that_tells_its_exposure() -> None:
    pixels = draw_film(np.random.default_rng(1), True, 224)
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    assert looks_photographed(decode(out.getvalue())) is None  # scanners name their maker too
    exif.get_ifd(0x8769)[0x829A] = 0.01
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", exif=exif)
    assert "camera" in (looks_photographed(decode(out.getvalue())) or "")


@pytest.mark.films
def test_real_films(films_dir: Path) -> None:
    paths = [
        *sorted((films_dir / "chest_xray").rglob("*.jpeg"))[::400],
        *sorted((films_dir / "nih_adult").rglob("*.*"))[::28],
    ]
    films = [decode(path, reduce_to=224) for path in paths]
    assert len(films) > 15
    assert not any(looks_photographed(film) for film in films)
    pixels = [film.pixels for film in films]
    assert found(pixels, 1.0) == 1.0
    assert found(pixels, 0.5) >= 0.9
