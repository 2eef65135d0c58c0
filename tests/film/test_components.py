"""Connected parts, against a plain flood fill."""

import numpy as np
import pytest

from firstread.film.components import components, fill_holes, largest


def flooded(mask: np.ndarray) -> np.ndarray:
    """What `components` should find, part by part."""
    labels = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        number, todo = labels.max() + 1, [start]
        while todo:
            r, c = todo.pop()
            inside = 0 <= r < mask.shape[0] and 0 <= c < mask.shape[1]
            if inside and mask[r, c] and not labels[r, c]:
                labels[r, c] = number
                todo += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return labels


@pytest.mark.parametrize("density", [0.0, 0.3, 0.55, 0.7, 1.0])
def test_components_are_those_of_a_flood_fill(density: float) -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        mask = rng.random((17, 23)) < density
        found, wanted = components(mask), flooded(mask)
        assert (found > 0).tolist() == mask.tolist()
        pairs = set(zip(found.ravel().tolist(), wanted.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_the_largest_parts_are_kept() -> None:
    mask = np.zeros((10, 10), bool)
    mask[0, 0] = mask[2:5, 2:5] = mask[7:9, 7:10] = True
    assert largest(mask, 1).sum() == 9
    assert largest(mask, 2).sum() == 15
    assert largest(mask, 9).sum() == 16
    assert not largest(np.zeros((4, 4), bool), 2).any()


def test_holes_are_filled_and_bays_are_not() -> None:
    mask = np.zeros((8, 8), bool)
    mask[1:7, 1:7] = True
    mask[3, 3] = False
    mask[0:2, 5] = False
    filled = fill_holes(mask)
    assert filled[3, 3]
    assert not filled[1, 5]
    assert fill_holes(np.ones((3, 3), bool)).all()
