"""Keep freed memory instead of giving it back to the kernel after every step.

glibc returns each large tensor at once and faults it in again at the next layer; on a small
CPU that costs half of the time of a step. Three settings stop it. They act only before the
first large allocation, so this is called before torch is imported.
"""

from __future__ import annotations

import ctypes
import sys

# <malloc.h>: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
SETTINGS = ((-3, 1 << 30), (-1, (1 << 31) - 1), (-2, 256 << 20))


def tune_malloc() -> bool:
    """Set glibc's thresholds; False where there is no glibc (nothing is changed there)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return all(bool(libc.mallopt(what, value)) for what, value in SETTINGS)
    except (OSError, AttributeError):  # musl and others have no mallopt
        return False
