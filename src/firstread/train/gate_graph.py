"""The gate in a bundle's graph: put in where the features were an output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.read.gate import OUTPUT

Films = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FEATURES = "features"
"""The graph's output that the probe works on: (n, k), averaged over maps."""

BATCH = 32

LEAST = 1e-6
"""Least squared length that a logarithm is taken of."""


@dataclass(frozen=True)
class Subspace:
    """What good films vary in: the first c features less `mean` (c,) over `spread`, along `axes`
    (c, k)."""

    mean: Floats
    spread: Floats
    axes: Floats


def output_of(graph: bytes, output: str) -> Callable[[Films], Floats]:
    """What reads an output (n, ...) of a graph for films (n, s, s)."""
    import onnxruntime as ort

    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def read(films: Films) -> Floats:
        parts = [
            session.run([output], {"film": np.ascontiguousarray(films[i : i + BATCH])})[0]
            for i in range(0, len(films), BATCH)
        ]
        return np.concatenate(parts)

    return read


STEPS = (
    ("Gemm", (FEATURES, "weight", "bias"), "kinds"),
    ("Slice", (FEATURES, "from", "to", "along features"), "first"),
    ("Sub", ("first", "mean"), "centred"),
    ("Div", ("centred", "spread"), "z"),
    # Taken away as a vector, not as a length: the difference of two large sums is lost in bfloat16.
    ("MatMul", ("z", "axes"), "along"),
    ("Transpose", ("axes",), "axes again"),
    ("MatMul", ("along", "axes again"), "within"),
    ("Sub", ("z", "within"), "outside"),
    ("Mul", ("outside", "outside"), "squares"),
    ("MatMul", ("squares", "ones"), "length"),
    ("Max", ("length", "least"), "some"),
    ("Log", ("some",), "residual"),
    ("Mul", ("residual", "slope"), "scaled"),
    ("Add", ("scaled", "offset"), "strangeness"),
    ("Concat", ("kinds", "strangeness"), OUTPUT),
)
"""The gate's nodes: operator, inputs, output. Products, elementwise functions and a slice alone,
which ONNX has long written in one way."""


def joined(
    graph: bytes, probe: tuple[Floats, Floats], space: Subspace, line: tuple[float, float]
) -> bytes:
    """The graph with `gate` for `features`: the probe's outputs and, last, the strangeness.

    `probe`: weights (1 + kinds, c) and biases; `line`: slope and offset that make the strangeness
    of the residual.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, _ours(name))
        for name, value in _constants(probe, space, line).items()
    )
    for kind, inputs, output in STEPS:
        node = helper.make_node(kind, [_ours(name) for name in inputs], [_ours(output)])
        if kind == "Concat":
            node.attribute.append(helper.make_attribute("axis", 1))
        model.graph.node.append(node)
    shape: list[str | int | None] = ["n", len(probe[1]) + 1]
    kept = [out for out in model.graph.output if out.name != FEATURES]
    del model.graph.output[:]
    model.graph.output.extend(
        [*kept, helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)]
    )
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _ours(name: str) -> str:
    """A name of the gate's, but for those that are the graph's own."""
    return name if name in {FEATURES, OUTPUT} else f"gate/{name}"


def _constants(
    probe: tuple[Floats, Floats], space: Subspace, line: tuple[float, float]
) -> dict[str, npt.NDArray[Any]]:
    numbers = {
        "weight": np.ascontiguousarray(probe[0].T),
        "bias": probe[1],
        "mean": space.mean,
        "spread": space.spread,
        "axes": space.axes,
        "ones": np.ones((len(space.mean), 1)),
        "least": np.array(LEAST),
        "slope": np.array(line[0]),
        "offset": np.array(line[1]),
    }
    places = {"from": [0], "to": [len(space.mean)], "along features": [1]}
    return {
        **{name: np.asarray(value, np.float32) for name, value in numbers.items()},
        **{name: np.array(value) for name, value in places.items()},
    }
