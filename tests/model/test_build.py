import pytest

pytest.importorskip("torch")

import torch

from firstread.errors import RecipeError
from firstread.model.build import ARCHITECTURES, build_net, freeze
from firstread.model.weights import SCRATCH, Weights

NONE = Weights(SCRATCH, {})


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a != "vgg19"])
@pytest.mark.parametrize("size", [32, 64, 128, 224])
def test_every_size_works(arch: str, size: int) -> None:
    net = build_net(arch, size, 0.2, NONE).eval()
    side = {"cnn": size // 16, "mobilenet_v2": size // 32, "resnet10": size // 4}[arch]
    with torch.no_grad():
        logit, heat = net.explain(torch.rand(2, 1, size, size))
    assert logit.shape == (2,)
    assert heat.shape == (2, side, side)


def test_unknown_and_too_small() -> None:
    with pytest.raises(RecipeError, match="'resnet' is not known; use cnn, vgg19, mobilenet_v2"):
        build_net("resnet", 224, 0.2, NONE)
    with pytest.raises(RecipeError, match="too small"):
        build_net("cnn", 16, 0.2, NONE)


def test_freezing_nothing_and_the_base() -> None:
    net = build_net("cnn", 32, 0.2, NONE)
    freeze(net, "nothing")
    assert all(p.requires_grad for p in net.parameters())
    freeze(net, "base")
    assert {n.split(".")[0] for n, p in net.named_parameters() if p.requires_grad} == {"head"}
