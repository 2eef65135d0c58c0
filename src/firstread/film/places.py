"""Where things are kept that can be made again."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where caches live: FIRSTREAD_CACHE, else the user's cache folder.

    Copies of films lie in it, wherever the films themselves are kept from others: so the user's is
    made, where it is missing, for no eyes but theirs. Of another the one who named it decides.
    """
    if given := os.environ.get("FIRSTREAD_CACHE"):
        return Path(given)
    if not (base := os.environ.get("XDG_CACHE_HOME")):
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:  # a user whom the system does not know, as in many containers
            whose = os.getuid() if hasattr(os, "getuid") else "me"  # on Windows each has one
            base = f"{tempfile.gettempdir()}/cache-of-{whose}"
    folder = Path(base) / "firstread"
    with contextlib.suppress(OSError):  # whoever writes into it will say what is wrong
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
