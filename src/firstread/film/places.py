"""Where things are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where caches live: FIRSTREAD_CACHE, else the user's cache folder."""
    if given := os.environ.get("FIRSTREAD_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstread"
