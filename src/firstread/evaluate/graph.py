"""A bundle's graph on many films at once, for studies that change films or weights.

The reader gives each film a run of its own, so that an opinion cannot depend on its
neighbours. A study reads every film several times and wants the logits and maps alone, so here
films go through in batches; the last bits may differ from the reader's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firstread.cohort.cache import prepared
from firstread.cohort.table import Cohort
from firstread.errors import BundleError, FilmError, FolderNotFound
from firstread.film.preprocess import Preprocess

BATCH = 8
"""Films a run: on one thread more are no faster, and this many fit into any memory."""

Films = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]


class Graph:
    """An ONNX graph of ours, ready to run. `model`: its file, or its bytes.

    Raises `BundleError` where onnxruntime cannot load it.
    """

    def __init__(self, model: Path | bytes):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # two were twice as slow beside other work
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        given = model if isinstance(model, bytes) else str(model)
        try:
            self._session = ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime has no base class of its own for these
            raise BundleError(
                f"onnxruntime cannot load the graph ({type(e).__name__}); "
                "update onnxruntime or export the bundle again"
            ) from e

    def logits(self, films: Films) -> npt.NDArray[np.float64]:
        """Logits (n,) of films (n, S, S)."""
        return np.asarray(self._session.run(["logit"], {"film": films})[0], np.float64)

    def both(self, films: Films) -> tuple[npt.NDArray[np.float64], Maps]:
        """Logits (n,) and signed maps (n, h, w) of films (n, S, S)."""
        logit, heat = self._session.run(["logit", "map"], {"film": films})
        return np.asarray(logit, np.float64), np.asarray(heat, np.float32)


def film_batches(
    cohort: Cohort, which: Sequence[int], how: Preprocess
) -> Iterator[tuple[list[int], Films]]:
    """The films at `which`, decoded and preprocessed once: (their indices, pixels (b, S, S)).

    A film that cannot be read is left out; the indices tell. Raises `Shortage`.
    """
    for start in range(0, len(which), BATCH):
        kept: list[int] = []
        pixels: list[Films] = []
        for i in which[start : start + BATCH]:
            try:
                pixels.append(prepared(cohort.rows[i], how))
            except (FilmError, FolderNotFound):
                continue
            kept.append(i)
        if kept:
            yield kept, np.stack(pixels)
