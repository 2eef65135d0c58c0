"""Corruptions: each does what its name says, and the study counts as the reader decides."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from firstread.cohort.table import load_cohort
from firstread.errors import DataError
from firstread.evaluate import corruptions
from firstread.evaluate.corruptions import (
    FAMILIES,
    FAMILY_GROUPS,
    FULL,
    STRENGTHS,
    corrupt,
    corruption_study,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    """64 px: a bright bow on a dark ramp, with some grain."""
    y, x = np.mgrid[:64, :64]
    bow = 90.0 * np.exp(-(((x - 32) / 14.0) ** 2)) + y + rng(5).normal(0, 4, (64, 64))
    return np.clip(bow + 40, 0, 255).astype(np.uint8)


def flat(level: int, size: int = 128) -> np.ndarray:
    return np.full((size, size), level, np.uint8)


def change(film: np.ndarray, family: str, strength: int) -> float:
    made = corrupt(film, family, strength, rng(strength)).astype(float)
    return float(np.abs(made - film).mean())


def test_thirteen_of_five_each_in_one_group() -> None:
    assert len(FAMILIES) == 13
    assert {len(strengths) for strengths in FAMILIES.values()} == {STRENGTHS}
    grouped = [family for families in FAMILY_GROUPS.values() for family in families]
    assert sorted(grouped) == sorted(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_stronger_is_farther_and_nothing_else_changes(film: np.ndarray, family: str) -> None:
    before = film.copy()
    far = [change(film, family, strength) for strength in range(1, STRENGTHS + 1)]
    assert far[0] > 0
    assert far == sorted(far)
    assert (film == before).all()
    made = corrupt(film, family, 3, rng())
    assert (made.dtype, made.shape) == (np.uint8, film.shape)
    assert (made == corrupt(film, family, 3, rng())).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_only_noise_draws(film: np.ndarray, family: str) -> None:
    same = (corrupt(film, family, 5, rng(1)) == corrupt(film, family, 5, rng(2))).all()
    assert same == (family not in FAMILY_GROUPS["noise"])


@pytest.mark.parametrize(
    ("family", "level", "strength", "expected"),
    [
        ("gaussian_noise", 128, 5, 0.08),
        ("speckle_noise", 64, 5, 0.20 * 64 / 255),
        ("shot_noise", 128, 5, np.sqrt(128 / 255 / 80)),
    ],
)
def test_noise_has_its_strength_on_each_of_three_channels(
    family: str, level: int, strength: int, expected: float
) -> None:
    luma = np.sqrt(0.299**2 + 0.587**2 + 0.114**2)
    rgb = corrupt(flat(level), family, strength, rng()) / 255
    assert rgb.std() == pytest.approx(expected * luma, rel=0.03)


def test_impulses_hit_their_share_half_white() -> None:
    rgb = corrupt(flat(100), "impulse_noise", 5, rng())
    assert (rgb != 100).mean() == pytest.approx(1 - 0.98**3, abs=0.008)
    assert (rgb > 100).sum() == pytest.approx((rgb < 100).sum(), rel=0.3)


@pytest.mark.parametrize("quality", FAMILIES["jpeg_compression"])
def test_jpeg_of_grey_is_that_of_rgb(film: np.ndarray, quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(np.stack([film] * 3, axis=2)).save(file, "JPEG", quality=quality)
    rgb = np.asarray(Image.open(file).convert("L"))
    strength = FAMILIES["jpeg_compression"].index(quality) + 1
    assert (corrupt(film, "jpeg_compression", strength, rng()) == rgb).all()


def test_blur_is_the_gaussian_it_says() -> None:
    point = flat(0, 31)
    point[15, 15] = 255
    made = corrupt(point, "gaussian_blur", 1, rng())  # 3 pixels, sigma 0.8
    side = np.exp(-0.5 / 0.8**2)
    centre = 255 / (1 + 2 * side) ** 2
    assert made[15, 15] == round(centre)
    assert made[14, 15] == made[15, 16] == round(centre * side)
    assert made[13, 15] == 0
    assert (corrupt(flat(77), "gaussian_blur", 5, rng()) == 77).all()


@pytest.mark.parametrize("size", [64, 31])
def test_blur_agrees_with_a_plain_convolution(size: int) -> None:
    noise = rng(3).integers(0, 256, (size, size)).astype(np.uint8)
    kernel, sigma = 7, 1.4
    w = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    square = np.outer(w, w) / w.sum() ** 2
    padded = np.pad(noise.astype(float), 3, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))
    expected = (windows * square).sum(axis=(2, 3))
    made = corrupt(noise, "gaussian_blur", 3, rng())
    assert np.abs(made - expected).max() <= 0.501


def test_brightness_contrast_and_gamma_move_the_grey_as_they_say() -> None:
    assert (corrupt(flat(100), "brightness_up", 5, rng()) == 150).all()
    assert (corrupt(flat(100), "brightness_down", 5, rng()) == 50).all()
    halves = flat(50)
    halves[64:] = 150
    assert set(np.unique(corrupt(halves, "contrast_up", 5, rng()))) == {20, 180}
    assert set(np.unique(corrupt(halves, "contrast_down", 5, rng()))) == {80, 120}
    up, down = (corrupt(flat(100), f"gamma_corr_{way}", 5, rng())[0, 0] for way in ("up", "down"))
    assert (up, down) == (int(255 * (100 / 255) ** 1.6), int(255 * (100 / 255) ** 0.4))


def test_pixelate_leaves_fewer_pixels(film: np.ndarray) -> None:
    made = corrupt(film, "pixelate", 5, rng())
    assert len({row.tobytes() for row in made}) <= 2 * int(64 * 0.4)
    assert (corrupt(flat(77), "pixelate", 5, rng()) == 77).all()


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_films_pass(level: int) -> None:
    for family in FAMILIES:
        for strength in range(1, STRENGTHS + 1):
            assert corrupt(flat(level, 16), family, strength, rng()).shape == (16, 16)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fog", 1), "no corruption 'fog'"),
        (("pixelate", 0), "strength 0"),
        (("pixelate", 6), "strength 6"),
    ],
)
def test_what_is_unknown_is_named(words: tuple[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        corrupt(flat(1), *words, rng())


# The study, with a bundle whose logit is the film's brightness, decided at the middle grey


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight normal films at 100, eight with pneumonia at 180, all with a ramp over them."""
    ramp = np.linspace(-40, 40, 32)[None, :] + np.zeros((32, 1))
    for name, level in (("NORMAL/IM-{:04d}-0001", 100), ("PNEUMONIA/person{}_virus_1", 180)):
        for i in range(8):
            path = tmp_path / "films" / f"{name.format(i + 1)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((level + ramp + i).astype(np.uint8)).save(path)
    return tmp_path / "films"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    from bundles import tiny_bundle

    return tiny_bundle(tmp_path / "bundle")


