"""One process at a time writes to a run's folder."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from firstread.errors import OutputError, RunError


@contextlib.contextmanager
def alone(out: Path, what: str) -> Iterator[None]:
    """Make the folder and hold it; `what` (a training, a search) runs there.

    Two at once would take each other's files for those of a killed one. Raises `RunError` where
    another holds it, `OutputError` where it cannot be written to.
    """
    with _writable(out):
        out.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with contextlib.ExitStack() as held:
        with _writable(out):
            file = held.enter_context((out / ".lock").open("a"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{out}: another {what} runs here; wait or give another --out") from None
        except OSError:  # a file system that knows no locks must not forbid to train
            pass
        yield


@contextlib.contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise OutputError(
            f"{out}: cannot be written to ({e.strerror}); choose another place"
        ) from None
