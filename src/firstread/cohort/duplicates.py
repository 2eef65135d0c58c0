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
from collections.abc import Iterable, Sequence
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

MAX_PAIRS = 200_000
"""Near pairs kept at most; a folder with more is one picture many times over."""


@dataclass(frozen=True)
class Pair:
    """Films number `first` < `second` look alike: `correlation` from -1 (inverted) to 1."""

    first: int
    second: int
    correlation: float


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


def near_pairs(
    thumbnails: npt.NDArray[np.uint8], threshold: float = THRESHOLD, limit: int = MAX_PAIRS
) -> list[Pair]:
    """Pairs of `thumbnails` (n, 64, 64) uint8 that correlate by `threshold` or more.

    Blockwise matrix products: about two seconds for 5,000 films on a core, memory
    independent of n. A blank thumbnail matches nothing. Stops after `limit` pairs.
    """
    n = len(thumbnails)
    pairs: list[Pair] = []
    for top in range(0, n, BLOCK):
        rows = _normalised(thumbnails[top : top + BLOCK])
        for left in range(top, n, BLOCK):
            columns = rows if left == top else _normalised(thumbnails[left : left + BLOCK])
            alike = rows @ columns.T
            for r, c in zip(*np.nonzero(np.abs(alike) >= threshold), strict=True):
                i, j = top + int(r), left + int(c)
                if i < j:
                    pairs.append(Pair(i, j, float(np.clip(alike[r, c], -1, 1))))
                    if len(pairs) >= limit:
                        return pairs
    return pairs


def _normalised(block: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(k, 64, 64) uint8 to (k, 4096) float32 of zero mean and unit length (or all zero)."""
    flat = block.reshape(len(block), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    # Under one grey level of spread there is no picture to compare, only rounding.
    flat[length[:, 0] < np.sqrt(flat.shape[1])] = 0
    return np.asarray(flat / np.maximum(length, 1e-6), dtype=np.float32)


def joined(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Sorted groups of indices connected by `links`.

    >>> joined([(1, 4), (4, 6), (0, 2)])
    [[0, 2], [1, 4, 6]]
    """
    parent: dict[int, int] = {}

    def find(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in links:
        parent[find(b)] = find(a)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(parent):
        groups[find(i)].append(i)
    return sorted(groups.values())
