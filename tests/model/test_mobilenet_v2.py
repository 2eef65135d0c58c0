import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from firstread.model.build import build_net, freeze, keep_still
from firstread.model.mobilenet_v2 import _SameConv2d, mobilenet_v2
from firstread.model.weights import RECORDS, SCRATCH, WeightRecord, Weights


def tensorflow_same(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Stride 2, SAME, by TensorFlow's own definition: ceil(n / 2) outputs, the odd pad last."""
    n = x.shape[-1]
    outs = -(-n // 2)
    total = max((outs - 1) * 2 + 3 - n, 0)
    before = total // 2
    padded = np.zeros((x.shape[0], n + total, n + total), x.dtype)
    padded[:, before : before + n, before : before + n] = x
    result = np.zeros((weight.shape[0], outs, outs), x.dtype)
    for i in range(outs):
        for j in range(outs):
            window = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            result[:, i, j] = (weight * window).sum(axis=(1, 2, 3))
    return result


@pytest.mark.parametrize("n", [5, 8])
def test_same_padding_is_tensorflows(n: int) -> None:
    conv = _SameConv2d(3, 4, 3, 2, 0, bias=False)
    x = torch.randn(1, 3, n, n)
    expected = tensorflow_same(x[0].numpy(), conv.weight.detach().numpy())
    np.testing.assert_allclose(conv(x)[0].detach().numpy(), expected, atol=1e-5)


def test_same_padding_differs_from_torchs_on_even_sides() -> None:
    same, torchs = _SameConv2d(1, 1, 3, 2, 0, bias=False), nn.Conv2d(1, 1, 3, 2, 1, bias=False)
    torchs.weight = same.weight
    x = torch.randn(1, 1, 8, 8)
    assert not torch.allclose(same(x), torchs(x))


def test_layers_are_those_of_torchvision() -> None:
    net = mobilenet_v2(RECORDS["mobilenet_v2"], 0.2)
    keys = {k for k in net.trunk.state_dict() if not k.endswith("num_batches_tracked")}
    # torchvision's mobilenet_v2 has 3,504,872 parameters, 1,281,000 of them in its classifier.
    assert sum(p.numel() for p in net.trunk.parameters()) == 3_504_872 - 1_281_000
    assert len(keys) == 260
    assert {
        "features.0.0.weight",
        "features.0.1.running_var",
        "features.1.conv.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.bias",
        "features.2.conv.1.0.weight",
        "features.17.conv.3.running_mean",
        "features.18.0.weight",
        "features.18.1.weight",
    } <= keys


def test_the_record_decides_padding_and_input() -> None:
    record = WeightRecord(
        "x", "mobilenet_v2", "", "", mean=(0.5,) * 3, std=(0.5,) * 3, padding="same"
    )
    net = mobilenet_v2(record, 0.2)
    strided = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert len(strided) == 5
    assert all(isinstance(m, _SameConv2d) for m in strided)
    assert net.mean.flatten().tolist() == [0.5] * 3
    plain = mobilenet_v2(RECORDS["mobilenet_v2"], 0.2)
    assert not any(isinstance(m, _SameConv2d) for m in plain.modules())
    assert net.trunk.state_dict().keys() == plain.trunk.state_dict().keys()


def test_first_blocks_freeze_with_their_batch_statistics() -> None:
    net = build_net("mobilenet_v2", 64, 0.0, Weights(SCRATCH, {}))
    freeze(net, "first blocks")
    net.train()
    keep_still(net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learning = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1)
    net(torch.rand(4, 1, 64, 64)).sum().backward()
    optimizer.step()
    moved = {n for n, v in net.state_dict().items() if not torch.equal(v, before[n])}
    assert not any(name.startswith(("trunk.features.0.", "trunk.features.6.")) for name in moved)
    assert "trunk.features.7.conv.0.0.weight" in moved
    assert "trunk.features.7.conv.0.1.running_mean" in moved
    assert "head.layers.0.weight" in moved


def test_the_gate_sees_the_stride_of_16_and_knows_which_part_is_the_first_block() -> None:
    net = build_net("mobilenet_v2", 64, 0.0, Weights(SCRATCH, {})).eval()
    ready = net.ready(torch.rand(1, 1, 64, 64))
    _, seen = net.looked(ready)
    sides = {}
    for i, block in enumerate(net.trunk.get_submodule("features").children()):
        ready = block(ready)
        sides[f"features.{i}"] = ready
    assert net.looks == tuple(name for name, out in sides.items() if out.shape[2] == 4)
    torch.testing.assert_close(seen[:, : net.strange], sides[net.looks[0]].mean(dim=(2, 3)))
