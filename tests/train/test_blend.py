"""A second step may keep a share of what it began with."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from firstread.cohort.table import load_cohort
from firstread.errors import RecipeError
from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.train import finish
from firstread.train.blend import BLENDED, blend
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.point import reader_of
from firstread.train.recipe import make_recipe
from firstread.train.run import train
from firstread.train.teachers import teacher_recipes
from tiny_training import tiny_job


def go_on(films: Path, out: Path, start: Path, share: float = 0.0) -> None:
    how = {"lr": 1e-2, "epochs": 1, "start_share": share}
    train(replace(tiny_job(films, out, **how), start=start))


def logits(run: Path) -> list[float]:
    with (run / "val.csv").open(newline="") as f:
        return [float(row["logit"]) for row in csv.DictReader(f)]


def test_it_lies_on_the_line_between_both() -> None:
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(build_net("resnet10", 16, 0.0, Weights(SCRATCH, {})))
    now, start = nets
    before = {k: v.clone() for k, v in now.state_dict().items()}
    blend(now, start.state_dict(), 0.25)
    for name, tensor in now.state_dict().items():
        if tensor.is_floating_point():
            wanted = 0.75 * before[name] + 0.25 * start.state_dict()[name]
            torch.testing.assert_close(tensor, wanted)
        else:
            assert torch.equal(tensor, before[name])


def test_a_run_keeps_the_blend_and_is_gone_on_from_with_it(films: Path, tmp_path: Path) -> None:
    train(tiny_job(films, tmp_path / "first", epochs=1))
    go_on(films, tmp_path / "plain", tmp_path / "first")
    go_on(films, tmp_path / "half", tmp_path / "first", 0.5)
    saved = {
        run: SafeCheckpointIO().load_checkpoint(tmp_path / run / "checkpoints" / name)["state_dict"]
        for run, name in (("first", "last.ckpt"), ("plain", "last.ckpt"), ("half", BLENDED))
    }
    name = "net.head.layers.0.weight"
    middle = (saved["first"][name] + saved["plain"][name]) / 2
    torch.testing.assert_close(saved["half"][name], middle)
    assert not torch.equal(saved["half"][name], saved["plain"][name])
    assert not np.allclose(logits(tmp_path / "half"), logits(tmp_path / "plain"), atol=1e-4)

    again = finish.made_again(tmp_path / "half", load_cohort(films), tmp_path / "again", None)
    seen = np.random.default_rng(0).integers(0, 256, (3, 32, 32), np.uint8)
    old = (tmp_path / "half" / "bundle" / "model.onnx").read_bytes()
    once_more, before = (reader_of(g)(seen) for g in (again.onnx_path.read_bytes(), old))
    assert np.allclose(once_more, before, atol=1e-5)


def test_killed_before_the_bundle_it_blends_once(films: Path, tmp_path: Path) -> None:
    train(tiny_job(films, tmp_path / "first", epochs=1))
    go_on(films, tmp_path / "half", tmp_path / "first", 0.5)
    wanted = logits(tmp_path / "half")
    for lost in ("val.csv", f"checkpoints/{BLENDED}"):
        (tmp_path / "half" / lost).unlink()
        go_on(films, tmp_path / "half", tmp_path / "first", 0.5)
        assert np.allclose(logits(tmp_path / "half"), wanted, atol=1e-5)
        assert (tmp_path / "half" / lost).is_file()


def test_without_a_start_there_is_nothing_to_keep(films: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="without one set it to 0"):
        train(tiny_job(films, tmp_path / "alone", epochs=1, start_share=0.5))
    assert not (tmp_path / "alone").exists()
    (tmp_path / "teacher.toml").write_text('arch = "cnn"\nsize = 32\nstart_share = 0.5\n')
    taught = make_recipe(
        {"arch": "cnn", "size": 32, "teachers": [str(tmp_path / "teacher.toml")], "distil": 0.5},
        "taught",
    )
    with pytest.raises(RecipeError, match="a teacher begins by itself"):
        teacher_recipes(taught)
