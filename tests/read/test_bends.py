"""A bent calibration: rising everywhere, undone by itself turned round, and read with a film."""

from pathlib import Path

import numpy as np
import pytest

from bundles import tiny_bundle
from firstread.errors import BundleError
from firstread.read.bends import bend, turned
from firstread.read.bundle import Bundle

BENDS = ((-2.0, -1.0), (0.0, 0.5), (1.0, 3.0))


def test_straight_between_the_points_and_parallel_beyond() -> None:
    assert bend(BENDS[1][0], BENDS) == pytest.approx(0.5)
    assert bend([-1.0, 0.5], BENDS) == pytest.approx([-0.25, 1.75])
    assert bend([-12.0, 11.0], BENDS) == pytest.approx([-11.0, 13.0])
    assert bend([[1.0], [2.0]], ()).tolist() == [[1.0], [2.0]]
    assert bend([0.0, 5.0], ((1.0, 3.0),)) == pytest.approx([2.0, 7.0])  # one point: a shift


def test_films_keep_their_order_and_nothing_is_lost() -> None:
    z = np.linspace(-40, 40, 1001)
    there = bend(z, BENDS)
    assert (np.diff(there) > 0).all()
    assert bend(there, turned(BENDS)) == pytest.approx(z)


def test_a_card_with_bends_gives_the_bent_probability(tmp_path: Path) -> None:
    told = {"slope": 2.0, "intercept": 1.0, "how": "by hand", "bends": [list(p) for p in BENDS]}
    card = Bundle.load(tiny_bundle(tmp_path / "bent", calibration=told)).card
    # 2 * -0.5 + 1 = 0, which is bent to 0.5.
    assert card.probability(-0.5) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert card.calibration.bends == BENDS


@pytest.mark.parametrize(
    "bends",
    [
        [[0.0, 1.0], [0.0, 2.0]],
        [[0.0, 1.0], [1.0, 1.0]],
        [[1.0, 1.0], [0.0, 2.0]],
        [[0.0, 1.0, 2.0]],
        [0.0, 1.0],
        [["a", "b"]],
        [[0.0, None]],
        5,
        [[0.0, 1e999]],
    ],
)
def test_bends_that_would_lose_the_order_are_refused(tmp_path: Path, bends: object) -> None:
    told = {"slope": 1.0, "intercept": 0.0, "how": "", "bends": bends}
    with pytest.raises(BundleError, match=r"calibration\.bends must be"):
        tiny_bundle(tmp_path / "bad", calibration=told)
    assert list(tmp_path.iterdir()) == []
