"""Where a cut between films may lie."""

import numpy as np
import pytest

from firstread.evaluate.cuts import HAIR, cut_expected, cut_reaching, cuts_of


def cut(z, truth, wanted):
    z, truth = np.asarray(z, float), np.asarray(truth, bool)
    return cut_expected(cuts_of(z, truth, np.ones(len(z))), z[truth], wanted)


def test_the_expected_cut_is_a_rank_of_the_films_with_pneumonia():
    """Nine films, sensitivity 0.8: the second of ten ranks from below, so the second film."""
    z, truth = np.arange(-5.0, 10.0), np.arange(15) > 5
    assert cut(z, truth, 0.8) == pytest.approx(2.0 - HAIR)
    assert cut(z, truth, 0.75) == pytest.approx(2.5)
    assert cut(z, truth, 0.95) == pytest.approx(0.5)  # half a rank below the lowest


def test_a_cut_lies_on_no_film():
    z, truth = [0.0, 1.0, 1.5, 2.0, 3.0, 4.0], [0, 1, 0, 1, 1, 1]
    at = cut(z, truth, 0.6)  # rank 2 of 4 films: 2.0 itself, and a film without at 1.5
    assert 1.5 < at < 2.0
    assert at == pytest.approx(2.0, abs=0.01)
    assert cut([0.0, 3.0], [0, 1], 0.9) < 3.0


@pytest.mark.parametrize(("n", "wanted"), [(10, 0.9), (19, 0.95), (20, 0.95), (38, 0.95)])
def test_new_films_lie_above_as_often_as_wanted(n, wanted):
    """The highest cut that reaches it on the films at hand steps with their number instead."""
    rng = np.random.default_rng(0)
    truth = np.arange(n + 1) > 0
    expected, reaching = [], []
    for _ in range(2000):
        z = np.concatenate([[0.0], rng.random(n)])  # of new films a share 1 - cut lies above
        expected.append(1.0 - cut(z, truth, wanted))
        cuts = cuts_of(z, truth, np.ones(n + 1))
        reaching.append(1.0 - cut_reaching(cuts, wanted))
    assert np.mean(expected) == pytest.approx(wanted, abs=0.006)
    if n in (10, 20):
        assert np.mean(reaching) < wanted - 0.02
