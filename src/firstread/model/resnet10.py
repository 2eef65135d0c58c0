"""A small ResNet (He et al. 2016, arXiv:1512.03385) for small films, from scratch.

A stem and four basic blocks of 32, 64, 64 and 128 channels: 381 thousand parameters. The stem
does not halve the side, which at 28 px would throw the detail away; shortcuts that change the
size average before they project (He et al. 2019, arXiv:1812.01187, ResNet-D).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from firstread.model.net import FilmNet, Head
from firstread.model.opening import TYPICAL_MEAN, TYPICAL_SPREAD

WIDTHS = (32, 32, 64, 64, 128)
"""Channels of the stem and of each block; a wider block halves the side."""


class _Block(nn.Module):
    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        stride = 1 if ins == outs else 2
        self.first = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outs)
        self.second = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outs)
        shorter: list[nn.Module] = []
        if stride > 1:
            pool = nn.AvgPool2d(stride, ceil_mode=True)
            shorter = [pool, nn.Conv2d(ins, outs, 1, bias=False), nn.BatchNorm2d(outs)]
        self.short = nn.Sequential(*shorter)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return F.relu(y + self.short(x))


def resnet10(dropout: float) -> FilmNet:
    """Stem, four blocks, average pooling, dropout, one logit; for films of any size."""
    stem: list[nn.Module] = [
        nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(),
    ]
    trunk = nn.Sequential(*stem, *(_Block(a, b) for a, b in pairwise(WIDTHS)))
    head = Head(WIDTHS[-1], 0, pool=True, hidden=(), dropout=dropout)
    return FilmNet(trunk, head, mean=(TYPICAL_MEAN,), std=(TYPICAL_SPREAD,))
