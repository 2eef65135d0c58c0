"""From the name of an architecture to a network."""

from __future__ import annotations

from firstread.errors import RecipeError
from firstread.model.cnn import cnn
from firstread.model.mobilenet_v2 import mobilenet_v2
from firstread.model.names import ARCHITECTURES, MIN_SIZE
from firstread.model.net import FilmNet
from firstread.model.resnet10 import resnet10
from firstread.model.vgg19 import LAST_BLOCK, vgg19
from firstread.model.weights import Weights, load_trunk


def build_net(arch: str, size: int, dropout: float, weights: Weights) -> FilmNet:
    """A network for films of `size` px, started from `weights`. Raises `RecipeError`."""
    if arch not in ARCHITECTURES:
        raise RecipeError(f"architecture {arch!r} is not known; use {', '.join(ARCHITECTURES)}")
    if size < MIN_SIZE[arch]:
        raise RecipeError(f"size {size} is too small; use {MIN_SIZE[arch]} px or more")
    if arch == "cnn":
        return cnn(size, dropout)
    if arch == "resnet10":
        return resnet10(dropout)
    net = {"vgg19": vgg19, "mobilenet_v2": mobilenet_v2}[arch](weights.record, dropout)
    load_trunk(net.trunk, weights)
    return net


FIRST_BLOCKS = tuple(f"features.{i}." for i in range(7))
"""MobileNetV2's stem and blocks down to a stride of 8: edges and textures, and most of a step's
time. What they learnt in a first training needs no second."""


def freeze(net: FilmNet, what: str) -> None:
    """Stop a part of the trunk from learning.

    `what`: "nothing", "base", "first blocks" (of MobileNetV2), or "all but the last block" (of
    VGG19: its fifth, the usual second step after a frozen base). Call `keep_still` whenever the
    network is put into training.
    """
    if what == "nothing":
        return
    seen_last = False
    for name, p in net.trunk.named_parameters():
        if what == "first blocks":
            p.requires_grad_(not name.startswith(FIRST_BLOCKS))
            continue
        seen_last = seen_last or (what != "base" and name.startswith(LAST_BLOCK))
        p.requires_grad_(seen_last)


def keep_still(net: FilmNet) -> None:
    """Put every module whose parameters are all frozen into evaluation.

    Batch statistics are no parameters: a frozen block would go on updating its own.
    """
    for module in net.trunk.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()
