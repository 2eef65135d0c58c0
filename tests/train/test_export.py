"""The exported graph gives what torch gives, for every architecture and size."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from firstread.evaluate.randomise import weights_of
from firstread.model.build import build_net
from firstread.model.names import Opening
from firstread.model.net import FilmNet, Head
from firstread.model.weights import RECORDS, SCRATCH, WeightRecord, Weights
from firstread.train.export import to_onnx
from firstread.train.slim import slim

SIZES = (32, 64, 128, 224)
CASES = [("vgg19", 32), *((arch, size) for arch in ("cnn", "mobilenet_v2") for size in SIZES)]


def stirred(net: FilmNet) -> FilmNet:
    """A network whose batch norms have seen films, so that folding them is not trivial."""
    torch.manual_seed(1)
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean = torch.randn_like(m.running_mean) * 0.1
            m.running_var = torch.rand_like(m.running_var) + 0.5
    return net


def assert_same(net: FilmNet, size: int) -> onnx.ModelProto:
    graph = to_onnx(net, size)
    films = np.random.default_rng(0).integers(0, 256, (3, size, size), np.uint8)
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        logit, heat = net.explain(torch.from_numpy(films).unsqueeze(1).float() / 255)
    for n in (1, 3):
        got_logit, got_heat = session.run(["logit", "map"], {"film": films[:n]})
        np.testing.assert_allclose(got_logit, logit[:n].numpy(), atol=1e-4)
        np.testing.assert_allclose(got_heat, heat[:n].numpy(), atol=1e-4)
    return onnx.load_model_from_string(graph)


def test_what_comes_before_the_trunk_is_exported_too_and_is_no_weight() -> None:
    net = stirred(build_net("mobilenet_v2", 64, 0.5, Weights(SCRATCH, {})))
    plain = len(weights_of(to_onnx(net, 64)))
    net.opening = Opening(standardise=True, smooth=0.5, grain=0.05)
    graph = assert_same(net.eval(), 64)
    assert len(weights_of(graph.SerializeToString())) == plain


@pytest.mark.parametrize(("size", "smaller"), [(64, 64), (64, 48), (64, 32), (96, 64)])
def test_a_mirroring_graph_gives_the_means_of_film_and_mirrored_film(
    size: int, smaller: int
) -> None:
    net = stirred(build_net("mobilenet_v2", size, 0.5, Weights(SCRATCH, {}))).eval()
    net.opening = Opening(grain=0.05)
    films = np.random.default_rng(0).integers(0, 256, (3, size, size), np.uint8)
    x = torch.from_numpy(films).unsqueeze(1).float() / 255
    with torch.inference_mode():
        ready = net.ready(x)
        features, seen = net.looked(ready)
        small = F.interpolate(ready.flip(3), size=smaller, mode="bilinear")
        (logit, heat), (other, mirrored) = net.judge(features), net.judge(net.looked(small)[0])
    cells, fewer = heat.shape[1], mirrored.shape[1]
    assert (cells, fewer) == (-(-size // 32), -(-smaller // 32))
    mirrored = F.interpolate(mirrored.flip(2).unsqueeze(1), size=cells, mode="bilinear")[:, 0]
    mirrored = mirrored * fewer**2 / cells**2  # as much in all
    graph = to_onnx(net, size, smaller)
    assert len(weights_of(graph)) == len(weights_of(to_onnx(net, size)))  # no weight twice
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for n in (1, 3):
        got = session.run(["logit", "map", "features"], {"film": films[:n]})
        wanted = (logit + other) / 2, (heat + mirrored) / 2, seen
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b[:n].numpy(), atol=1e-4)
    if smaller == size:
        again = session.run(["logit", "map"], {"film": np.ascontiguousarray(films[:, :, ::-1])})
        np.testing.assert_allclose(again[0], got[0], atol=1e-4)
        np.testing.assert_allclose(again[1], got[1][:, :, ::-1], atol=1e-4)


@pytest.mark.parametrize(("arch", "size"), CASES, ids=lambda x: str(x))
def test_onnx_is_torch(arch: str, size: int) -> None:
    net = stirred(build_net(arch, size, 0.5, Weights(SCRATCH, {})))
    model = assert_same(net.train(), size)
    (film,) = model.graph.input
    assert film.name == "film"
    assert film.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [o.name for o in model.graph.output] == ["logit", "map", "features"]
    assert not {"Dropout", "BatchNormalization"} & {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("size", [33, 64, 100, 112])
def test_tensorflows_padding_is_exported_too(size: int) -> None:
    """It hangs on whether a side is even: at 112 px the last stride finds 7."""
    record = WeightRecord("x", "mobilenet_v2", "", "", padding="same")
    tensors = build_net("mobilenet_v2", size, 0.2, Weights(SCRATCH, {})).trunk.state_dict()
    same = build_net("mobilenet_v2", size, 0.2, Weights(record, tensors))
    model = assert_same(stirred(same), size)
    assert "Pad" not in {node.op_type for node in model.graph.node}


def test_only_paddings_of_zeros_before_a_convolution_are_made_part_of_it() -> None:
    class Padded(nn.Module):
        def __init__(self, value: float, taken_twice: bool) -> None:
            super().__init__()
            self.value, self.taken_twice = value, taken_twice
            self.conv = nn.Conv2d(1, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = F.pad(x, (0, 1, 2, 3), value=self.value)
            return torch.relu(self.conv(x)) + (x.mean((1, 2, 3), True) if self.taken_twice else 0)

    films = np.random.default_rng(0).integers(0, 256, (2, 32, 32), np.uint8)
    for value, taken_twice, stays in ((0.0, False, 0), (1.0, False, 1), (0.0, True, 1)):
        head = Head(2, 0, pool=True, hidden=(), dropout=0.0)
        net = FilmNet(Padded(value, taken_twice), head, (0.5,), (0.2,))
        model = assert_same(net.eval(), 32)
        assert [n.op_type for n in model.graph.node].count("Pad") == stays
        with torch.inference_mode():
            wanted = net.eval()(torch.from_numpy(films).unsqueeze(1).float() / 255).numpy()
        session = ort.InferenceSession(slim(model.SerializeToString()))  # a second time
        np.testing.assert_allclose(session.run(["logit"], {"film": films})[0], wanted, atol=1e-4)
    assert RECORDS["mobilenet_v2"].padding == "torch"
