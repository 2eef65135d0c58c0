import pytest

pytest.importorskip("torch")

import torch

from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights


@pytest.mark.parametrize("size", [16, 28, 64])
def test_is_small_and_explains_itself(size: int) -> None:
    net = build_net("resnet10", size, 0.2, Weights(SCRATCH, {})).eval()
    assert sum(p.numel() for p in net.parameters()) == 380_897
    logit, heat = net.explain(torch.rand(2, 1, size, size))
    assert heat.shape == (2, size // 4, size // 4)
    bias = net.head.layers[0].bias
    assert torch.allclose(heat.sum(dim=(1, 2)) + bias, logit, atol=1e-5)
