"""The same graph with its learning undone: every weight drawn anew.

For the sanity check of Adebayo et al. (2018, arXiv:1810.03292): a map that stays when the
weights are randomised shows the film or the architecture, and nothing that was learned.

The weights of every convolution and linear layer become what they might have been before
training: normal with variance 2 / fan-in (He et al. 2015, arXiv:1502.01852) and biases of 0.
Shuffling each tensor would be simpler, but the biases that batch normalisation leaves when it is
folded in are large, and once shuffled they drown the film: tried, every film had the same map
(correlation 0.96 and more with their mean), which is a weak thing to compare with.

What is done to a film before the first layer (`firstread.model.opening`) has learnt nothing and
stays: a network with weights drawn anew is to see the same film.

A tensor keeps its length, so the file's bytes are changed in place. That needs no ONNX package,
only a walk over protobuf's tags (protobuf.dev/programming-guides/encoding) with the field
numbers of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from firstread.errors import BundleError

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
"""Operations whose constant inputs are weights."""

TYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
"""ONNX data types that weights have here, as numpy names them."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_TENSOR = 5
DIMS, DATA_TYPE, FLOAT_DATA, NAME, RAW_DATA, DOUBLE_DATA, DATA_LOCATION = 1, 2, 4, 8, 9, 10, 14


@dataclass(frozen=True)
class Weights:
    """A weight tensor in a file: its `shape`, numpy type, and bytes `start` to `stop`."""

    shape: tuple[int, ...]
    dtype: str
    start: int
    stop: int


def weights_of(model: bytes) -> list[Weights]:
    """The weights of a serialised ONNX model: what its convolutions and linear layers multiply by.

    Raises `BundleError` if the bytes are no such model or keep their weights in another file.
    """
    try:
        return _weights(model)
    except (IndexError, ValueError, UnicodeDecodeError):
        raise BundleError("the graph is no ONNX file; export the bundle again") from None


def randomised(model: bytes, rng: np.random.Generator) -> bytes:
    """The model with all weights drawn anew; as long as before. Errors as in `weights_of`.

    Tensors of one dimension are biases and become 0. The fan-in of others is the product of
    all dimensions but the first.
    """
    out = bytearray(model)
    for w in weights_of(model):
        new = np.zeros(w.shape)
        if len(w.shape) > 1:
            new = rng.normal(0.0, sqrt(2.0 / max(1, prod(w.shape[1:]))), w.shape)
        data = new.astype(w.dtype).tobytes()
        if len(data) != w.stop - w.start:
            raise BundleError("a weight's length is not that of its shape; export the bundle again")
        out[w.start : w.stop] = data
    return bytes(out)


Message = dict[int, list[tuple[int, int]]]
"""Where the values of each field of one message lie."""


def _weights(model: bytes) -> list[Weights]:
    tensors: dict[str, tuple[int, int]] = {}
    same: dict[str, str] = {}
    used: dict[str, None] = {}  # in the order of the layers
    for a, b in _message(model, 0, len(model)).get(MODEL_GRAPH, []):
        graph = _message(model, a, b)
        for tensor in graph.get(GRAPH_INITIALIZER, []):
            name = _texts(model, _message(model, *tensor).get(NAME, []))
            tensors[name[0] if name else ""] = tensor
        for span in graph.get(GRAPH_NODE, []):
            node = _message(model, *span)
            inputs = _texts(model, node.get(NODE_INPUT, []))
            outputs = _texts(model, node.get(NODE_OUTPUT, []))
            operation = _texts(model, node.get(NODE_OP, []))[0]
            if operation == "Identity":
                same[outputs[0]] = inputs[0]
            elif operation == "Constant":
                for attribute in node.get(NODE_ATTRIBUTE, []):
                    for tensor in _message(model, *attribute).get(ATTRIBUTE_TENSOR, []):
                        tensors[outputs[0]] = tensor
            elif operation in LAYERS:
                used.update(dict.fromkeys(inputs))
    names = dict.fromkeys(same.get(name, name) for name in used)
    found = (_tensor(model, *tensors[name]) for name in names if name in tensors)
    return [w for w in found if w is not None and not _fixed(w)]


def _fixed(w: Weights) -> bool:
    """A kernel from one channel to one: no layer that learnt, but what is done to a film first."""
    return len(w.shape) == 4 and w.shape[:2] == (1, 1)


def _tensor(data: bytes, start: int, stop: int) -> Weights | None:
    """One TensorProto, None if it is of a type that weights do not have."""
    fields = _message(data, start, stop)
    if DATA_LOCATION in fields and _number(data, fields[DATA_LOCATION][0]) == 1:
        raise BundleError("the graph keeps weights in another file; export the bundle again")
    dtype = TYPES.get(_number(data, fields[DATA_TYPE][0])) if DATA_TYPE in fields else None
    values = fields.get(RAW_DATA) or fields.get(FLOAT_DATA) or fields.get(DOUBLE_DATA)
    if dtype is None or values is None:
        return None
    shape = tuple(n for span in fields.get(DIMS, []) for n in _numbers(data, *span))
    return Weights(shape, dtype, values[0][0], values[-1][1])


def _message(data: bytes, start: int, stop: int) -> Message:
    fields: Message = {}
    for number, a, b in _fields(data, start, stop):
        fields.setdefault(number, []).append((a, b))
    return fields


def _fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(field number, first byte, end) of the value of each field of one message."""
    at = start
    while at < stop:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == BYTES:
            length, at = _varint(data, at)
            end = at + length
        elif kind == VARINT:
            end = _varint(data, at)[1]
        elif kind in (FIXED32, FIXED64):
            end = at + (4 if kind == FIXED32 else 8)
        else:
            raise ValueError("a group, which ONNX does not use")
        if end > stop:
            raise ValueError("a field that runs over its end")
        yield number, at, end
        at = end


def _texts(data: bytes, spans: list[tuple[int, int]]) -> list[str]:
    return [data[a:b].decode() for a, b in spans]


def _number(data: bytes, span: tuple[int, int]) -> int:
    return _varint(data, span[0])[0]


def _numbers(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Repeated numbers, whether packed into one value or not: read until its end."""
    while start < stop:
        value, start = _varint(data, start)
        yield value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number that does not end")
