"""Work ahead of its taker: in order, bounded, and dropped where nobody takes it any more."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from firstread.film.ahead import in_order


@pytest.mark.parametrize("most", [1, 3, 100])
def test_results_come_in_the_order_of_the_things(most: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(in_order(pool, lambda n: n * n, range(20), most)) == [n * n for n in range(20)]
        assert list(in_order(pool, abs, [], most)) == []


def test_no_more_is_asked_for_than_may_wait() -> None:
    asked: list[int] = []

    def things():
        for n in range(50):
            asked.append(n)
            yield n

    with ThreadPoolExecutor(2) as pool:
        for taken, _ in enumerate(in_order(pool, abs, things(), 5)):
            assert len(asked) <= taken + 5


def test_an_error_comes_in_its_turn_and_drops_what_has_not_begun() -> None:
    hold, begun = Event(), list[int]()

    def work(n: int) -> int:
        begun.append(n)
        if n == 1:
            raise ValueError("one")
        if n == 2:
            hold.wait(30)
        return n

    with ThreadPoolExecutor(1) as pool:
        made = in_order(pool, work, range(50), 10)
        assert next(made) == 0
        with pytest.raises(ValueError, match="one"):
            next(made)
        hold.set()
    assert max(begun) <= 3
