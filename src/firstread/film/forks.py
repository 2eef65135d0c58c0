"""Locks that a forked process finds free.

A fork takes one thread along. What another one holds at that moment is never let go in the
child, which then waits for ever.
"""

from __future__ import annotations

import os
import threading


class Lock:
    """A `threading.Lock` that is free in a child, whoever held it. For locks that live as long as
    the process, since it is known of for ever."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def acquire(self) -> bool:
        """Wait for it; always true."""
        return self._lock.acquire()

    def release(self) -> None:
        """Let it go."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
