"""Keep the remarks of picture libraries off the user's terminal, safely from many threads.

Pillow and pydicom warn about odd EXIF, odd tags and the like; what matters to us they also
raise. `warnings.catch_warnings` swaps process-wide filters and is not safe when films are
decoded in several threads, so here the first one in silences and the last one out restores.
"""

from __future__ import annotations

import logging
import threading
import warnings
from types import TracebackType

# Pillow logs a few errors before it raises them; without any handler they go to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Quiet:
    """A context in which no warning is shown; may be entered many times at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
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


quiet = _Quiet()
"""The one silencer all decoders share: `with quiet: ...`."""
