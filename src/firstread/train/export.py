"""Trained networks as ONNX: uint8 film in; logit and map out, or the lungs."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from firstread.model.net import FilmNet
from firstread.model.unet import FILM, LungNet, LungReading
from firstread.train.gate_graph import FEATURES
from firstread.train.slim import slim

OPSET = 18


class Reading(nn.Module):
    """What the reader calls: films uint8 (n, s, s) to logits, maps and what the gate sees.

    The scaling to [0, 1] is inside, so it cannot be forgotten.
    """

    def __init__(self, net: FilmNet, mirror: int) -> None:
        super().__init__()
        self.net = net
        self.mirror = mirror

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, s, s) to (n,), (n, h, w) and (n, k)."""
        ready = self.net.ready(film.unsqueeze(1).float() / 255.0)
        if self.mirror == film.shape[2]:
            return self._in_one(ready)
        features, seen = self.net.looked(ready)
        logit, heat = self.net.judge(features)
        if not self.mirror:
            return logit, heat, seen
        smaller, _ = self.net.looked(resized(ready.flip(3), self.mirror, self.mirror))
        other, mirrored = self.net.judge(smaller)
        mirrored = resized(mirrored.unsqueeze(1), *map(int, heat.shape[1:]))[:, 0].flip(2)
        # What all cells add up to hardly hangs on how many they are.
        share = int(smaller[0, 0].numel()) / int(features[0, 0].numel())
        return (logit + other) / 2, (heat + mirrored * share) / 2, seen

    def _in_one(self, ready: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Film and mirrored film beside each other; reshaping leaves the count of films open."""
        both, seen = self.net.looked(torch.stack([ready, ready.flip(3)], dim=1).flatten(0, 1))
        logit, heat = self.net.judge(both)
        pairs = heat.reshape(-1, 2, *heat.shape[1:])
        heat = (pairs[:, 0] + pairs[:, 1].flip(2)) / 2
        seen = seen.reshape(-1, 2, seen.shape[1])[:, 0]
        return logit.reshape(-1, 2).mean(dim=1), heat, seen


def resized(pictures: Tensor, height: int, width: int) -> Tensor:
    """(n, c, h, w) to (n, c, height, width), bilinear: what is read smaller is hardly so, and of
    little fine detail."""
    return F.interpolate(pictures, size=(height, width), mode="bilinear", align_corners=False)


def to_onnx(net: FilmNet, size: int, mirror: int = 0) -> bytes:
    """The network as an ONNX file: `film` uint8 (n, size, size) to `logit` (n,), `map` (n, h, w).

    `mirror`: the side in pixels at which each film is read mirrored as well, 0 for not at all;
    logit and map are the means of both. A third output, `features` (n, k), is what the gate sees
    of the film as it is (`FilmNet.looked`); the gate takes its place. Batch normalisation is folded
    into the convolutions, padding is part of them; dropout is gone.
    """
    return slim(_exported(Reading(net.cpu(), mirror), size, ["logit", "map", FEATURES]))


def lungs_to_onnx(net: LungNet) -> bytes:
    """The lung net as an ONNX file: `film` uint8 (n, 224, 224) to `lungs` float32 (n, 224, 224).

    Batch normalisation is folded into the convolutions.
    """
    import onnx

    model = onnx.load_from_string(_exported(LungReading(net.cpu()), FILM, ["lungs"]))
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _exported(reading: nn.Module, size: int, outputs: list[str]) -> bytes:
    """What takes `film` uint8 (n, size, size), for any n, and gives `outputs`."""
    film = torch.zeros(2, size, size, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its successor
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            reading.eval(),
            (film,),
            path,
            input_names=["film"],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in ("film", *outputs)},
            opset_version=OPSET,
            # The newer exporter wants another package and gives the same graph.
            dynamo=False,
        )
        return path.read_bytes()
