"""The head's closed-form gradient, and the map that is made of it."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from firstread.model.net import FilmNet, Head, channels_last


def head(pool: bool, hidden: tuple[int, ...]) -> Head:
    torch.manual_seed(0)
    return Head(6, 3, pool=pool, hidden=hidden, dropout=0.5).eval()


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_the_gradient_is_autograds(pool: bool, hidden: tuple[int, ...]) -> None:
    it = head(pool, hidden)
    features = torch.randn(4, 6, 3, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(it(features).sum(), features)
    torch.testing.assert_close(it.gradient(features), expected)


def test_dropout_is_not_in_the_gradient() -> None:
    it = head(True, (7,))
    features = torch.randn(4, 6, 3, 3)
    expected = it.gradient(features)
    torch.testing.assert_close(it.train().gradient(features), expected)


@pytest.mark.parametrize("pool", [True, False])
def test_the_map_of_a_linear_head_adds_up_to_the_logit(pool: bool) -> None:
    net = FilmNet(nn.Conv2d(1, 6, 3, padding=1), head(pool, ()), mean=(0.5,), std=(0.25,))
    film = torch.rand(4, 1, 3, 3)
    logit, heat = net.explain(film)
    assert heat.shape == (4, 3, 3)
    torch.testing.assert_close(logit, net(film))
    torch.testing.assert_close(heat.sum(dim=(1, 2)), logit - net.head.layers[-1].bias)


def test_a_grey_film_is_repeated_for_three_channels() -> None:
    net = FilmNet(nn.Identity(), head(True, ()), mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    features = net.features(torch.full((2, 1, 3, 3), 0.5))
    assert features.shape == (2, 3, 3, 3)
    torch.testing.assert_close(features[0, :, 0, 0], torch.tensor([0.4, 0.15, 0.05]))
    assert {"mean", "std"} <= net.state_dict().keys()


def test_the_gate_sees_the_features_or_what_it_is_told_to_look_at() -> None:
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 1))
    film = torch.rand(3, 1, 5, 5)
    features, seen = FilmNet(trunk, head(True, ()), (0.5,), (0.25,)).looked(film)
    torch.testing.assert_close(seen, features.mean(dim=(2, 3)))
    net = FilmNet(trunk, head(True, ()), (0.5,), (0.25,), looks=("0", "2"))
    features, seen = net.looked(film)
    first = trunk[0](film)  # as it was before the next layer wrote over it
    pooled = [first.mean(dim=(2, 3)), features.mean(dim=(2, 3))]
    torch.testing.assert_close(seen, torch.cat(pooled, dim=1))
    torch.testing.assert_close(net.looked(film)[1], seen)
    assert not any(module._forward_hooks for module in trunk.modules())


def test_channels_last_changes_the_layout_alone() -> None:
    net = FilmNet(nn.Conv2d(1, 6, 3, padding=1), head(False, (7,)), mean=(0.5,), std=(0.25,))
    film = torch.rand(2, 1, 3, 3)
    expected = net(film)
    assert channels_last(net) is net
    torch.testing.assert_close(net(film), expected)
    # Of one channel too, whose weights look laid out either way.
    assert not net.trunk(film).is_contiguous()
    assert net.trunk(film).is_contiguous(memory_format=torch.channels_last)
