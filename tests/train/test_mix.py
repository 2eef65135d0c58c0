"""Two films made one."""

import pytest

pytest.importorskip("torch")

import torch

from firstread.train.mix import mixup, swap_surroundings
from firstread.train.recipe import Augment


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def greys(n: int, size: int = 112) -> torch.Tensor:
    """Films that are all of one grey, each its own."""
    return torch.linspace(0, 1, n).reshape(n, 1, 1, 1).expand(n, 1, size, size).contiguous()


def test_the_lungs_stay_and_the_surroundings_are_another_films() -> None:
    given = greys(64)
    out = swap_surroundings(given, Augment(swap=1.0), rng())
    torch.testing.assert_close(out[:, :, 30:80, 30:80], given[:, :, 30:80, 30:80])
    corners = out[:, 0, 0, 0]
    assert sorted(corners.tolist()) == pytest.approx(sorted(given[:, 0, 0, 0].tolist()))
    assert float((corners == given[:, 0, 0, 0]).float().mean()) < 0.2


def test_as_often_as_it_says() -> None:
    given = greys(600, 16)
    out = swap_surroundings(given, Augment(swap=0.3), rng())
    changed = (out - given).abs().amax(dim=(1, 2, 3)) > 0
    assert 0.24 < float(changed.float().mean()) < 0.36


def test_films_and_labels_are_blended_alike() -> None:
    given, labels = greys(500, 4), torch.linspace(0, 1, 500)
    out, mixed = mixup(given, labels, Augment(mixup=0.4), rng())
    torch.testing.assert_close(out[:, 0, 0, 0], mixed)
    moved = (mixed - labels).abs()
    assert 0.0 < float(moved.mean()) < 0.25
    assert float(mixed.min()) >= 0
    assert float(mixed.max()) <= 1
