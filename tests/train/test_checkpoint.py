"""Checkpoints without pickles: everything Lightning puts in comes out again."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lightning")

import torch

from firstread.errors import OutputError, RunError
from firstread.train.checkpoint import SafeCheckpointIO


def test_there_and_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    saved: dict[str, Any] = {
        "state_dict": {"a": shared.reshape(2, 3), "b": shared[:2], "n": torch.tensor(3)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}, 7: {}}, "betas": (0.9, 1)}],
        "nested": {"deep": [{"x": None}, [True, "word", 1e-7, 12345678901234567890]]},
        "where": Path("a") / "b",
        "half": torch.ones(2, dtype=torch.bfloat16),
        "empty": {},
    }
    path = tmp_path / "folder" / "last.ckpt"
    io = SafeCheckpointIO()
    io.save_checkpoint(saved, path)
    loaded = io.load_checkpoint(path)
    for key in ("a", "b", "n"):
        assert torch.equal(loaded["state_dict"][key], saved["state_dict"][key])
    state = loaded["optimizer_states"][0]
    assert set(state["state"]) == {0, 7}
    assert torch.equal(state["state"][0]["step"], torch.tensor(1.0))
    assert state["betas"] == [0.9, 1]  # a tuple comes back as a list
    assert loaded["nested"] == saved["nested"]
    assert loaded["where"] == "a/b"
    assert torch.equal(loaded["half"], saved["half"])
    assert loaded["empty"] == {}
    assert [p.name for p in path.parent.iterdir()] == ["last.ckpt"]
    io.remove_checkpoint(path)
    io.remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.parametrize("keep", [0, 5, 60, -1])
def test_a_damaged_file(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"a": torch.zeros(9)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match="delete the run folder and train again"):
        SafeCheckpointIO().load_checkpoint(path)


def test_another_safetensors_file(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "last.ckpt")
    with pytest.raises(RunError, match="damaged"):
        SafeCheckpointIO().load_checkpoint(tmp_path / "last.ckpt")


def test_a_save_that_fails_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    io = SafeCheckpointIO()
    io.save_checkpoint({"epoch": 1}, path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk full"):
        io.save_checkpoint({"epoch": 2}, path)
    assert list(tmp_path.iterdir()) == [path]
    assert io.load_checkpoint(path) == {"epoch": 1}


def test_what_cannot_be_kept_is_refused_and_not_lost(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        SafeCheckpointIO().save_checkpoint({"a": {1, 2}}, tmp_path / "last.ckpt")
