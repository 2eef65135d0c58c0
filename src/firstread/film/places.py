"""Where things are kept that can be made again."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from firstread.errors import OutputError


def cache_folder() -> Path:
    """Where caches live: FIRSTREAD_CACHE, else the user's cache folder.

    Copies of films lie in it, wherever the films themselves are kept from others: so the user's is
    made, where it is missing, for no eyes but theirs. Of another the one who named it decides.
    Raises `OutputError` where a user without a home would share it with somebody.
    """
    if given := os.environ.get("FIRSTREAD_CACHE"):
        return Path(given)
    if not (base := os.environ.get("XDG_CACHE_HOME")):
        try:
            base = str(Path.home() / ".cache")
        except RuntimeError:  # a user whom the system does not know, as in many containers
            base = _temporary_cache()
    folder = Path(base) / "firstread"
    with contextlib.suppress(OSError):  # whoever writes into it will say what is wrong
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _temporary_cache() -> str:
    """A folder of the user's own below the temporary one, which all users of a machine share and
    where anybody could have made it first."""
    if not hasattr(os, "getuid"):  # on Windows each user has a temporary folder
        return f"{tempfile.gettempdir()}/cache-of-me"
    base = f"{tempfile.gettempdir()}/cache-of-{os.getuid()}"
    with contextlib.suppress(OSError):
        os.mkdir(base, 0o700)  # noqa: PTH102
    with contextlib.suppress(OSError):
        found = os.lstat(base)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise OutputError(
                f"{base}: is another user's, who could see what is kept there; name a cache "
                "folder by FIRSTREAD_CACHE"
            )
    return base
