"""Films that keep their shapes and take another film's texture and tone, inside the network.

MixStyle (Zhou et al. 2021, arXiv:2104.02008): the mean and spread of every channel in the first
blocks carry the style of a film, its detector and processing, more than what it shows. In training,
at each of three places for half of the batches, they are mixed with those of another film.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CHANCE = 0.5
"""Of a batch to be mixed; the paper's."""

PLACES = ("features.2", "features.4", "features.7")
"""MobileNetV2's blocks behind which styles are mixed: the first of strides 4, 8 and 16."""


def mixed_style(features: Tensor, alpha: float) -> Tensor:
    """(n, c, h, w) to the same, each film's channel means and spreads mixed with another's.

    The share of the other is drawn from Beta(alpha, alpha) for every film. Nothing is learnt
    through the means and spreads themselves. Random numbers are torch's own.
    """
    n = len(features)
    mean = features.mean(dim=(2, 3), keepdim=True).detach()
    spread = (features.var(dim=(2, 3), keepdim=True, correction=0) + 1e-6).sqrt().detach()
    share = torch.distributions.Beta(alpha, alpha).sample(torch.Size((n, 1, 1, 1))).to(features)
    other = torch.randperm(n).to(features.device)
    new_mean = mean * share + mean[other] * (1 - share)
    new_spread = spread * share + spread[other] * (1 - share)
    return (features - mean) / spread * new_spread + new_mean


class StyleMixing:
    """Mixes styles behind the first blocks of a trunk while it is in training, until removed."""

    def __init__(self, trunk: nn.Module, alpha: float) -> None:
        self.alpha = alpha
        blocks = dict(trunk.named_modules())
        self.handles = [blocks[place].register_forward_hook(self._mix) for place in PLACES]

    def _mix(self, module: nn.Module, given: Any, features: Tensor) -> Tensor:
        if not module.training or float(torch.rand(())) >= CHANCE:
            return features
        return mixed_style(features, self.alpha)

    def remove(self) -> None:
        """Leave the trunk as it was."""
        for handle in self.handles:
            handle.remove()
