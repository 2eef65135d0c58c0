"""Work on many things in threads, a few ahead of whoever takes the results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from firstread.progress import Progress

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


FEW = 4
"""Threads that read files: sha256 and a disk that is far away let go of Python's lock, and of the
largest files that are read whole no more are in memory."""


def of_each(
    work: Callable[[Thing], Made],
    things: Sequence[Thing],
    progress: Progress | None = None,
    threads: int = FEW,
) -> list[Made]:
    """What `work` makes of each thing, in their order, once all are done.

    `progress` is called with (done, all). What `work` raises comes in its turn, and what has not
    begun is then dropped, as where it is interrupted.
    """
    made: list[Made] = []
    pool = ThreadPoolExecutor(threads)
    if progress is not None:
        progress(0, len(things))
    try:
        for one in in_order(pool, work, things, 2 * threads):
            made.append(one)
            if progress is not None:
                progress(len(made), len(things))
    finally:
        pool.shutdown(cancel_futures=True)
    return made
