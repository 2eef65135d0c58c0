"""The quick features that the gate may learn from are about those of the exported graph."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnxruntime as ort
import torch

from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.train.export import to_onnx
from firstread.train.finish import bf16_features


@pytest.mark.parametrize("arch", ["cnn", "vgg19", "mobilenet_v2"])
def test_they_are_about_the_graphs(arch: str) -> None:
    torch.manual_seed(0)
    net = build_net(arch, 32, 0.5, Weights(SCRATCH, {}))
    films = np.random.default_rng(0).integers(0, 256, (70, 32, 32), np.uint8)  # two batches
    session = ort.InferenceSession(to_onnx(net, 32), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(["features"], {"film": films})
    found = bf16_features(net)(films)
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    # Eight bits of mantissa, through up to 16 layers.
    np.testing.assert_allclose(found, wanted, atol=0.03 * float(np.abs(wanted).max()))
