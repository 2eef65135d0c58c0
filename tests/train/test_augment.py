"""Augmentation: films stay films, and the same generator gives the same films."""

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from firstread.train.augment import augment, geometry, resampled
from firstread.train.recipe import load_recipe
from firstread.train.strengths import Augment

STRONG = load_recipe("default").augment


def films(n: int = 6, size: int = 40) -> Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(5))


def change(how: Augment, seed: int = 0, size: int = 40, given: Tensor | None = None) -> Tensor:
    return augment(
        films() if given is None else given, how, size, torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("size", [32, 40, 64])
def test_films_keep_their_range_and_come_in_the_size_wanted(size: int) -> None:
    for seed in range(5):
        out = change(STRONG, seed, size)
        assert out.shape == (6, 1, size, size)
        assert out.dtype == torch.float32
        assert float(out.min()) >= 0.0
        assert float(out.max()) <= 1.0


def test_the_same_generator_gives_the_same_films_whatever_torchs_own_does() -> None:
    torch.manual_seed(1)
    first = change(STRONG)
    torch.manual_seed(2)
    assert torch.equal(first, change(STRONG))
    assert not torch.equal(first, change(STRONG, seed=1))


def test_films_given_are_left_as_they_were() -> None:
    given = films()
    before = given.clone()
    change(STRONG, given=given)
    assert torch.equal(given, before)


def test_no_change_is_no_change() -> None:
    assert not Augment().active
    torch.testing.assert_close(change(Augment()), films(), atol=1e-5, rtol=0)


def test_a_mirror_is_a_mirror() -> None:
    mirrored = change(Augment(flip=1.0))
    torch.testing.assert_close(mirrored, films().flip(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "how",
    [
        {"crop": (0.3, 0.3)},
        {"stretch": 2.0},
        {"rotate": 20.0},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"gamma": 0.5},
        {"tone": 0.8},
        {"shade": 0.4},
        {"noise": 0.3},
        {"speckle": 0.5},
        {"impulse": 0.3},
        {"blur": 2.0},
        {"sharpen": 2.0},
        {"pixelate": 0.3},
        {"jpeg": 5},
    ],
    ids=lambda how: next(iter(how)),
)
def test_each_change_acts_and_on_each_film_differently(how: dict[str, Any]) -> None:
    one = films(1).expand(12, -1, -1, -1).contiguous()
    out = change(Augment(**how), given=one)
    distances = (out - one).abs().mean(dim=(1, 2, 3))
    assert float(distances.max()) > 0.01
    assert len({round(float(d), 6) for d in distances}) > 2


def test_a_crop_keeps_the_share_of_the_area_it_says() -> None:
    """On a ramp, the spread of a crop's values is the side it kept."""
    ramp = torch.linspace(0, 1, 64).expand(8, 1, 64, 64).contiguous()
    out = change(Augment(crop=(0.25, 0.25)), size=64, given=ramp)
    spread = out.amax(dim=(1, 2, 3)) - out.amin(dim=(1, 2, 3))
    torch.testing.assert_close(spread, torch.full((8,), 0.5), atol=0.03, rtol=0)


def test_a_tone_curve_rises_and_keeps_black_and_white() -> None:
    ramp = torch.linspace(0, 1, 64).expand(8, 1, 64, 64).contiguous()
    out = change(Augment(tone=0.8), size=64, given=ramp)[:, 0, 0]
    assert bool((out.diff(dim=1) > 0).all())
    torch.testing.assert_close(out[:, 0], torch.zeros(8), atol=0.03, rtol=0)
    torch.testing.assert_close(out[:, -1], torch.ones(8), atol=0.03, rtol=0)


def test_shade_is_smooth_and_as_strong_as_it_says() -> None:
    flat = torch.full((8, 1, 64, 64), 0.4)
    out = change(Augment(shade=0.3), size=64, given=flat)
    assert float((out / 0.4).log().abs().max()) < 0.45  # bicubic overshoots a little
    assert float(out.diff(dim=3).abs().max()) < 0.03


def test_places_are_as_exact_in_a_fit_in_bfloat16() -> None:
    films = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    theta = geometry(2, Augment(rotate=30.0), torch.Generator().manual_seed(1))
    wanted = resampled(films, theta, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resampled(films, theta, 64), wanted)
