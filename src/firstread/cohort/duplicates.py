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

Indices = npt.NDArray[np.int64]


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

    Blockwise matrix products: about two seconds for 5,000 films on a core. The pairs of a block
    come together, so that memory is independent of n even where one picture stands there many
    times over and nearly every pair is one. A blank thumbnail matches nothing.
    """
    n = len(thumbnails)
    for top in range(0, n, BLOCK):
        rows = _normalised(thumbnails[top : top + BLOCK])
        for left in range(top, n, BLOCK):
            columns = rows if left == top else _normalised(thumbnails[left : left + BLOCK])
            alike = rows @ columns.T
            r, c = np.nonzero(np.abs(alike) >= threshold)
            ordered = top + r < left + c
            r, c = r[ordered], c[ordered]
            if len(r):
                yield Pairs(top + r, left + c, np.clip(alike[r, c], -1, 1))


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
        self._name = np.arange(n)  # of each thing the least of its group

    def link(self, first: Indices, second: Indices) -> None:
        """Join `first` (k,) int64 each to its `second` (k,)."""
        while True:
            a, b = self._name[first], self._name[second]
            apart = a != b
            if not apart.any():
                return
            into = np.arange(len(self._name))
            np.minimum.at(into, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
            while (into != into[into]).any():
                into = into[into]
            self._name = into[self._name]

    def groups(self) -> list[list[int]]:
        """Sorted groups of two or more."""
        order = np.argsort(self._name, kind="stable")
        cuts = np.flatnonzero(np.diff(self._name[order])) + 1
        return [g.tolist() for g in np.split(order, cuts) if len(g) > 1]
