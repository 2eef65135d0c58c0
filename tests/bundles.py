"""A bundle small enough for tests: its logit is the film's mean brightness; and films for it.

`tiny_bundle(folder)` writes one and returns its path. logit = (mean - 0.5) * 10 with the
mean on 0 to 1, so a black film scores -5, a white one +5; the map is the film itself,
averaged in blocks of 8 pixels, minus its middle grey: bright parts speak for pneumonia.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from firstread.read.bundle import write_bundle


def film(path: Path, mean: int, shape: tuple[int, int] = (64, 64)) -> Path:
    """A picture of noise around `mean`, enough spread not to pass for a blank; its folder too."""
    rng = np.random.default_rng(mean)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(rng.normal(mean, 8, shape), 0, 255).astype(np.uint8)).save(path)
    return path


def tiny_onnx(size: int = 32) -> bytes:
    """The graph: "film" uint8 (N,size,size) to "logit" (N,) and "map" (N,size/8,size/8)."""
    import onnx
    from onnx import TensorProto as T
    from onnx import helper as h

    def const(name: str, value: list[Any], kind: int) -> Any:
        return h.make_tensor(name, kind, [len(value)], value)

    nodes = [
        h.make_node("Cast", ["film"], ["f32"], to=T.FLOAT),
        h.make_node("Div", ["f32", "c255"], ["unit"]),
        h.make_node("ReduceMean", ["unit", "axes"], ["mean"], keepdims=0),
        h.make_node("Sub", ["mean", "half"], ["centred"]),
        h.make_node("Mul", ["centred", "ten"], ["logit"]),
        h.make_node("Unsqueeze", ["unit", "one"], ["nchw"]),
        h.make_node("AveragePool", ["nchw"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        h.make_node("Squeeze", ["pooled", "one"], ["blocks"]),
        h.make_node("Sub", ["blocks", "half"], ["map"]),
    ]
    graph = h.make_graph(
        nodes,
        "tiny",
        [h.make_tensor_value_info("film", T.UINT8, ["N", size, size])],
        [
            h.make_tensor_value_info("logit", T.FLOAT, ["N"]),
            h.make_tensor_value_info("map", T.FLOAT, ["N", size // 8, size // 8]),
        ],
        [
            const("c255", [255.0], T.FLOAT),
            const("half", [0.5], T.FLOAT),
            const("ten", [10.0], T.FLOAT),
            const("axes", [1, 2], T.INT64),
            const("one", [1], T.INT64),
        ],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_card(size: int = 32, **changes: Any) -> dict[str, Any]:
    """A card for it: threshold 0.5, refer band 0.4 to 0.6, calibration that changes nothing."""
    card: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "arch": "mean",
        "created": "2025-01-01T00:00:00Z",
        "version": "0.1.0",
        "licence": "Apache-2.0",
        "labels": ["no pneumonia", "pneumonia"],
        "preprocess": {"size": size},
        "calibration": {"slope": 1.0, "intercept": 0.0, "how": "none"},
        "thresholds": {
            key: {"value": value, "how": "by hand"}
            for key, value in {
                "decision": 0.5,
                "0.5": 0.5,
                "best": 0.5,
                "sensitivity_95": 0.3,
                "sensitivity_98": 0.2,
            }.items()
        },
        "refer": {"low": 0.4, "high": 0.6, "how": "by hand"},
        "data": {"source": "none", "films": 0, "patients": 0, "sha256": "0" * 64},
        "training": {},
        "notices": [],
    }
    card.update(changes)
    return card


def tiny_bundle(folder: Path, size: int = 32, **changes: Any) -> Path:
    """Write the bundle to `folder` and return it; `changes` replace fields of the card."""
    return write_bundle(folder, tiny_onnx(size), tiny_card(size, **changes)).path


def gated_bundle(folder: Path, size: int = 32, **changes: Any) -> Path:
    """The same with an output `gate` of six zeros a film; the card's own says what they mean."""
    import onnx
    from onnx import TensorProto as T
    from onnx import helper as h

    model = onnx.load_from_string(tiny_onnx(size))
    zeros = h.make_tensor("zeros", T.FLOAT, [1, 6], [0.0] * 6)
    model.graph.initializer.append(zeros)
    model.graph.node.append(h.make_node("Identity", ["zeros"], ["gate"]))
    model.graph.output.append(h.make_tensor_value_info("gate", T.FLOAT, [1, 6]))
    return write_bundle(folder, bytes(model.SerializeToString()), tiny_card(size, **changes)).path
