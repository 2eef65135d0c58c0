"""Batches of films in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Batches:
    """One pass over cached films; iterating yields (films uint8 (b, ...), labels float (b,)).

    `order`: indices of the films, already in the order wanted. `films` may be any array whose
    first axis is the film: pixels (n, s, s), or features that were computed once. With
    `lungs`, masks (n, g, g) of the same films, each batch has theirs as a third part.
    """

    def __init__(
        self,
        films: npt.NDArray[np.generic],
        labels: npt.NDArray[np.int8],
        order: npt.NDArray[np.int64],
        batch_size: int,
        lungs: npt.NDArray[np.uint8] | None = None,
    ) -> None:
        self.films, self.labels, self.lungs = films, labels, lungs
        self.order, self.batch_size = order, batch_size

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(self.order), self.batch_size):
            chosen = self.order[start : start + self.batch_size]
            films = torch.from_numpy(np.ascontiguousarray(self.films[chosen]))
            labels = torch.from_numpy(self.labels[chosen].astype(np.float32))
            if self.lungs is None:
                yield films, labels
            else:
                yield films, labels, torch.from_numpy(self.lungs[chosen])


def epoch_order(
    labels: npt.NDArray[np.int8], balance: bool, batch_size: int, seed: int, epoch: int
) -> npt.NDArray[np.int64]:
    """The films of one epoch, shuffled; as many as there are, less an incomplete batch.

    With `balance` each class gives half of them: the rarer class comes up more than once,
    each film equally often up to one, and of the other class another share every epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    n = len(labels)
    if not balance:
        order = rng.permutation(n)
    else:
        halves = [_draw(np.flatnonzero(labels == c), n // 2, rng) for c in (0, 1)]
        # Interleaved, so that every batch is balanced and not only the epoch.
        order = np.stack(halves, axis=1).ravel()
    whole = len(order) // batch_size * batch_size
    return order[: whole or len(order)]


def _draw(
    members: npt.NDArray[np.int64], n: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    rounds = -(-n // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)])[:n]
