"""MobileNetV2 1.0 (Sandler et al. 2018, arXiv:1801.04381) with torchvision's key names.

Written out here because torchvision cannot be imported beside every CPU build of torch.
Weights that come from TensorFlow expect its SAME padding, which is asymmetric at stride 2;
with the symmetric padding of torchvision every feature map would be shifted by a pixel.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from firstread.model.net import FilmNet, Head
from firstread.model.weights import WeightRecord

STAGES = (  # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FEATURES = 1280

LOOKS = tuple(f"features.{i}" for i in range(7, 14))
"""The blocks at a stride of 16. Earlier ones do not tell a film that is upside down, later ones
take films of another hospital for strange."""

STRANGE = 64
"""Of those the first block's channels alone tell how strange a film is: the later a block, the
stranger adults are to it, and the less so lateral views."""


class _SameConv2d(nn.Conv2d):
    """A 3 x 3 convolution at stride 2 that pads as TensorFlow's SAME does."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for n in (x.shape[3], x.shape[2]):
            # Of a negative number the exporter to ONNX would round // the other way.
            total = max(((n + 1) // 2 - 1) * 2 + 3 - n, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, 2, 0, 1, self.groups)


def _conv3(ins: int, outs: int, stride: int, groups: int, same: bool) -> nn.Conv2d:
    if stride == 2 and same:
        return _SameConv2d(ins, outs, 3, 2, 0, groups=groups, bias=False)
    return nn.Conv2d(ins, outs, 3, stride, 1, groups=groups, bias=False)


def _block(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU6(inplace=True))


class _InvertedResidual(nn.Module):
    def __init__(self, ins: int, outs: int, stride: int, expansion: int, same: bool) -> None:
        super().__init__()
        hidden = ins * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(_block(nn.Conv2d(ins, hidden, 1, bias=False)))
        layers += [
            _block(_conv3(hidden, hidden, stride, hidden, same)),
            nn.Conv2d(hidden, outs, 1, bias=False),
            nn.BatchNorm2d(outs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and ins == outs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


def mobilenet_v2(record: WeightRecord, dropout: float) -> FilmNet:
    """MobileNetV2's features, average-pooled, dropout, one logit; 2.2 M parameters."""
    same = record.padding == "same"
    layers: list[nn.Module] = [_block(_conv3(3, 32, 2, 1, same))]
    channels = 32
    for expansion, width, repeats, first_stride in STAGES:
        for i in range(repeats):
            stride = first_stride if i == 0 else 1
            layers.append(_InvertedResidual(channels, width, stride, expansion, same))
            channels = width
    layers.append(_block(nn.Conv2d(channels, FEATURES, 1, bias=False)))
    trunk = nn.Sequential()
    trunk.add_module("features", nn.Sequential(*layers))
    head = Head(FEATURES, 0, pool=True, hidden=(), dropout=dropout)
    return FilmNet(trunk, head, record.mean, record.std, LOOKS, STRANGE)
