"""Who is drawn and who judges, against the same told by texts; and that texts are compared once."""

import numpy as np
import pytest

from firstread.errors import DataError
from firstread.evaluate.local_draws import Draws, Films


def some(patients, names):
    n = len(patients)
    return Films(np.zeros(n), np.arange(n) % 3 == 0, np.array(patients), np.array(names))


def by_texts(pool, judged, films, rng):
    """The first draw, a text at a time."""
    order = list(rng.permutation(np.unique(pool.patients)))
    drawn = sorted(range(len(pool)), key=lambda i: order.index(pool.patients[i]))[:films]
    patients, names = set(pool.patients[drawn]), set(pool.names[drawn]) - {""}
    pairs = zip(judged.patients, judged.names, strict=True)
    return drawn, [p not in patients and n not in names for p, n in pairs]


@pytest.fixture
def pool():
    return some([f"p{i % 40}" for i in range(100)], ["", *(f"a/{i}.png" for i in range(1, 100))])


@pytest.fixture
def judged():
    """Patients of the pool, of other tables, and films of the pool under other patients."""
    patients = [f"p{i}" for i in range(20, 60)] + [f"q{i}" for i in range(60)]
    return some(patients, [f"a/{i}.png" if i % 2 else "" for i in range(100)])


@pytest.mark.parametrize("seed", range(5))
def test_as_told_by_texts(pool, judged, seed):
    for other in (judged, pool):
        drawn, rest = Draws(pool, other, 30).draw(np.random.default_rng(seed))
        wanted = by_texts(pool, other, 30, np.random.default_rng(seed))
        assert (drawn.tolist(), rest.tolist()) == wanted


def test_a_draw_looks_at_no_text(pool, judged):
    draws = Draws(pool, judged, 30)
    for films in (pool, judged):
        films.patients[:] = films.names[:] = "one"
    drawn, rest = draws.draw(np.random.default_rng(0))
    assert len(drawn) == 30
    assert rest.sum() >= 30


def test_too_few_are_refused(pool, judged):
    with pytest.raises(DataError, match="100 local films are too few"):
        Draws(pool, judged, 101)
    with pytest.raises(DataError, match="of 100 films too few"):
        Draws(pool, pool, 90).draw(np.random.default_rng(0))
