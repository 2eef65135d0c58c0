"""Keep the remarks of picture libraries to themselves, safely from many threads.

Pillow and pydicom warn about odd EXIF, odd tags and the like; what matters to us they also
raise. pydicom's warnings, which it logs as well, quote the value they mind, a patient's name
as soon as any other: they may reach neither a terminal nor a log.

Nothing of the process around us may change by it: `warnings.catch_warnings` swaps the filters of
all threads, and two of them that overlap leave one's filters behind for good. So there is one
filter, which stays and asks whether the thread that warns is inside of `quiet`; and the libraries'
loggers ask the same before they pass a record on.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import warnings
from typing import Any

from firstread.film.forks import Lock

LOGGERS = tuple(logging.getLogger(name) for name in ("PIL", "pydicom", "highdicom"))
"""Parents of all loggers of these libraries."""


class _Quiet(threading.local):
    """A context in which no warning of its thread is shown, and none of its remarks logged; may be
    entered again inside, and by many threads at once."""

    depth = 0

    def __enter__(self) -> None:
        _put_first()
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1

    def match(self, text: str) -> bool:
        """What a filter asks its pattern for a warning's text: whether it is meant."""
        return self.depth > 0

    def filter(self, record: logging.LogRecord) -> bool:
        """What a logger asks its filters: whether a record of its own goes on."""
        return self.depth == 0


quiet = _Quiet()
"""The one silencer all decoders share: `with quiet: ...`."""

_FILTERS: list[Any] = [
    ("ignore", quiet, Warning, None, 0),
    ("ignore", quiet, Warning, re.compile(""), 0),
]
"""The one filter, in two forms that are not equal, of which one can be taken away by the other."""

_lock = Lock()


def _put_first() -> None:
    """Put the filter before those that a host has set since, or in place of all that it has reset.

    Step by step, each of which leaves a list that is right: another thread may be inside, and a
    host's may be setting filters of its own.
    """
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    if filters and (filters[0] is _FILTERS[0] or filters[0] is _FILTERS[1]):
        return
    with _lock:
        new, old = _FILTERS if _FILTERS[1] in filters else reversed(_FILTERS)
        filters.insert(0, new)
        with contextlib.suppress(ValueError):
            filters.remove(old)


def _asking(before: Any) -> property:
    """`Logger.propagate` that is false inside of `quiet`; `before`: such a one of an earlier import
    of this module, which a host may have made, and which has a `quiet` of its own."""

    def told(logger: logging.Logger) -> bool:
        as_set = before.fget(logger) if before else logger.__dict__["propagate"]
        return bool(as_set) and quiet.depth == 0

    def set_to(logger: logging.Logger, value: bool) -> None:
        logger.__dict__["propagate"] = value

    return property(told, set_to)


for _logger in LOGGERS:
    _logger.addHandler(logging.NullHandler())  # without any handler, errors go to stderr
    _logger.addFilter(quiet)
    # A filter sees a logger's own records and not those of the loggers below it, which come to be
    # with a library's every module; these stop at their parent where it does not propagate.
    _kind = type(_logger)
    _asks = _asking(getattr(_kind, "propagate", None))
    _logger.__class__ = type(_kind.__name__, (_kind,), {"propagate": _asks})
