"""Keep a share of the weights that a second step began with.

A network that went on to learn something else lost a part of what it knew before. The weights of
both lie in one valley, and on the line between them the network knows more of either than at the
ends (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903). Here the first step ranks films of another
series better, the second keeps its evidence in the lungs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from firstread.model.net import FilmNet
from firstread.train.checkpoint import SafeCheckpointIO

BLENDED = "blended.ckpt"
"""In a run's checkpoints: the network that is kept, where a share of its start is in it."""


def blend(net: FilmNet, start: Mapping[str, Tensor], share: float) -> None:
    """Bring the tensors of `net` that are numbers `share` of the way back to those of `start`, in
    place; running means and variances of its normalisation, too."""
    with torch.no_grad():
        for name, now in net.state_dict().items():
            if now.is_floating_point():
                now.lerp_(start[name].to(now), share)


def keep_blend(net: FilmNet, out: Path) -> None:
    """Write the network into the run `out`, whole or not at all."""
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    SafeCheckpointIO().save_checkpoint({"state_dict": tensors}, out / "checkpoints" / BLENDED)
