"""A trained network as ONNX: uint8 film in, logit and map out."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from firstread.model.net import FilmNet
from firstread.train.gate_graph import FEATURES
from firstread.train.slim import slim

OPSET = 18


class _Reading(nn.Module):
    """What the reader calls: the scaling to [0, 1] is inside, so it cannot be forgotten."""

    def __init__(self, net: FilmNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.net.features(film.unsqueeze(1).float() / 255.0)
        logit, heat = self.net.judge(features)
        return logit, heat, features.mean(dim=(2, 3))


def to_onnx(net: FilmNet, size: int) -> bytes:
    """The network as an ONNX file: `film` uint8 (n, size, size) to `logit` (n,), `map` (n, h, w).

    A third output, `features` (n, channels), is pooled over the map; the gate takes its place.
    Batch normalisation is folded into the convolutions, padding is part of them; dropout is gone.
    """
    net = net.cpu().eval()
    film = torch.zeros(2, size, size, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its successor
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Reading(net).eval(),
            (film,),
            path,
            input_names=["film"],
            output_names=["logit", "map", FEATURES],
            dynamic_axes={name: {0: "n"} for name in ("film", "logit", "map", FEATURES)},
            opset_version=OPSET,
            # The newer exporter wants another package and gives the same graph.
            dynamo=False,
        )
        return slim(path.read_bytes())
