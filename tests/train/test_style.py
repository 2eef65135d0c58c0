"""Styles are mixed in training, shapes are kept, and nothing is left of it afterwards."""

import pytest

pytest.importorskip("torch")

import torch

from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.train.style import StyleMixing, mixed_style


def test_the_shape_stays_and_the_style_is_of_another_film() -> None:
    torch.manual_seed(0)
    features = torch.randn(8, 3, 6, 6) * torch.rand(8, 3, 1, 1) + torch.randn(8, 3, 1, 1)
    out = mixed_style(features, 0.1)
    shape = (features - features.mean((2, 3), keepdim=True)) / features.std((2, 3), keepdim=True)
    kept = (out - out.mean((2, 3), keepdim=True)) / out.std((2, 3), keepdim=True)
    torch.testing.assert_close(kept, shape, atol=1e-3, rtol=1e-3)
    means, given = out.mean((2, 3)), features.mean((2, 3))
    assert float(means.min()) >= float(given.min()) - 1e-4
    assert float(means.max()) <= float(given.max()) + 1e-4
    assert not torch.allclose(means, given, atol=1e-2)


def test_only_in_training_and_only_until_removed() -> None:
    torch.manual_seed(0)
    net = build_net("mobilenet_v2", 32, 0.0, Weights(SCRATCH, {})).eval()
    films = torch.rand(4, 1, 32, 32)
    with torch.no_grad():
        expected = net(films)
        mixing = StyleMixing(net.trunk, 0.1)
        torch.testing.assert_close(net(films), expected)
        net.train()
        drawn = {tuple(net(films).tolist()) for _ in range(8)}
        assert len(drawn) > 1
        mixing.remove()
        drawn = {tuple(net(films).tolist()) for _ in range(4)}
    assert len(drawn) == 1
