"""The small binary CNN of the origin: four convolutions, one dense layer."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from firstread.model.net import FilmNet, Head

WIDTHS = (32, 64, 128, 128)


class _Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((1, *WIDTHS)))
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            # Pooling first gives the same result (ReLU is monotone) for a quarter of the work.
            x = self.relu(self.pool(conv(x)))
        return x


def cnn(size: int, dropout: float) -> FilmNet:
    """Conv 32-64-128-128, each max-pooled; dense 128; dropout; one logit. No weights needed."""
    head = Head(WIDTHS[-1], size // 16, pool=False, hidden=(128,), dropout=dropout)
    return FilmNet(_Trunk(), head, mean=(0.0,), std=(1.0,))
