"""The same film twice: byte for byte, or re-saved.

Exact duplicates share a sha256. Near duplicates are found by the normalised correlation of
64 px grey thumbnails, its sign ignored so that an inverted copy counts too. The threshold
of 0.985 was chosen on the Guangzhou train and val folders (5,232 films) and on 87 of its
films at original size:

- 0.9994 or more: a film against its copy at another size or JPEG quality;
- 0.988 or more: against its copy with gamma 0.7 or 1.4;
- 0.971 at most: two different films of these folders, of 13.7 million pairs;
- 0.96 to 0.99: against its copy with 1 % cropped off each side, and less for more: a
  cropped or mirrored copy may escape.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.film import Film, Preprocess, preprocess

SIDE = 64
"""Side of a thumbnail in pixels."""

THRESHOLD = 0.985
"""|correlation| of two thumbnails from which on they are taken for one film."""

BLOCK = 1024
"""Films a side in one matrix product: 16 MB of thumbnails, 4 MB of correlations."""

COARSE = 8
"""Squares a side by which films that cannot be alike are told apart at a sixtieth of the cost."""

ROUNDING = 1e-3
"""More than single precision may be off in what two films correlate by at the most."""

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pairs:
    """Films number `first` (n,) int64 < `second` (n,) look alike: `correlation` (n,) float32 from
    -1 (inverted) to 1."""

    first: Indices
    second: Indices
    correlation: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def thumbnail(film: Film) -> npt.NDArray[np.uint8]:
    """A film as (64, 64) uint8, squashed by the same `preprocess` as everything else."""
    return preprocess(film, Preprocess(size=SIDE))


def exact_groups(hashes: Sequence[str | None]) -> list[list[int]]:
    """Indices of films with the same hash, each group of two or more; None matches nothing.

    >>> exact_groups(["a", "b", "a", None, None])
    [[0, 2]]
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for i, sha in enumerate(hashes):
        if sha is not None:
            groups[sha].append(i)
    return [g for g in groups.values() if len(g) > 1]


def near_pairs(thumbnails: npt.NDArray[np.uint8], threshold: float = THRESHOLD) -> Iterator[Pairs]:
    """All pairs of `thumbnails` (n, 64, 64) uint8 that correlate by `threshold` or more.

    Blockwise matrix products: about a second for 5,000 films on a core. Two films correlate by
    no more than their `COARSE` squares do and what is left of each at the most: only films that
    may reach the threshold by that are compared in full. The pairs of a block come together, so
    that memory hardly grows with n even where one picture stands there many times over and nearly
    every pair is one. A blank thumbnail matches nothing.
    """
    coarse, left = _squares(thumbnails)
    for top in range(0, len(thumbnails), BLOCK):
        for beside in range(top, len(thumbnails), BLOCK):
            a, b = slice(top, top + BLOCK), slice(beside, beside + BLOCK)
            most = np.abs(coarse[a] @ coarse[b].T)
            most += left[a, None] * left[None, b]
            near = most >= threshold - ROUNDING
            if beside == top:
                near = np.triu(near, 1)
            rows, columns = near.any(axis=1).nonzero()[0], near.any(axis=0).nonzero()[0]
            if not len(rows):
                continue
            first, second = top + rows, beside + columns
            alike = _normalised(thumbnails[first]) @ _normalised(thumbnails[second]).T
            r, c = np.nonzero(np.abs(alike) >= threshold)
            ordered = first[r] < second[c]
            r, c = r[ordered], c[ordered]
            if len(r):
                yield Pairs(first[r], second[c], np.clip(alike[r, c], -1, 1))


def _squares(thumbnails: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Of each thumbnail (n, 64, 64), normalised, the part that `COARSE` x `COARSE` squares of one
    grey hold, as coordinates (n, 64), and the length of what they do not (n,)."""
    coarse = np.empty((len(thumbnails), COARSE * COARSE), np.float32)
    left = np.empty(len(thumbnails), np.float32)
    side = SIDE // COARSE
    for top in range(0, len(thumbnails), BLOCK):
        films = _normalised(thumbnails[top : top + BLOCK])
        squares = films.reshape(len(films), COARSE, side, COARSE, side).mean(axis=(2, 4)) * side
        coarse[top : top + BLOCK] = squares.reshape(len(films), -1)
        rest = (films**2).sum(axis=1) - (squares**2).sum(axis=(1, 2))
        left[top : top + BLOCK] = np.sqrt(np.maximum(rest, 0))
    return coarse, left


def _normalised(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(k, 64, 64) uint8 to (k, 4096) float32 of zero mean and unit length (or all zero)."""
    flat = block.reshape(len(block), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    # Under one grey level of spread there is no picture to compare, only rounding.
    flat[length[:, 0] < np.sqrt(flat.shape[1])] = 0
    return np.asarray(flat / np.maximum(length, 1e-6), dtype=np.float32)


class Joined:
    """Groups of n things, joined by links that come a batch at a time and are not kept.

    >>> groups = Joined(7)
    >>> groups.link(np.array([1, 4, 0]), np.array([4, 6, 2]))
    >>> groups.groups()
    [[0, 2], [1, 4, 6]]
    """

    def __init__(self, n: int) -> None:
        self.names = np.arange(n)
        """(n,) of each thing the least of its group."""

    def link(self, first: Indices, second: Indices) -> None:
        """Join `first` (k,) int64 each to its `second` (k,)."""
        while True:
            a, b = self.names[first], self.names[second]
            apart = a != b
            if not apart.any():
                return
            into = np.arange(len(self.names))
            np.minimum.at(into, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
            while (into != into[into]).any():
                into = into[into]
            self.names = into[self.names]

    def groups(self) -> list[list[int]]:
        """Sorted groups of two or more."""
        order = np.argsort(self.names, kind="stable")
        cuts = np.flatnonzero(np.diff(self.names[order])) + 1
        return [g.tolist() for g in np.split(order, cuts) if len(g) > 1]
