"""Sharpness-aware minimisation (Foret et al. 2021, arXiv:2010.01412) over AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class SharpnessAware(torch.optim.AdamW):
    """AdamW by the gradient at the worst point within `radius` of where the weights are.

    `radius`: length of the step to that point, of all weights together. A step takes two passes;
    `step` must be given the closure that makes them.
    """

    def __init__(self, groups: list[dict[str, Any]], radius: float, **how: Any) -> None:
        super().__init__(groups, **how)
        self.radius = radius

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns the loss at the weights as they were. Raises `ValueError` without a
        closure."""
        if closure is None:
            raise ValueError("sharpness-aware minimisation needs a closure")
        with torch.enable_grad():
            loss = closure()
        moved: list[tuple[Tensor, Tensor]] = []
        grads = [(p, p.grad) for g in self.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.stack([grad.norm() for _, grad in grads]).norm()
        for p, grad in grads:
            by = grad * (self.radius / (norm + 1e-12))
            p.add_(by)
            moved.append((p, by))
        with torch.enable_grad():
            closure()
        for p, by in moved:
            p.sub_(by)
        super().step()
        return loss
