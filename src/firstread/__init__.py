"""firstread: an open first reader for pneumonia on chest X-rays.

>>> from firstread import Reader            # doctest: +SKIP
>>> Reader().read("film.dcm").decision      # doctest: +SKIP
'no pneumonia'

Not a medical device. The model that comes with the package was trained on films of
children of one to five years from one hospital.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstread.errors import FirstreadError
    from firstread.read.opinion import Opinion
    from firstread.read.reader import Reader

__all__ = ["FirstreadError", "Opinion", "Reader", "__version__"]

__version__ = "0.1.0"
"""Here and not looked up in the installed metadata, which takes 10 ms of a cold start."""

# From 1.29 on onnxruntime reports its use to its maker: machine, program, graph, number of runs. It
# asks for this once, when it is first imported, which no module of ours does before this one.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_WHERE = {
    "FirstreadError": "firstread.errors",
    "Opinion": "firstread.read.opinion",
    "Reader": "firstread.read.reader",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:
        # Lazy, so that a cold start pays only for what it uses.
        if name in _WHERE:
            from importlib import import_module

            return getattr(import_module(_WHERE[name]), name)
        raise AttributeError(f"module 'firstread' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
