"""The lung net: a small U-Net (Ronneberger et al. 2015, arXiv:1505.04597) of our own.

The film is read at half its size, as blocks of 2 x 2 pixels folded into channels, and the
outline is unfolded from channels again. So the widest maps are 56 x 56 and the net costs a
fraction of a classifier, while its outline is as fine as 112 x 112 pixels allow.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FILM = 224
"""Side of the film the exported graph reads, in pixels."""

WORK = 112
"""Side the net works at. A lung's edge is drawn no finer than that in the masks at hand."""

WIDTHS = (20, 40, 72, 108)
"""Channels at 56, 28, 14 and 7 pixels."""


def _convs(ins: int, outs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a in (ins, outs):
        layers += [nn.Conv2d(a, outs, 3, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU()]
    return nn.Sequential(*layers)


class LungNet(nn.Module):
    """Grey pixels in [0, 1], (n, 1, s, s), to the lungs' logits (n, s, s); s a multiple of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convs(4, WIDTHS[0])
        self.down = nn.ModuleList(_convs(a, b) for a, b in pairwise(WIDTHS))
        # Narrowed before it is enlarged: a convolution of 1 pixel costs a quarter there.
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(WIDTHS))
        self.up = nn.ModuleList(_convs(2 * a, a) for a in WIDTHS[:-1])
        self.head = nn.Conv2d(WIDTHS[0], 4, 1)

    def forward(self, film: Tensor) -> Tensor:
        """(n, 1, s, s) in [0, 1] to logits (n, s, s)."""
        # Each film at its own mean and spread: exposure says nothing of where the lungs are.
        mean = film.mean(dim=(2, 3), keepdim=True)
        spread = ((film - mean) ** 2).mean(dim=(2, 3), keepdim=True).sqrt()
        x = self.stem(F.pixel_unshuffle((film - mean) / (spread + 0.05), 2))
        finer = []
        for level in self.down:
            finer.append(x)
            x = level(F.max_pool2d(x, 2))
        for narrow, level, skip in zip(
            reversed(self.narrow), reversed(self.up), reversed(finer), strict=True
        ):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = level(torch.cat([skip, x], dim=1))
        return F.pixel_shuffle(self.head(x), 2).squeeze(1)


class LungReading(nn.Module):
    """What the exported graph does: halve the film, find the lungs, bring them back to its size.

    `film` uint8 (n, 224, 224) to `lungs` float32 (n, 224, 224), the probability of lung.
    """

    def __init__(self, net: LungNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, film: Tensor) -> Tensor:
        """(n, 224, 224) uint8 to probabilities (n, 224, 224)."""
        half = F.avg_pool2d(film.unsqueeze(1).float() / 255.0, FILM // WORK)
        logits = self.net(half).unsqueeze(1)
        whole = F.interpolate(logits, size=(FILM, FILM), mode="bilinear", align_corners=False)
        return torch.sigmoid(whole).squeeze(1)
