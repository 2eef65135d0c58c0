"""Checks in a forked child, which must end whatever comes of them."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable

LONGEST = 20
"""Seconds after which a child that waits for ever is ended."""


def in_child(check: Callable[[], bool]) -> bool:
    """Whether `check` is true in a child forked here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # of threads beside it
        child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    signal.alarm(LONGEST)
    try:
        os._exit(0 if check() else 1)
    finally:  # it raised
        os._exit(2)
