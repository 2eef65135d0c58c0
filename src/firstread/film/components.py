"""Connected parts of a mask, without scipy: runs of each row, joined from row to row.

A lung mask of 224 px has some 900 runs, so plain Python takes about a millisecond.
Pixels that touch at a corner only are not connected.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def components(mask: Mask) -> npt.NDArray[np.int32]:
    """(h, w) bool to (h, w) int32: 0 outside, else the number of the pixel's part, from 1."""
    rows, starts, ends = _runs(mask)
    parent = list(range(len(rows)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    above = 0
    for i, row in enumerate(rows):
        while above < i and rows[above] < row - 1:
            above += 1
        j = above
        while j < i and rows[j] == row - 1 and starts[j] < ends[i]:
            if ends[j] > starts[i]:
                parent[find(j)] = find(i)
            if ends[j] >= ends[i]:
                break
            j += 1
        above = min(j, i)
    labels = np.zeros(mask.shape, np.int32)
    numbers: dict[int, int] = {}
    for i, row in enumerate(rows):
        labels[row, starts[i] : ends[i]] = numbers.setdefault(find(i), len(numbers) + 1)
    return labels


def largest(mask: Mask, count: int) -> Mask:
    """The `count` largest parts of `mask`, as a mask; all of it where there are no more."""
    labels = components(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    chosen = np.argsort(-sizes, kind="stable")[:count]
    return np.asarray(np.isin(labels, chosen[sizes[chosen] > 0]))


def fill_holes(mask: Mask) -> Mask:
    """`mask` and whatever it shuts off from the edge of the picture."""
    outside = components(~np.pad(mask, 1))
    return np.asarray(outside != outside[0, 0])[1:-1, 1:-1]


def _runs(mask: Mask) -> tuple[list[int], list[int], list[int]]:
    """Row, first column and column after the last of each run, in reading order."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    return rows.tolist(), starts.tolist(), ends.tolist()
