"""Sharpness-aware steps, by hand."""

import pytest

pytest.importorskip("torch")

import torch

from firstread.train.sharpness import SharpnessAware


def test_the_gradient_is_that_of_the_worst_point_nearby() -> None:
    weights = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = SharpnessAware([{"params": [weights]}], radius=0.5, lr=0.1, weight_decay=0.0)
    seen = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        seen.append(weights.detach().clone())
        loss = (weights**2).sum()
        loss.backward()
        return loss

    assert float(optimizer.step(closure).detach()) == 25.0
    torch.testing.assert_close(seen[1], torch.tensor([3.3, 4.4]))
    torch.testing.assert_close(weights.grad, torch.tensor([6.6, 8.8]))
    torch.testing.assert_close(weights.detach(), torch.tensor([2.9, 3.9]))
    with pytest.raises(ValueError, match="closure"):
        optimizer.step()
