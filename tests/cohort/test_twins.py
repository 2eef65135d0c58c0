"""Twins among many look-alikes: every pair counts, however few are listed."""

from pathlib import Path

import numpy as np
import pytest

from firstread.cohort import duplicates
from firstread.cohort.look import Seen
from firstread.cohort.sides import NearAcross, Sides, crossings
from firstread.cohort.table import Cohort, FilmRow
from firstread.cohort.twins import LISTED, describe_twins, find_twins, identical


def _seen(thumbnail: np.ndarray, sha256: str) -> Seen:
    return Seen(sha256, None, None, 64, 64, "L", "PNG", 9, 0.0, thumbnail)


def _cohort(n: int) -> Cohort:
    rows = (FilmRow(f"{i}.png", Path(f"{i}.png"), i % 2, f"p{i}") for i in range(n))
    return Cohort(Path(), tuple(rows))


def test_a_leak_behind_many_look_alikes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pair that leaks is the last of many, in the last block."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    n = 60
    seen = [_seen(one, f"{i}") for i in range(n)] + [_seen(other, "x"), _seen(other, "y")]
    sides = Sides("folders", (*["train"] * (n + 1), "val"), judged=True)
    monkeypatch.setattr(duplicates, "BLOCK", 16)
    near = NearAcross(sides, [])
    twins = find_twins(seen, identical(seen), [near])
    assert twins.near == [list(range(n)), [n, n + 1]]
    assert twins.pairs == n * (n - 1) // 2 + 1
    [cross] = crossings(_cohort(n + 2), twins.exact, near)
    assert cross["near"] == 1
    assert cross["examples"]["near"] == [["60.png", "61.png"]]
    told = describe_twins(_cohort(n + 2), twins)["near"]
    assert (told["n_pairs"], len(told["pairs"]), told["complete"]) == (1771, LISTED, False)
    assert told["pairs"][0]["correlation"] == 1.0


@pytest.mark.parametrize("first", [None, "train"])
def test_a_copy_that_stands_nowhere_hides_no_leak(first: str | None) -> None:
    """Film 1 has the bytes of film 0, and film 2 is film 0 saved again."""
    film = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    seen = [_seen(film, sha) for sha in ("same", "same", "again")]
    exact = identical(seen)
    near = NearAcross(Sides("split", (first, "train", "val"), judged=True), exact)
    find_twins(seen, exact, [near])
    [cross] = crossings(_cohort(3), exact, near)
    assert (cross["exact"], cross["near"]) == (0, 1)
    assert cross["examples"]["near"] == [["1.png" if first is None else "0.png", "2.png"]]