FEW = (0, 1, 8, 9)
"""Two films of each class: each film is made worse 65 times at full size."""


def by_name(result: dict) -> dict:
    return {f["name"]: f for f in result["families"]}


def test_the_study_finds_what_brightness_does_to_a_brightness_reader(
    bundle: Path, folder: Path
) -> None:
    seen = []
    result = corruption_study(
        bundle, load_cohort(folder), draws=200, progress=lambda *done: seen.append(done)
    )
    families = by_name(result)
    assert list(families) == list(FAMILIES)
    assert result["clean"]["value"] == 0
    assert families["gaussian_blur"]["balanced_error"] == [0] * 5
    # 100 to 107 is called pneumonia from 127.5 on; 180 to 187 is not once below it.
    assert families["brightness_up"]["balanced_error"][0] == 0
    assert families["brightness_up"]["balanced_error"][3:] == [0.5, 0.5]
    assert families["brightness_down"]["balanced_error"][3:] == [0.5, 0.5]
    every = [e for f in result["families"] for e in f["balanced_error"]]
    assert result["mean_balanced_error"]["value"] == pytest.approx(np.mean(every))
    for f in result["families"]:
        assert f["mean"]["value"] == pytest.approx(np.mean(f["balanced_error"]))
    for group, names in FAMILY_GROUPS.items():
        each = [e for name in names for e in families[name]["balanced_error"]]
        assert result["groups"][group]["value"] == pytest.approx(np.mean(each))
    mean = result["mean_balanced_error"]
    assert 0 < mean["low"] <= mean["value"] <= mean["high"] < 0.5
    assert result["clean"]["high"] > 0  # no error seen is not no error
    assert seen == [(i, 16) for i in range(1, 17)]


def test_an_unreadable_film_is_an_error_throughout(bundle: Path, folder: Path) -> None:
    (folder / "NORMAL/IM-0001-0001.png").write_text("no film")
    result = corruption_study(bundle, load_cohort(folder).subset(FEW), draws=200)
    assert result["clean"]["value"] == pytest.approx(1 / 4)
    assert by_name(result)["gaussian_blur"]["balanced_error"] == [1 / 4] * 5


def test_the_seed_is_kept(bundle: Path, folder: Path) -> None:
    cohort = load_cohort(folder).subset(FEW)
    one, two = (corruption_study(bundle, cohort, seed=7, draws=50) for _ in range(2))
    assert one == two
    assert (one["seed"], one["noise"]) == (7, "rgb")


def test_a_small_model_gets_films_made_worse_at_full_size_and_then_shrunk(
    bundle: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def watched(pixels: np.ndarray, *how: Any) -> np.ndarray:
        seen.add(pixels.shape)
        return corrupt(pixels, *how)

    monkeypatch.setattr(corruptions, "corrupt", watched)
    result = corruption_study(bundle, load_cohort(folder).subset(FEW), draws=50)
    assert seen == {(FULL, FULL)}
    assert "of the film at 224 px" in result["how"]


def test_one_class_is_refused(bundle: Path, folder: Path) -> None:
    cohort = load_cohort(folder)
    with pytest.raises(DataError, match="both classes"):
        corruption_study(bundle, cohort.subset(range(8)))
