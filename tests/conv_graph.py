"""A graph small enough for tests that does have weights: a convolution and a linear head.

`conv_onnx()` gives its bytes: "film" uint8 (N, size, size) to "logit" (N,) and "map"
(N, size/8, size/8), the closed-form map of a pooled linear head, as in the networks we ship.
The four kernels are one bright block, so trained, as it were, the map is the film's brightness.
"""

from __future__ import annotations

import numpy as np


def conv_onnx(size: int = 32, raw: bool = True) -> bytes:
    """`raw`: values as bytes, as torch writes them, else as repeated floats."""
    import onnx
    from onnx import TensorProto as T
    from onnx import helper as h
    from onnx import numpy_helper

    def weight(name: str, values: np.ndarray) -> onnx.TensorProto:
        values = values.astype(np.float32)
        if raw:
            return numpy_helper.from_array(values, name)
        return h.make_tensor(name, T.FLOAT, values.shape, values.ravel())

    side = size // 8
    nodes = [
        h.make_node("Cast", ["film"], ["f32"], to=T.FLOAT),
        h.make_node("Div", ["f32", "c255"], ["unit"]),
        h.make_node("Unsqueeze", ["unit", "one"], ["nchw"]),
        h.make_node("Conv", ["nchw", "kernel", "bias"], ["conv"], strides=[8, 8]),
        h.make_node("Relu", ["conv"], ["features"]),
        h.make_node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        h.make_node("Identity", ["head"], ["same"]),
        h.make_node("Gemm", ["pooled", "same"], ["score"], transB=1),
        h.make_node("Squeeze", ["score", "one"], ["logit"]),
        h.make_node("Reshape", ["head", "wide"], ["gradient"]),
        h.make_node("Mul", ["features", "gradient"], ["evidence"]),
        h.make_node("ReduceSum", ["evidence", "one"], ["map"], keepdims=0),
    ]
    kernel = np.full((4, 1, 8, 8), 1 / 64) * np.arange(1, 5).reshape(4, 1, 1, 1)
    graph = h.make_graph(
        nodes,
        "conv",
        [h.make_tensor_value_info("film", T.UINT8, ["N", size, size])],
        [
            h.make_tensor_value_info("logit", T.FLOAT, ["N"]),
            h.make_tensor_value_info("map", T.FLOAT, ["N", side, side]),
        ],
        [
            h.make_tensor("c255", T.FLOAT, [1], [255.0]),
            weight("kernel", kernel),
            weight("bias", np.full(4, -0.25)),
            weight("head", np.ones((1, 4))),
            h.make_tensor("axes", T.INT64, [2], [2, 3]),
            h.make_tensor("one", T.INT64, [1], [1]),
            h.make_tensor("wide", T.INT64, [4], [1, 4, 1, 1]),
        ],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
