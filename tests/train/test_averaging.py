"""Averaged weights: they follow, and what was before the first step is soon forgotten."""

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.fit import averaged
from firstread.train.run import train
from tiny_training import tiny_job


def follow(values: list[float], decay: float) -> float:
    update, kept = averaged(decay), torch.tensor(values[0])
    for n, value in enumerate(values[1:], start=1):
        kept = update(kept, torch.tensor(value), torch.tensor(n))
    return float(kept)


def test_a_short_training_keeps_next_to_nothing_of_its_beginning() -> None:
    assert follow([1.0] + [0.0] * 50, 0.99) < 1e-3
    assert 0.99**50 > 0.6  # what a constant decay would keep


def test_a_long_training_is_averaged_with_the_decay_asked_for() -> None:
    n = 3000
    values = torch.linspace(0, 1, n).tolist()
    lag = (1.0 - follow(values, 0.99)) * (n - 1)
    assert lag == pytest.approx(0.99 / 0.01, rel=1e-2)


def test_weights_that_a_run_keeps_are_those_of_its_end(films: Path, tmp_path: Path) -> None:
    kept = {}
    for ema in (0.0, 0.999):
        out = tmp_path / str(ema)
        train(tiny_job(films, out, ema=ema))
        state = SafeCheckpointIO().load_checkpoint(out / "checkpoints" / "last.ckpt")["state_dict"]
        kept[ema] = torch.cat([v.ravel() for k, v in state.items() if k.endswith("weight")])
    assert torch.nn.functional.cosine_similarity(kept[0.0], kept[0.999], dim=0) > 0.99
