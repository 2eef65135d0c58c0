import pytest

pytest.importorskip("torch")

import torch

from firstread.model.cnn import cnn


def test_pooling_first_gives_what_pooling_last_gives() -> None:
    net = cnn(64, 0.5).eval()
    film = torch.rand(2, 1, 64, 64)
    x = film
    for conv in net.trunk.convs:
        x = torch.nn.functional.max_pool2d(torch.relu(conv(x)), 2)
    torch.testing.assert_close(net.features(film), x)


def test_it_is_the_cnn_of_the_origin() -> None:
    net = cnn(128, 0.5)
    assert [c.out_channels for c in net.trunk.convs] == [32, 64, 128, 128]
    assert [(f.in_features, f.out_features) for f in net.head.layers] == [(8192, 128), (128, 1)]
    assert net.head.dropout.p == 0.5
