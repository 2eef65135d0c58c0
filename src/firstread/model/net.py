"""What every network here has in common: a trunk, a head, and a map it can explain itself with.

The map is HiResCAM (Draelos & Carin 2020, arXiv:2011.08891): the gradient of the logit
with respect to the trunk's last features, times those features, summed over channels. It
shows exactly what the head added up, and for our heads the gradient has a closed form,
so the map is part of the exported graph and reading needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from firstread.model.names import Opening
from firstread.model.opening import opened


class Head(nn.Module):
    """Features (n, c, h, w) to one logit (n,).

    `pool`: average over the map first ("GAP"), else flatten. `hidden`: widths of ReLU layers
    between. `dropout` stands before the last layer.
    """

    def __init__(
        self, channels: int, side: int, *, pool: bool, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.pool = pool
        widths = [channels if pool else channels * side * side, *hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(n, c, h, w) to (n,)."""
        x = features.mean(dim=(2, 3)) if self.pool else features.flatten(1)
        for layer in list(self.layers)[:-1]:
            x = torch.relu(layer(x))
        logit: Tensor = self.layers[-1](self.dropout(x))
        return logit.squeeze(1)

    def gradient(self, features: Tensor) -> Tensor:
        """d logit / d features, (n, c, h, w), in closed form and without dropout."""
        n, c, h, w = features.shape
        x = features.mean(dim=(2, 3)) if self.pool else features.flatten(1)
        gates = []
        for layer in list(self.layers)[:-1]:
            x = torch.relu(layer(x))
            gates.append((x > 0).to(x.dtype))
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        g = last.weight.expand(n, -1)
        for layer, gate in zip(reversed(list(self.layers)[:-1]), reversed(gates), strict=True):
            assert isinstance(layer, nn.Linear)
            g = (g * gate) @ layer.weight
        if self.pool:
            return (g / (h * w)).reshape(n, c, 1, 1).expand(n, c, h, w)
        return g.reshape(n, c, h, w)


class FilmNet(nn.Module):
    """A network for films: grey pixels in [0, 1], (n, 1, size, size), to a logit (n,).

    `trunk` gives features (n, c, h, w), `head` the logit. `mean` and `std` are the input
    normalisation of the weights the trunk starts from; with three of each the grey film is
    repeated as RGB. They are part of the network, so a weight cannot meet the wrong one.
    `opening` is what is done to a film first. `looks` names the parts of the trunk by whose
    outputs the gate tells what is no film of ours; none: by the features. `strange`: so many of
    what the gate sees, from the first on, tell it how strange a film is; None: all of them.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        head: Head,
        mean: Sequence[float],
        std: Sequence[float],
        looks: Sequence[str] = (),
        strange: int | None = None,
    ) -> None:
        super().__init__()
        self.opening = Opening()
        self.looks = tuple(looks)
        self.strange = strange
        self.trunk = trunk
        self.head = head
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))

    def ready(self, film: Tensor) -> Tensor:
        """(n, 1, size, size) in [0, 1] to what the trunk takes, (n, 1 or 3, size, size)."""
        return (opened(film, self.opening) - self.mean) / self.std

    def features(self, film: Tensor) -> Tensor:
        """(n, 1, size, size) in [0, 1] to (n, c, h, w)."""
        out: Tensor = self.trunk(self.ready(film))
        return out

    def looked(self, ready: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, c, h, w) of what `ready` gave, and what the gate sees, (n, k): the outputs
        of `looks`, one behind the other, each averaged over its map."""
        seen: list[Tensor] = []

        def keep(module: nn.Module, given: object, out: Tensor) -> None:
            seen.append(out.float().mean(dim=(2, 3)))

        parts = [self.trunk.get_submodule(name) for name in self.looks] or [self.trunk]
        hooks = [part.register_forward_hook(keep) for part in parts]
        try:
            features: Tensor = self.trunk(ready)
        finally:
            for hook in hooks:
                hook.remove()
        return features, torch.cat(seen, dim=1)

    def forward(self, film: Tensor) -> Tensor:
        """(n, 1, size, size) in [0, 1] to logits (n,)."""
        logit: Tensor = self.head(self.features(film))
        return logit

    def explain(self, film: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n,) and their HiResCAM maps (n, h, w), positive where evidence speaks for."""
        return self.judge(self.features(film))

    def judge(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n,) and maps (n, h, w) of features (n, c, h, w)."""
        return self.head(features), (self.head.gradient(features) * features).sum(dim=1)


def channels_last(net: FilmNet) -> FilmNet:
    """The network with its weights laid out channels last, which is faster on CPUs; in place.

    By `Tensor.to`, which writes the strides anew: `contiguous` leaves those of a weight that takes
    one channel, which is so either way, and what comes of it is then laid out channels first.
    """
    for p in net.parameters():
        if p.ndim == 4:
            p.data = p.data.to(memory_format=torch.channels_last)
    return net
