"""Work on many things in threads, a few ahead of whoever takes the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Thing = TypeVar("Thing")
Made = TypeVar("Made")


def in_order(
    pool: Executor, work: Callable[[Thing], Made], things: Iterable[Thing], most: int
) -> Iterator[Made]:
    """What `work` makes of each thing, in their order, at most `most` of them begun or waiting.

    `Executor.map` begins with all at once, so that results which are made faster than they are
    taken wait in memory, all of them in the end. What `work` raises comes in its turn. Closed or
    interrupted, what has not begun is dropped.
    """
    ahead: deque[Future[Made]] = deque()
    try:
        for thing in things:
            ahead.append(pool.submit(work, thing))
            if len(ahead) >= most:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()
