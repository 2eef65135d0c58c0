"""The lung net as ONNX: uint8 film in, probability of lung out."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch

from firstread.model.unet import FILM, LungNet, LungReading
from firstread.train.export import OPSET


def lungs_to_onnx(net: LungNet) -> bytes:
    """The net as an ONNX file: `film` uint8 (n, 224, 224) to `lungs` float32 (n, 224, 224).

    Batch normalisation is folded into the convolutions.
    """
    import onnx

    film = torch.zeros(2, FILM, FILM, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter announces its successor
        path = Path(folder) / "lungs.onnx"
        torch.onnx.export(
            LungReading(net.cpu().eval()).eval(),
            (film,),
            path,
            input_names=["film"],
            output_names=["lungs"],
            dynamic_axes={"film": {0: "n"}, "lungs": {0: "n"}},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(path)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
