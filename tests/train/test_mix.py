"""Two films made one, and films with hidden lungs."""

import pytest

pytest.importorskip("torch")

import torch

from firstread.train.mix import certainty, hide_lungs, mixup, swap_surroundings
from firstread.train.strengths import Augment


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


def lungs_in_the_middle(n: int) -> torch.Tensor:
    """(n, 1, 56, 56): two lungs."""
    lungs = torch.zeros(n, 1, 56, 56)
    lungs[:, :, 14:42, 10:24] = 1
    lungs[:, :, 14:42, 32:46] = 1
    return lungs


def test_hidden_lungs_are_hidden_and_the_rest_stays() -> None:
    films = torch.rand(64, 1, 112, 112, generator=rng())
    lungs = lungs_in_the_middle(64)
    out, left = hide_lungs(films, lungs, Augment(hide=1.0), rng())
    assert float(left.max()) == 0
    shown = torch.nn.functional.interpolate(lungs, size=(112, 112)) > 0
    # Paint is coarse: of the films' own pixels nothing can be told any more.
    of_film = torch.stack([films[shown], out[shown]])
    assert abs(float(torch.corrcoef(of_film)[0, 1])) < 0.05
    assert torch.equal(out[:, :, :, :4], films[:, :, :, :4])
    between = (out[:, 0, 56, 54:58] == films[:, 0, 56, 54:58]).all(dim=1).float().mean()
    assert 0.3 < float(between) < 0.7  # a silhouette leaves the middle, a box does not
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_only_as_many_are_hidden_as_it_says() -> None:
    films = torch.rand(400, 1, 56, 56, generator=rng())
    lungs = lungs_in_the_middle(400)
    lungs[::2] = 1  # where the lung net is in doubt, all of the film
    out, left = hide_lungs(films, lungs, Augment(hide=0.25), rng())
    hidden = (left.amax(dim=(1, 2, 3)) == 0).float()
    changed = ((out - films).abs().amax(dim=(1, 2, 3)) > 0).float()
    assert torch.equal(hidden, changed)
    assert 0.18 < float(hidden.mean()) < 0.32


def test_a_label_says_as_much_as_there_is_lung() -> None:
    lungs = torch.zeros(4, 1, 10, 10)
    lungs[1, 0, 0, :5] = 1
    lungs[2, 0, :1] = 1
    lungs[3] = 1
    torch.testing.assert_close(certainty(lungs, 0.1), torch.tensor([0.0, 0.5, 1.0, 1.0]))
