"""Where things are kept that can be made again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where caches live: FIRSTREAD_CACHE, else the user's cache folder."""
    if given := os.environ.get("FIRSTREAD_CACHE"):
        return Path(given)
    if not (base := os.environ.get("XDG_CACHE_HOME")):
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:  # a user whom the system does not know, as in many containers
            whose = os.getuid() if hasattr(os, "getuid") else "me"  # on Windows each has one
            base = f"{tempfile.gettempdir()}/cache-of-{whose}"
    return Path(base) / "firstread"
