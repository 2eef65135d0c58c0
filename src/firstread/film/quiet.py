"""Keep the remarks of picture libraries to themselves, safely from many threads.

Pillow and pydicom warn about odd EXIF, odd tags and the like; what matters to us they also
raise. pydicom's warnings, which it logs as well, quote the value they mind, a patient's name
as soon as any other: they may reach neither a terminal nor a log. `warnings.catch_warnings`
swaps process-wide filters and is not safe when films are decoded in several threads, so here
the first one in silences and the last one out restores.
"""

from __future__ import annotations

import logging
import threading
import warnings
from types import TracebackType

LOGGERS = tuple(logging.getLogger(name) for name in ("PIL", "pydicom", "highdicom"))
"""Parents of all loggers of these libraries."""

for _logger in LOGGERS:  # without any handler, errors go to stderr
    _logger.addHandler(logging.NullHandler())


class _Quiet:
    """A context in which no warning is shown or logged; may be entered many times at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings[None] | None = None
        self._propagated: list[bool] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
                self._propagated = [logger.propagate for logger in LOGGERS]
                for logger in LOGGERS:
                    logger.propagate = False
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._saved is not None:
                self._saved.__exit__(kind, error, trace)
                self._saved = None
                for logger, propagated in zip(LOGGERS, self._propagated, strict=True):
                    logger.propagate = propagated


quiet = _Quiet()
"""The one silencer all decoders share: `with quiet: ...`."""
