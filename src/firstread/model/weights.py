"""A weight is a record: what it is, what it expects of its input, and under which licence.

The record travels with the network, so normalisation and padding are *resolved from the
weight* and cannot be mismatched (the idea is timm's). Torchvision's public files are
pickles; they are only ever opened with `weights_only=True`, which runs no code.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from firstread.errors import WeightsError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class WeightRecord:
    """`mean`, `std`: of the input in [0, 1]. `padding`: "torch" or "same" (TensorFlow's)."""

    name: str
    arch: str
    licence: str
    source: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    padding: str = "torch"
    sha256_prefix: str = ""


SCRATCH = WeightRecord("none", "any", "", "random initialisation", (0.5,) * 3, (0.25,) * 3)

RECORDS = {
    "mobilenet_v2": WeightRecord(
        name="mobilenet_v2.torchvision-v1",
        arch="mobilenet_v2",
        licence="BSD-3-Clause",
        source="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        sha256_prefix="b0353104",
    ),
    "vgg19": WeightRecord(
        name="vgg19.torchvision-v1",
        arch="vgg19",
        licence="BSD-3-Clause",
        source="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256_prefix="dcbb9e9d",
    ),
}
"""The ImageNet weights fetched at run time where no file is given; torchvision puts the
first eight digits of the sha256 into the file's name."""


@dataclass(frozen=True)
class Weights:
    """Tensors to start from, with their record. `tensors` is empty for a start from scratch."""

    record: WeightRecord
    tensors: dict[str, Tensor]
    sha256: str = ""


def resolve_weights(arch: str, given: str | None, wanted: bool, frozen: bool = False) -> Weights:
    """The weights an architecture shall start from.

    `given`: a file, "none" for a start from scratch, or None to look into the folder
    FIRSTREAD_WEIGHTS and then on the net. `wanted`: whether the recipe asks for weights.
    `frozen`: whether it keeps a part of them from learning, which is nothing to do from scratch.
    Raises `WeightsError` that names every way out.
    """
    if given == "none" or (given is None and not wanted):
        return Weights(SCRATCH, {})
    if arch not in RECORDS:
        way = "leave --weights away" if given else "write pretrained = false in the recipe"
        raise WeightsError(f"{arch} has no ImageNet weights; {way}")
    path = Path(given) if given else _in_weights_folder(arch) or _fetched(RECORDS[arch], frozen)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; check --weights")
    return _load(path, arch)


def _in_weights_folder(arch: str) -> Path | None:
    folder = os.environ.get("FIRSTREAD_WEIGHTS")
    if not folder:
        return None
    found = sorted(p for p in Path(folder).glob(f"{arch}*") if p.suffix in {".safetensors", ".pth"})
    return found[0] if found else None


def _fetched(record: WeightRecord, frozen: bool) -> Path:
    from firstread.cohort.download import download
    from firstread.errors import DownloadError
    from firstread.film.places import cache_folder

    path = cache_folder() / "weights" / record.source.rsplit("/", 1)[1]
    if not path.is_file():
        try:
            download(
                record.source, path, by_hand="fetch it elsewhere and give it as --weights FILE"
            )
        except DownloadError as e:
            scratch = "" if frozen else ", or train from scratch with --weights none"
            raise WeightsError(f"no weights for {record.arch}: {e}{scratch}") from None
    return path


def _load(path: Path, arch: str) -> Weights:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as f:
                metadata = f.metadata() or {}
                tensors = {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118 (no iterator)
        else:
            metadata = {}
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # safetensors and torch raise many kinds on broken bytes
        raise WeightsError(
            f"{path}: not a weights file ({type(e).__name__}); "
            "give a .safetensors or torchvision .pth file"
        ) from None
    if not _named_tensors(tensors):
        raise WeightsError(
            f"{path}: holds no named tensors; give a state dict with torchvision's key names"
        )
    known = RECORDS[arch]
    if not metadata and digest.startswith(known.sha256_prefix):
        return Weights(known, tensors, digest)
    if not metadata and f"-{known.sha256_prefix}" in path.name:
        raise WeightsError(f"{path}: damaged (sha256 differs); delete it and fetch it again")
    # Whose they are, nobody but the file could say: a card must not call them torchvision's.
    return Weights(_record_from(metadata, arch, path.name), tensors, digest)


def _named_tensors(loaded: object) -> bool:
    """Whether a file held what a network can be started from; a .pth may hold anything."""
    return (
        isinstance(loaded, dict)
        and len(loaded) > 0
        and all(isinstance(t, Tensor) for t in loaded.values())
    )


def _record_from(metadata: dict[str, str], arch: str, name: str) -> WeightRecord:
    """A file's own metadata says what it expects: `padding`, `input`, `licence`, `source`.

    What it does not say is as with torchvision's weights; licence and source are then not known.
    """
    symmetric = "[-1,1]" in metadata.get("input", "").replace(" ", "")
    return WeightRecord(
        name=name.rsplit(".", 1)[0],
        arch=arch,
        licence=metadata.get("licence", "not stated"),
        source=metadata.get("source", "file"),
        mean=(0.5,) * 3 if symmetric else IMAGENET_MEAN,
        std=(0.5,) * 3 if symmetric else IMAGENET_STD,
        padding="same" if "same" in metadata.get("padding", "").lower() else "torch",
    )


def load_trunk(trunk: Any, weights: Weights) -> None:
    """Put weights into a trunk; the file's own classifier is left out.

    Raises `WeightsError` if a layer is missing or has another shape.
    """
    if not weights.tensors:
        return
    wanted = trunk.state_dict()
    found = {k: v for k, v in weights.tensors.items() if k in wanted}
    wrong = [k for k, v in wanted.items() if k not in found or found[k].shape != v.shape]
    wrong = [k for k in wrong if not k.endswith("num_batches_tracked")]
    if wrong:
        raise WeightsError(
            f"{weights.record.name} does not fit {weights.record.arch}: {len(wrong)} layers "
            f"differ (first: {wrong[0]}); give weights with torchvision's key names"
        )
    trunk.load_state_dict(found, strict=False)
