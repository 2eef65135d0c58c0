import numpy as np
import pytest

pytest.importorskip("torch")

from firstread.cohort.synthetic import draw_film
from firstread.train.gate_films import EDGE, FRAMED, otherwise, spoilt, worse

SIZE = 64


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([draw_film(rng, i % 2 == 1, SIZE) for i in range(60)])


def test_spoilt_films_are_what_their_kind_says(films: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    some = films[:2]
    assert np.array_equal(spoilt(spoilt(some, "left", rng), "right", rng), some)
    assert np.array_equal(spoilt(some, "upside down", rng), some[:, ::-1, ::-1])
    assert np.array_equal(spoilt(some, "negative", rng), 255 - some)
    assert spoilt(some, "cut", rng).shape == some.shape
    assert worse(some, rng).shape == some.shape


def framed(film: np.ndarray) -> bool:
    """Whether a side has a margin of one level."""
    return any(side.min() == side.max() for side in (film[0], film[-1], film[:, 0], film[:, -1]))


def test_films_taken_otherwise_have_other_tones_and_some_a_frame(films: np.ndarray) -> None:
    films = films.clip(1, 254)
    # No side of a film is of one level by itself.
    films[:, [0, -1], ::2], films[:, ::2, 0], films[:, ::2, -1] = 90, 90, 90
    made = otherwise(films, np.random.default_rng(3))
    assert made.shape == films.shape
    assert made.dtype == np.uint8
    with_frame = np.array([framed(film) for film in made])
    assert abs(with_frame.mean() - FRAMED) < 0.2
    bare = made[~with_frame].reshape(-1, SIZE * SIZE)
    assert bare.mean(axis=1).std() > films.reshape(len(films), -1).mean(axis=1).std()
    inside = round(EDGE * SIZE)
    centre = made[:, inside:-inside, inside:-inside]
    assert min(part.std() for part in centre) > 5


def test_a_film_and_a_seed_give_the_same_film(films: np.ndarray) -> None:
    first, second = (otherwise(films[:9], np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, second)
    other = otherwise(films[:9], np.random.default_rng(2))
    assert not np.array_equal(first, other)
