"""The one preprocess: a golden film, properties, and the same pixels through every format."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_dicom import dicom

from firstread.film import Film, Preprocess, decode, preprocess


def golden_film(height: int = 517, width: int = 683) -> Film:
    """Waves of growing frequency with hard edges: wrong filters and offsets show."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    chirp = ((x * x // 97 + y * y // 61 + x * y // 113) % 256).astype(np.uint8)
    chirp[100:180, 200:300] = 255
    chirp[300:310, :] = 0
    return Film(chirp, width, height, "L", "PNG", 0)


def as_film(pixels: np.ndarray) -> Film:
    return Film(pixels, pixels.shape[1], pixels.shape[0], "L", "PNG", 0)


GOLDEN = {
    32: (130219, 15715.07, [26, 159, 151, 247, 127, 128, 97, 127, 128, 127, 128]),
    224: (6380327, 15890.61, [36, 66, 123, 207, 62, 0, 107, 57, 126]),
}
"""Size: sum of all grey values, sum weighted by position, some along the diagonal."""


def fingerprint(out: np.ndarray) -> tuple[int, float, list[int]]:
    place = np.arange(out.size).reshape(out.shape) % 251
    diagonal = [int(out[i, i]) for i in range(out.shape[0] // 18, out.shape[0], out.shape[0] // 9)]
    return int(out.sum()), float((out * place).mean()), diagonal


@pytest.mark.parametrize("size", GOLDEN)
def test_golden(size: int) -> None:
    total, weighted, diagonal = fingerprint(preprocess(golden_film(), Preprocess(size)))
    want_total, want_weighted, want_diagonal = GOLDEN[size]
    # Room for rounding in another Pillow: a tenth of a level on average, one level anywhere.
    assert abs(total - want_total) <= 0.1 * size * size
    assert abs(weighted - want_weighted) <= 0.1 * 125
    assert np.abs(np.subtract(diagonal, want_diagonal)).max() <= 1


def test_golden_key() -> None:
    """Bundles and caches are keyed by it: change it only together with the pixels."""
    assert Preprocess(224).key == "d9e9e715dcda"
    assert len({Preprocess(size).key for size in (32, 64, 128, 224)}) == 4


def test_by_way_of_a_larger_square_a_film_becomes_what_its_copy_of_that_size_does() -> None:
    how = Preprocess(96, through=224)
    assert (how.first, Preprocess(96).first) == (224, 96)
    film = golden_film()
    copy = as_film(preprocess(film, Preprocess(224)))
    assert (preprocess(film, how) == preprocess(copy, how)).all()
    assert (preprocess(copy, how) == preprocess(copy, Preprocess(96))).all()
    deep = as_film(film.pixels.astype(np.float32))
    assert np.abs(preprocess(deep, how).astype(int) - preprocess(film, how)).max() <= 1
    assert (preprocess(film, how) != preprocess(film, Preprocess(96))).any()


def test_a_way_through_less_than_the_size_is_none() -> None:
    assert Preprocess(224, through=96).to_dict() == {"size": 224}
    assert Preprocess(224, through=224).key == Preprocess(224).key
    assert Preprocess(96, through=224).key != Preprocess(96).key
    assert (preprocess(golden_film(), Preprocess(96, through=64)).shape) == (96, 96)


def triangle_weights(source: int, size: int) -> np.ndarray:
    """(size, source) weights of the antialiasing triangle filter, from its definition."""
    scale = max(source / size, 1.0)
    centre = (np.arange(size)[:, None] + 0.5) * source / size
    distance = np.abs(np.arange(source)[None, :] + 0.5 - centre) / scale
    weights = np.maximum(0.0, 1.0 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shape", [(517, 683), (90, 60), (224, 224), (31, 400)])
def test_agrees_with_the_triangle_filter_by_definition(shape: tuple[int, int]) -> None:
    film = golden_film(*shape)
    rows, columns = (triangle_weights(side, 64) for side in shape)
    wanted = rows @ film.pixels.astype(float) @ columns.T
    assert np.abs(preprocess(film, Preprocess(64)) - wanted).max() <= 1.01


@pytest.mark.parametrize("size", [32, 64, 128, 224, 256])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1000), (300, 200), (224, 224), (33, 31)])
def test_shape_type_and_range(size: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    pixels = rng.integers(40, 200, shape, dtype=np.uint8)
    for film in (as_film(pixels), as_film(pixels.astype(np.float32))):
        out = preprocess(film, Preprocess(size))
        assert out.shape == (size, size)
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous
        assert out.flags.writeable
        assert pixels.min() <= out.min() <= out.max() <= pixels.max()


def test_floats_and_bytes_agree_to_one_level() -> None:
    rng = np.random.default_rng(3)
    for shape, size in itertools.product([(517, 683), (90, 120), (1000, 800)], (32, 224)):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        a = preprocess(as_film(pixels), Preprocess(size)).astype(int)
        b = preprocess(as_film(pixels.astype(np.float32)), Preprocess(size)).astype(int)
        assert np.abs(a - b).max() <= 1


def test_a_constant_stays_and_a_film_of_the_size_is_untouched() -> None:
    for value in (0, 1, 127, 255):
        flat = np.full((300, 500), value, np.uint8)
        assert (preprocess(as_film(flat), Preprocess(64)) == value).all()
    film = golden_film(224, 224)
    assert (preprocess(film, Preprocess(224)) == film.pixels).all()


def test_floats_out_of_range_are_clipped() -> None:
    wild = np.array([[-50.0, 300.0]], np.float32).repeat(8, 0).repeat(4, 1)
    assert set(np.unique(preprocess(as_film(wild), Preprocess(8)))) == {0, 255}


def test_turning_the_film_turns_the_output() -> None:
    film = golden_film()
    out = preprocess(film, Preprocess(96))
    turned = preprocess(as_film(np.ascontiguousarray(film.pixels[::-1, ::-1])), Preprocess(96))
    assert np.abs(out.astype(int) - turned[::-1, ::-1]).max() <= 1


def _files() -> dict[str, bytes]:
    grey = golden_film().pixels
    deep = grey.astype(np.uint16)

    def saved(image: Image.Image, kind: str, **how: object) -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **how)
        return out.getvalue()

    eight, sixteen = Image.fromarray(grey), Image.fromarray(deep * 257)
    return {
        "png": saved(eight, "PNG"),
        "png rgb": saved(eight.convert("RGB"), "PNG"),
        "png 16": saved(sixteen, "PNG"),
        "tiff": saved(eight, "TIFF", compression="tiff_lzw"),
        "tiff 16": saved(sixteen, "TIFF"),
        "tiff float": saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "bmp": saved(eight, "BMP"),
        "dicom 8": dicom(grey),
        "dicom 12": dicom((deep.astype(np.uint32) * 273 // 17).astype(np.uint16), 12),
        "dicom 16": dicom(deep * 257, 16),
        "dicom window": dicom(deep + 300, 12, WindowCenter=428, WindowWidth=256),
        "dicom inverse": dicom(255 - grey, photometric="MONOCHROME1"),
    }


@pytest.mark.parametrize("name", _files())
def test_the_same_pixels_in_every_format(name: str) -> None:
    wanted = preprocess(golden_film(), Preprocess(224)).astype(int)
    out = preprocess(decode(_files()[name], 224), Preprocess(224))
    assert np.abs(out - wanted).max() <= 1


@pytest.mark.films
def test_reduced_decode_on_real_originals(films_dir: Path) -> None:
    """The reduced decode differs from the full one by little: a few films, a few levels."""
    paths = sorted((films_dir / "chest_xray_original").rglob("*.jpeg"))[::26]
    assert paths
    for path in paths:
        full = preprocess(decode(path), Preprocess(224)).astype(float)
        reduced = preprocess(decode(path, 224), Preprocess(224)).astype(float)
        assert np.abs(full - reduced).mean() < 1.0


@pytest.mark.films
def test_originals_come_close_to_their_public_copies(films_dir: Path) -> None:
    originals = sorted((films_dir / "chest_xray_original").rglob("*.jpeg"))[::26]
    for path in originals:
        copy = films_dir / "chest_xray" / "train" / path.parent.name / path.name
        a = preprocess(decode(path, 224), Preprocess(224)).astype(float)
        b = preprocess(decode(copy, 224), Preprocess(224)).astype(float)
        assert np.abs(a - b).mean() < 3.0


@pytest.mark.films
def test_the_public_copies_are_our_pixels_stored_as_jpeg(films_dir: Path) -> None:
    """Squashed here and saved at quality 75, an original is its copy (another libjpeg: nearly)."""
    originals = sorted((films_dir / "chest_xray_original").rglob("*.jpeg"))[::26]
    for path in originals:
        copy = decode(films_dir / "chest_xray" / "train" / path.parent.name / path.name).pixels
        stored = io.BytesIO()
        Image.fromarray(preprocess(decode(path), Preprocess(224))).save(stored, "JPEG", quality=75)
        assert np.abs(decode(stored.getvalue()).pixels.astype(int) - copy).mean() < 0.2


def test_the_centre_frame_is_the_middle_square_at_the_true_aspect() -> None:
    wide = np.repeat(np.arange(64, dtype=np.uint8)[None, :], 32, axis=0)
    square = preprocess(as_film(wide), Preprocess(32, "centre"))
    assert np.array_equal(square, wide[:, 16:48])
    # The same film squashed to a square, its true size known: the same middle, a little blurred.
    squashed = Film(wide[:, ::2].copy(), 64, 32, "L", "PNG", 0)
    restored = preprocess(squashed, Preprocess(32, "centre")).astype(int)
    assert np.abs(restored - wide[:, 16:48]).max() <= 2
    assert Preprocess(32, "centre").key != Preprocess(32).key
