"""A lung net for tests that needs no training: what is darker than half is lung."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from firstread.film.lungs import FORMAT, ONNX_FILE, RECORD_FILE, seal

SIDE = 224


def dark_is_lung(folder: Path, **changes: Any) -> Path:
    """Write the net and its record to `folder`; `changes` go over the record's fields."""
    constants = {"half": np.float32(127.5), "steep": np.float32(-1.0)}
    nodes = [
        helper.make_node("Cast", ["film"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["grey", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "steep"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["lungs"]),
    ]
    shape = ["n", SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "dark",
        [helper.make_tensor_value_info("film", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("lungs", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    data: bytes = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ONNX_FILE).write_bytes(data)
    record = {
        "format": FORMAT,
        "name": "dark",
        "onnx": {"file": ONNX_FILE, "sha256": hashlib.sha256(data).hexdigest()},
        "data": {},
        "training": {},
        **changes,
    }
    (folder / RECORD_FILE).write_text(seal(record))
    onnx.checker.check_model(model)
    return folder


def two_lungs(side: int = SIDE) -> npt.NDArray[np.bool_]:
    """Two ellipses side by side."""
    y, x = np.mgrid[:side, :side] / side
    right = ((x - 0.3) / 0.13) ** 2 + ((y - 0.5) / 0.3) ** 2 < 1
    left = ((x - 0.7) / 0.13) ** 2 + ((y - 0.45) / 0.3) ** 2 < 1
    return np.asarray(right | left)


def film_of(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A grey film with dark lungs and some spread, so that it is no drawing."""
    grey = np.where(mask, 60, 190) + np.random.default_rng(0).integers(-40, 41, mask.shape)
    return grey.astype(np.uint8)
