"""The exported graph without the paddings that stand before its convolutions.

TensorFlow's SAME padding at stride 2 is uneven. torch's convolutions cannot pad so, and the
exporter writes a Pad before each, with a dozen nodes that work out again for every film how wide it
is. ONNX's convolutions can. It is worth more than the copies that go: onnxruntime keeps films in
blocks of channels from one convolution to the next, and a Pad in between made it leave that order
and take it up again.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def slim(graph: bytes) -> bytes:
    """An ONNX graph of ours with every Pad of zeros before a convolution made a part of it.

    It computes the same; sums may be added up in another order.
    """
    import onnx

    model = onnx.load_from_string(graph)
    nodes = model.graph.node
    takers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    found = [
        node
        for node in nodes
        if node.op_type == "Pad"
        and takers.get(node.output[0])
        and all(taker.op_type == "Conv" for taker in takers[node.output[0]])
    ]
    values = _values(model, [name for node in found for name in node.input[1:3] if name])
    for node in found:
        pads = values[node.input[1]].tolist()
        filled = float(values[node.input[2]]) if len(node.input) > 2 and node.input[2] else 0.0
        mode = [a.s for a in node.attribute if a.name == "mode"]
        if filled or mode not in ([], [b"constant"]) or len(pads) != 8 or any(pads[:2] + pads[4:6]):
            continue
        for conv in takers[node.output[0]]:
            _widen(conv, [*pads[2:4], *pads[6:8]])
            conv.input[0] = node.input[0]
    _drop_unused(model)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _widen(conv: Any, pads: list[int]) -> None:
    """Add `pads` (top, left, bottom, right) to those a Conv node has."""
    from onnx import helper

    for attribute in conv.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [a + b for a, b in zip(attribute.ints, pads, strict=True)]
            return
    conv.attribute.append(helper.make_attribute("pads", pads))


def _values(model: Any, names: list[str]) -> dict[str, Any]:
    """What the named tensors are on a film, by running the graph: how wide to pad hangs on the
    film's size alone, which is fixed."""
    import onnx
    import onnxruntime as ort

    if not names:
        return {}
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    for name in dict.fromkeys(names):
        asked.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    size = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    ran = session.run(None, {model.graph.input[0].name: np.zeros([1, *size], np.uint8)})
    return dict(zip(dict.fromkeys(names), ran, strict=True))


def _drop_unused(model: Any) -> None:
    """Take away what no output needs any more."""
    needed = {out.name for out in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):  # a node stands behind those it takes from
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    tensors = [t for t in model.graph.initializer if t.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
