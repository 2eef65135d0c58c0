"""VGG19 (Simonyan & Zisserman 2015, arXiv:1409.1556) with torchvision's key names."""

from __future__ import annotations

from torch import nn

from firstread.model.net import FilmNet, Head
from firstread.model.weights import WeightRecord

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
LAST_BLOCK = "features.28"
"""First layer of the last convolution block, as torchvision numbers them."""


def vgg19(record: WeightRecord, dropout: float) -> FilmNet:
    """VGG19's convolutions, average-pooled, one dense layer of 256, dropout, one logit."""
    layers: list[nn.Module] = []
    channels = 3
    for width, repeats in BLOCKS:
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    trunk = nn.Sequential()
    trunk.add_module("features", nn.Sequential(*layers))
    head = Head(channels, 0, pool=True, hidden=(256,), dropout=dropout)
    return FilmNet(trunk, head, record.mean, record.std)
