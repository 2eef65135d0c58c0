"""What is read in bfloat16 is about what the exported graph gives."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime as ort
import torch

from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.train.export import to_onnx
from firstread.train.quick import Bf16Reader

CASES = [(arch, 32, mirror) for arch in ("cnn", "vgg19", "mobilenet_v2") for mirror in (0, 32)]


@pytest.mark.parametrize(("arch", "size", "mirror"), [*CASES, ("mobilenet_v2", 48, 32)])
def test_it_is_about_the_graphs(arch: str, size: int, mirror: int) -> None:
    torch.manual_seed(0)
    net = build_net(arch, size, 0.5, Weights(SCRATCH, {}))
    films = np.random.default_rng(0).integers(0, 256, (70, size, size), np.uint8)  # three batches
    session = ort.InferenceSession(to_onnx(net, size, mirror), providers=["CPUExecutionProvider"])
    wanted = session.run(["logit", "features"], {"film": films})
    quick = Bf16Reader(net, mirror)
    found = quick.logits(films), quick.seen(films)
    for there, here in zip(wanted, found, strict=True):
        assert here.shape == there.shape
        # Eight bits of mantissa, through up to 16 layers.
        np.testing.assert_allclose(here, there, atol=0.03 * float(np.abs(there).max()))
    assert [part.dtype for part in found] == [np.float64, np.float32]
