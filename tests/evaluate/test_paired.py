import numpy as np
import pytest

from firstread.errors import DataError
from firstread.evaluate.paired import accuracy_difference, delong_paired, mcnemar


def rights(only_a, only_b, both=50):
    a = np.array([True] * only_a + [False] * only_b + [True] * both)
    b = np.array([False] * only_a + [True] * only_b + [True] * both)
    return a, b


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (8, 2, 2 * (1 + 10 + 45) / 1024)],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    test = mcnemar(*rights(only_a, only_b))
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p_value == pytest.approx(p)
    assert mcnemar(*rights(only_b, only_a)).p_value == pytest.approx(p)


def test_mcnemar_of_thousands_does_not_overflow():
    assert 0 < mcnemar(*rights(2600, 2400)).p_value < 0.01


def test_delong_has_its_size_where_nothing_differs():
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(300):
        truth = rng.random(120) < 0.5
        common = rng.normal(truth * 1.0, 1)
        a, b = common + rng.normal(0, 0.5, 120), common + rng.normal(0, 0.5, 120)
        p_values.append(delong_paired(a, b, truth).p_value)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_delong_sees_a_difference_and_its_direction():
    rng = np.random.default_rng(1)
    truth = rng.random(400) < 0.5
    good, poor = rng.normal(truth * 2.0, 1), rng.normal(truth * 1.0, 1)
    test = delong_paired(good, poor, truth)
    assert test.p_value < 1e-3
    assert test.difference.low > 0
    assert test.auc_a - test.auc_b == pytest.approx(test.difference.value)
    assert delong_paired(poor, good, truth).z == pytest.approx(-test.z)


def test_delong_of_a_model_with_itself():
    truth = np.array([0, 1, 0, 1, 1])
    same = np.array([0.1, 0.4, 0.5, 0.9, 0.8])
    assert delong_paired(same, 3 * same + 1, truth).p_value == 1.0
    perfect = np.array([0.1, 0.9, 0.2, 0.8, 0.7])
    reverse = delong_paired(perfect, -perfect, truth)
    assert reverse.p_value == 2 / 2**5
    assert np.isnan(reverse.difference.low)
    assert reverse.z == np.inf


def test_one_film_of_a_class_shows_nothing():
    rng = np.random.default_rng(0)
    truth = np.arange(60) == 0
    test = delong_paired(rng.random(60), rng.random(60), truth)
    assert test.p_value == 1.0
    assert np.isnan(test.difference.low)
    assert np.isnan(test.z)


def test_pairing_narrows_the_difference():
    rng = np.random.default_rng(2)
    a = rng.random(500) < 0.9
    b = a.copy()
    b[:10] = ~b[:10]
    e = accuracy_difference(a, b, [str(i // 2) for i in range(500)])
    assert e.value == pytest.approx(a.mean() - b.mean())
    assert e.low <= e.value <= e.high
    assert e.high - e.low < 0.04


def test_other_films_are_refused():
    with pytest.raises(DataError, match="same films"):
        mcnemar([True], [True, False])
    with pytest.raises(DataError, match="same films"):
        accuracy_difference(np.array([True]), np.array([True]), ["a", "b"])


def test_a_child_with_many_films_counts_once():
    """Two models that are alike, thirty children of eight films: film by film they would differ in
    every other such set."""
    rng, found = np.random.default_rng(0), []
    who = np.repeat(np.arange(30), 8)
    patients = [f"p{i}" for i in who]
    truth = who < 15
    for _ in range(200):
        sides = [rng.normal(0, 1, 30)[who] + rng.normal(0, 0.3, 240) + truth for _ in range(2)]
        right = [(side > 0.5) == truth for side in sides]
        found.append(
            (
                mcnemar(*right).p_value < 0.05,
                mcnemar(*right, patients).p_value < 0.05,
                delong_paired(*sides, truth).p_value < 0.05,
                delong_paired(*sides, truth, patients).p_value < 0.05,
            )
        )
    by_film, by_patient, areas, areas_by_patient = np.mean(found, axis=0)
    assert min(by_film, areas) > 0.3
    assert by_patient < 0.08
    assert areas_by_patient < 0.11


def test_signs_are_turned_by_patient():
    a = np.array([True] * 5 + [False] * 2)
    b = ~a
    # Sums 3, 2 and -2 of three patients: of the eight sums with other signs, six are as far off.
    test = mcnemar(a, b, ["a", "a", "a", "b", "b", "c", "c"])
    assert (test.only_a, test.only_b) == (5, 2)
    assert test.p_value == pytest.approx(6 / 8)


def test_alike_is_not_surely_alike():
    right = np.ones(40, bool)
    e = accuracy_difference(right, right, [str(i // 2) for i in range(40)])
    assert (e.value, e.low, e.high) == (0.0, -e.high, pytest.approx(0.1611, abs=1e-3))
