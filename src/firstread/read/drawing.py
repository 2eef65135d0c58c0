"""matplotlib as it comes, whatever a user has set for pictures of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def as_it_comes() -> Iterator[None]:
    """Draw without the user's matplotlibrc, a dark one say; also a decorator of what draws.

    The backend stays, which can be chosen once only. The settings are those of the process: not
    for two threads at a time.
    """
    import matplotlib

    own = {k: v for k, v in matplotlib.rcParamsDefault.items() if not k.startswith("backend")}
    with matplotlib.rc_context(own):
        yield
