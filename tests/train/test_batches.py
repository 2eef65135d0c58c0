import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from firstread.train.batches import Batches, epoch_order

LABELS = np.array([0] * 10 + [1] * 31, np.int8)


def test_balanced_batches_hold_half_of_each_class() -> None:
    order = epoch_order(LABELS, balance=True, batch_size=8, seed=0, epoch=0)
    assert len(order) == 40
    for _, labels in Batches(np.zeros((41, 2, 2), np.uint8), LABELS, order, 8):
        assert labels.tolist().count(0.0) == 4


def test_balance_uses_every_film_of_the_rarer_class_equally_often_up_to_one() -> None:
    order = epoch_order(LABELS, balance=True, batch_size=2, seed=0, epoch=0)
    times = np.bincount(order, minlength=41)
    assert times[:10].tolist() == [2] * 10
    assert set(times[10:]) == {0, 1}
    later = epoch_order(LABELS, balance=True, batch_size=2, seed=0, epoch=1)
    assert set(order[order >= 10]) != set(later[later >= 10])


def test_without_balance_each_film_comes_up_once() -> None:
    order = epoch_order(LABELS, balance=False, batch_size=1, seed=0, epoch=0)
    assert sorted(order) == list(range(41))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(LABELS, True, 8, seed, epoch).tolist()

    np.random.seed(1)  # noqa: NPY002 (nobody's global state may matter)
    first = order(3, 5)
    np.random.seed(2)  # noqa: NPY002
    assert order(3, 5) == first
    assert order(3, 6) != first
    assert order(4, 5) != first


def test_fewer_films_than_a_batch_are_one_batch() -> None:
    order = epoch_order(LABELS[8:12], balance=True, batch_size=64, seed=0, epoch=0)
    assert len(order) == 4


def test_batches_are_tensors_of_the_films_asked_for() -> None:
    films = np.arange(41 * 4, dtype=np.uint8).reshape(41, 2, 2)
    batches = Batches(films, LABELS, np.array([40, 0, 5]), 2)
    assert len(batches) == 2
    (first, labels), (second, _) = list(batches)
    assert first.dtype == torch.uint8
    assert labels.dtype == torch.float32
    assert first.tolist() == films[[40, 0]].tolist()
    assert second.shape == (1, 2, 2)
    assert labels.tolist() == [1.0, 0.0]
