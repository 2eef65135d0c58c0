import pytest

pytest.importorskip("torch")

import torch

from firstread.model.build import build_net, freeze
from firstread.model.vgg19 import LAST_BLOCK
from firstread.model.weights import SCRATCH, Weights


def test_layers_are_those_of_torchvision_and_the_last_block_can_learn_alone() -> None:
    net = build_net("vgg19", 32, 0.5, Weights(SCRATCH, {}))
    shapes = {name: tuple(p.shape) for name, p in net.trunk.named_parameters()}
    assert len(shapes) == 32
    assert shapes["features.0.weight"] == (64, 3, 3, 3)
    assert shapes["features.34.weight"] == (512, 512, 3, 3)
    # torchvision's vgg19 has 143,667,240 parameters, 123,642,856 of them in its classifier.
    assert sum(p.numel() for p in net.trunk.parameters()) == 143_667_240 - 123_642_856
    assert net.trunk(torch.rand(1, 3, 32, 32)).shape == (1, 512, 1, 1)

    freeze(net, "all but the last block")
    learning = [name for name, p in net.trunk.named_parameters() if p.requires_grad]
    assert learning[0] == f"{LAST_BLOCK}.weight"
    assert len(learning) == 8
    freeze(net, "base")
    assert not any(p.requires_grad for p in net.trunk.parameters())
    assert all(p.requires_grad for p in net.head.parameters())
