import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_intervals import films

from firstread.evaluate.closed_form import (
    delong,
    delong_interval,
    design_effect,
    newcombe,
    wilson,
)


def test_wilson_by_the_book():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert np.isnan(wilson(0, 0)).all()


def test_delong_agrees_with_its_definition():
    _, p, truth = films(30)
    a, b = p[truth][:, None], p[~truth][None, :]
    psi = (a > b) + 0.5 * (a == b)
    variance = psi.mean(1).var(ddof=1) / len(a) + psi.mean(0).var(ddof=1) / b.shape[1]
    values, covariance = delong(p, truth)
    assert values[0] == pytest.approx(roc_auc_score(truth, p))
    assert covariance[0, 0] == pytest.approx(variance)
    low, high = delong_interval(p, truth)
    assert 0 < low < values[0] < high < 1


def test_delong_by_patient_is_delong_where_each_has_one_film():
    _, p, truth = films(60)
    alone = delong(p, truth)
    each = delong(p, truth, [str(i) for i in range(len(p))])
    assert each[1] == pytest.approx(alone[1])
    assert np.isnan(delong(p, truth, ["a"] * len(p))[1]).all()


def test_films_shown_again_do_not_make_an_auc_surer():
    patients, p, truth = films(60, most=1)
    thrice = [np.repeat(x, 3) for x in (p, truth, patients)]
    assert delong(*thrice)[1][0, 0] == pytest.approx(delong(p, truth, patients)[1][0, 0])
    assert delong_interval(*thrice) == pytest.approx(delong_interval(p, truth))
    wide, narrow = delong_interval(*thrice), delong_interval(*thrice[:2])
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_delong_by_patient_is_what_sets_of_patients_vary_by():
    values, told = [], []
    for seed in range(300):
        patients, p, truth = films(60, seed=seed)
        area, covariance = delong(p, truth, patients)
        values.append(area[0])
        told.append(covariance[0, 0])
    assert np.sqrt(np.mean(told)) == pytest.approx(np.std(values), rel=0.15)


def test_newcombe_is_wider_with_fewer_and_never_sure():
    assert newcombe(1.0, 40, 40)[0] > newcombe(1.0, 10, 40)[0] > newcombe(1.0, 3, 3)[0] > 0.3
    assert newcombe(0.0, 20, 30) == pytest.approx((0.0, 1 - newcombe(1.0, 20, 30)[0]))
    low, high = newcombe(0.9, 1000, 1000)
    assert 0.88 < low < 0.9 < high < 0.92
    assert np.isnan(newcombe(0.5, 0, 4)).all()
    # Newcombe 2006 takes Hanley & McNeil's variance at the interval's own end.
    rest = (1 - low) / (2 - low) + low / (1 + low)
    at = low * (1 - low) * (1 + 999 * rest) / 1000**2
    assert (0.9 - low) ** 2 == pytest.approx(1.959964**2 * at, rel=1e-6)


def test_newcombe_of_classes_of_one_size_is_hanley_and_mcneil_at_its_own_end():
    # Radiology 143, 1982: with as many ill as well, both means of N - 1 are N - 1.
    for n in (2, 5, 40):
        for area in (1.0, 0.8):
            low = newcombe(area, n, n)[0]
            q1, q2 = low / (2 - low), 2 * low**2 / (1 + low)
            variance = (low * (1 - low) + (n - 1) * (q1 + q2 - 2 * low**2)) / n**2
            assert (area - low) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)
    assert newcombe(1.0, 1, 1) == pytest.approx(wilson(1, 1))


def test_a_design_effect_is_how_many_films_count_as_one():
    rng = np.random.default_rng(0)
    hit = np.repeat(rng.random(2000) < 0.3, 4)
    assert design_effect(hit, np.repeat(np.arange(2000), 4)) == pytest.approx(4, rel=0.01)
    alone = rng.random(8000) < 0.3
    assert design_effect(alone, np.repeat(np.arange(2000), 4)) == pytest.approx(1, abs=0.15)
    assert design_effect(np.ones(4, bool), np.array([0, 0, 1, 1])) == 1.0
