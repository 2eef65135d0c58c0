"""Import torch as a verb that trains needs it: with memory tuned first, and at once."""

from __future__ import annotations

import gc
import importlib

from firstread.train.malloc import tune_malloc


def bring(module: str) -> None:
    """Import `module`, which needs torch, in a process that does little else before.

    What an import makes stays: looking through it for garbage again and again would be a seventh
    of the seconds that torch and Lightning take. Raises what the import raises.
    """
    tune_malloc()
    collects = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        if collects:
            gc.enable()
