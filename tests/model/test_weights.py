"""Weights files: what they say they expect, whether they fit, and what to do without one."""

import hashlib
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from safetensors.torch import save_file
from torch import Tensor

from firstread.cohort import download
from firstread.errors import DownloadError, WeightsError
from firstread.model.build import build_net
from firstread.model.mobilenet_v2 import _SameConv2d, mobilenet_v2
from firstread.model.weights import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    RECORDS,
    SCRATCH,
    Weights,
    load_trunk,
    resolve_weights,
)

METADATA = {
    "padding": "TensorFlow SAME (asymmetric at stride 2)",
    "input": "RGB in [-1, 1]",
    "licence": "Apache-2.0",
    "source": "somewhere",
}


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """Random tensors with torchvision's keys and shapes, a classifier among them."""
    torch.manual_seed(3)
    state = mobilenet_v2(RECORDS["mobilenet_v2"], 0.2).trunk.state_dict()
    made = {k: torch.rand_like(v) if v.is_floating_point() else v for k, v in state.items()}
    return {
        **made,
        "classifier.1.weight": torch.rand(10, 1280),
        "classifier.1.bias": torch.rand(10),
    }


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a folder of weights nor a net."""
    monkeypatch.delenv("FIRSTREAD_WEIGHTS", raising=False)
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))

    def no_net(*_: Any, **__: Any) -> None:
        raise DownloadError("the server cannot be reached; fetch it elsewhere and give it")

    monkeypatch.setattr(download, "download", no_net)


def test_a_torchvision_file_is_loaded(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mobilenet.pth"
    torch.save(tensors, path)
    public = RECORDS["mobilenet_v2"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(RECORDS, "mobilenet_v2", replace(public, sha256_prefix=digest[:8]))
    weights = resolve_weights("mobilenet_v2", str(path), wanted=True)
    assert weights.record.name == "mobilenet_v2.torchvision-v1"
    assert weights.sha256 == digest
    net = build_net("mobilenet_v2", 64, 0.2, weights)
    state = net.trunk.state_dict()
    assert all(torch.equal(state[k], v) for k, v in tensors.items() if k in state)
    assert net.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_of_ones_own_do_not_pass_for_torchvisions(
    suffix: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / f"ours.{suffix}"
    if suffix == "pth":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    record = resolve_weights("mobilenet_v2", str(path), wanted=True).record
    assert (record.name, record.licence, record.source) == ("ours", "not stated", "file")
    assert (record.mean, record.std, record.padding) == (IMAGENET_MEAN, IMAGENET_STD, "torch")


def test_a_files_own_metadata_decide(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "mobilenet_v2_mine.safetensors"
    save_file(tensors, path, metadata=METADATA)
    weights = resolve_weights("mobilenet_v2", str(path), wanted=True)
    record = weights.record
    assert (record.name, record.padding) == ("mobilenet_v2_mine", "same")
    assert (record.mean, record.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (record.licence, record.source) == ("Apache-2.0", "somewhere")
    net = build_net("mobilenet_v2", 64, 0.2, weights)
    assert any(isinstance(m, _SameConv2d) for m in net.modules())
    # A film from 0 to 1 reaches the first layer as -1 to 1.
    film = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    assert ((film - net.mean) / net.std)[:, 0].flatten().tolist() == [-1.0, 1.0]


def test_metadata_may_be_written_otherwise(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "w.safetensors", metadata={"padding": "same", "input": "[-1,1]"})
    record = resolve_weights("mobilenet_v2", str(tmp_path / "w.safetensors"), wanted=True).record
    assert (record.padding, record.mean) == ("same", (0.5,) * 3)


def test_the_folder_of_weights_is_looked_into(
    tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(tensors, tmp_path / "mobilenet_v2_mine.safetensors", metadata=METADATA)
    monkeypatch.setenv("FIRSTREAD_WEIGHTS", str(tmp_path))
    assert resolve_weights("mobilenet_v2", None, wanted=True).record.name == "mobilenet_v2_mine"
    with pytest.raises(WeightsError, match="no weights for vgg19"):
        resolve_weights("vgg19", None, wanted=True)


def test_without_weights_both_ways_out_are_named() -> None:
    with pytest.raises(WeightsError) as e:
        resolve_weights("vgg19", None, wanted=True)
    assert "give it" in str(e.value)
    assert "--weights none" in str(e.value)
    assert "\n" not in str(e.value)


def test_an_architecture_without_any_is_told_what_to_change() -> None:
    with pytest.raises(WeightsError, match="leave --weights away"):
        resolve_weights("cnn", "some.pth", wanted=True)
    with pytest.raises(WeightsError, match="write pretrained = false"):
        resolve_weights("cnn", None, wanted=True)


def test_a_frozen_base_is_not_sent_to_scratch() -> None:
    with pytest.raises(WeightsError, match="no weights for vgg19") as e:
        resolve_weights("vgg19", None, wanted=True, frozen=True)
    assert "scratch" not in str(e.value)


def test_from_scratch_needs_none() -> None:
    assert resolve_weights("vgg19", "none", wanted=True) == Weights(SCRATCH, {})
    assert resolve_weights("cnn", None, wanted=False) == Weights(SCRATCH, {})


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"features.0.0.weight": torch.zeros(32, 1, 3, 3)}, "features.0.0.weight"),
        ({"features.18.0.weight": None}, "features.18.0.weight"),
    ],
    ids=["another shape", "a layer missing"],
)
def test_weights_that_do_not_fit(
    tensors: dict[str, Tensor], change: dict[str, Tensor | None], first: str
) -> None:
    record = RECORDS["mobilenet_v2"]
    changed = {k: v for k, v in {**tensors, **change}.items() if v is not None}
    trunk = mobilenet_v2(record, 0.2).trunk
    with pytest.raises(WeightsError, match=rf"1 layers differ \(first: {first}\)"):
        load_trunk(trunk, Weights(record, changed))


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("ran",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pth", b"no weights"),
        ("a.safetensors", b"no weights"),
        ("b.pth", pickle.dumps({"features.0.0.weight": Evil()})),
        ("c.pth", b""),
    ],
)
def test_what_is_no_weights_file(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a weights file"):
        resolve_weights("mobilenet_v2", str(path), wanted=True)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, [torch.zeros(2)], torch.zeros(2), {"epoch": 3}])
def test_a_pth_without_named_tensors(content: Any, tmp_path: Path) -> None:
    """Otherwise training would start from scratch and say that it had not."""
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no named tensors"):
        resolve_weights("mobilenet_v2", str(tmp_path / "a.pth"), wanted=True)


def test_a_damaged_public_file(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "mobilenet_v2-b0353104.pth"
    torch.save(tensors, path)
    with pytest.raises(WeightsError, match="damaged"):
        resolve_weights("mobilenet_v2", str(path), wanted=True)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        resolve_weights("vgg19", str(tmp_path / "missing.pth"), wanted=True)
    with pytest.raises(WeightsError, match="has no ImageNet weights"):
        resolve_weights("cnn", "some.pth", wanted=False)


@pytest.mark.weights
def test_the_weights_at_hand(weights_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTREAD_WEIGHTS", str(weights_dir))
    weights = resolve_weights("mobilenet_v2", None, wanted=True)
    record = weights.record
    assert record.padding == "same"
    assert (record.mean, record.std) == ((0.5,) * 3, (0.5,) * 3)
    assert record.licence == "Apache-2.0"
    net = build_net("mobilenet_v2", 64, 0.2, weights).eval()
    with torch.inference_mode():
        features = net.features(torch.rand(1, 1, 64, 64))
    assert features.shape == (1, 1280, 2, 2)
    assert 0.05 < float(features.mean()) < 5  # batch norms fit the weights
