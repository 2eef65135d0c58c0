"""Lightning checkpoints without pickles: tensors as safetensors, the rest as JSON beside them.

A checkpoint is one safetensors file; its metadata hold the nested structure as JSON with a
reference where a tensor stood. It is written under another name and then renamed, so that
a kill in the middle leaves the previous one.

A run's folder may be moved or copied between two calls. Lightning's `ModelCheckpoint` writes down
the absolute path of what it kept, and under another one it forgets which epoch was the best: the
next one, however poor, would take its place. So these paths are read as those of the folder that
a checkpoint lies in now.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from firstread.errors import RunError
from firstread.film.files import write_atomic

TENSOR, PAIRS = "__tensor__", "__pairs__"


class SafeCheckpointIO(CheckpointIO):
    """Saves and loads what Lightning hands over; raises `RunError` on a damaged file."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path` whole or not at all; `OutputError` on a full disk."""
        tensors: dict[str, torch.Tensor] = {}
        structure = _flatten(checkpoint, tensors)
        write_atomic(Path(path), save(tensors, metadata={"structure": json.dumps(structure)}))

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint back, tensors on the CPU; the others it names lie beside it."""
        try:
            with safe_open(path, framework="pt") as f:
                structure = json.loads(f.metadata()["structure"])
                loaded = _restore(structure, f.get_tensor)
        except (SafetensorError, KeyError, TypeError, ValueError) as e:
            raise RunError(
                f"{path}: the checkpoint is damaged ({type(e).__name__}); "
                "delete the run folder and train again"
            ) from None
        assert isinstance(loaded, dict)
        for state in loaded.get("callbacks", {}).values():
            if isinstance(state, dict) and "dirpath" in state:
                _move(state, os.path.realpath(Path(path).parent))
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _move(state: dict[str, Any], folder: str) -> None:
    """Put what a `ModelCheckpoint` knows of its files into `folder`, in place."""

    def moved(path: str) -> str:
        # The last part of a path of either system; "" stands for no file yet.
        return os.path.join(folder, PureWindowsPath(path).name) if path else path  # noqa: PTH118

    state["dirpath"] = folder
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = moved(state.get(key, ""))
    best = state.get("best_k_models", {})
    state["best_k_models"] = {moved(path): score for path, score in best.items()}


def _flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = f"t{len(tensors)}"
        # A copy: safetensors refuses tensors that share memory, as averaged weights may.
        tensors[key] = value.detach().cpu().clone().contiguous()
        return {TENSOR: key}
    if isinstance(value, dict):
        return {PAIRS: [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_flatten(v, tensors) for v in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _restore(value: Any, tensor: Any) -> Any:
    if isinstance(value, dict):
        if TENSOR in value:
            return tensor(value[TENSOR])
        return {_restore(k, tensor): _restore(v, tensor) for k, v in value[PAIRS]}
    if isinstance(value, list):
        return [_restore(v, tensor) for v in value]
    return value
