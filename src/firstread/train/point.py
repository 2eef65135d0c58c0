"""The operating point of a run: chosen on validation films as they are and made worse.

Validation films come from the same source as those of training, and on them a network is surer
than it will be anywhere else: a calibration fitted to them alone promises too much. So each film
also counts as three copies, each with another corruption of middling strength, all thirteen
kinds in turn; the copies share one half of the film's weight. Films are made worse at 224 px or
more and shrunk after it, since a blur of so many pixels would leave nothing of a small film.

Where the run has a twin (`firstread.train.twin`), films of another batch are a third part, each
class with as much weight as it has in either of the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from firstread.evaluate.corruptions import FAMILIES, corrupt, shrunk
from firstread.evaluate.operating import OperatingPoint, fit_operating_point
from firstread.train.gate_graph import output_of
from firstread.train.twin import Shifted

COPIES = 3
STRENGTH = 3
ON = "the validation films, half as they are and half with corruptions of strength 3"
ON_SHIFTED = (
    "the validation films, a third as they are, a third with corruptions of strength 3, and a "
    "third films of a series that a twin of the network never saw"
)

Films = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float64]


def made_worse(films: Films, size: int) -> Films:
    """`COPIES` of each film (n, s, s), one after the other: (COPIES * n, size, size).

    Copy k of film i has corruption number i + k * n_kinds / COPIES, so that each kind comes
    up equally often; its noise depends on i and k alone.
    """
    kinds, step = list(FAMILIES), len(FAMILIES) // COPIES
    return np.stack(
        [
            shrunk(
                corrupt(
                    film,
                    kinds[(i + k * step) % len(kinds)],
                    STRENGTH,
                    np.random.default_rng([i, k]),
                ),
                size,
            )
            for k in range(COPIES)
            for i, film in enumerate(films)
        ]
    )


def reader_of(graph: bytes) -> Callable[[Films], Logits]:
    """What gives the logits (n,) of films (n, s, s) by an ONNX graph of ours."""
    read = output_of(graph, "logit")
    return lambda films: read(films).astype(np.float64)


def choose_point(
    read: Callable[[Films], Logits],
    films: Films,
    size: int,
    logits: Logits,
    labels: npt.NDArray[np.int8],
    shifted: Shifted | None = None,
) -> OperatingPoint:
    """Calibration, thresholds and refer band from validation films (n, s, s).

    `logits` (n,): of the films as they are. `read` gives the logits of any films of `size`
    pixels. `shifted`: films of another batch, as a twin reads them. Raises `DataError` as
    `fit_operating_point` does.
    """
    kinds = 2 if shifted is None else 3
    weights = np.full((1 + COPIES, len(films)), 1 / kinds)
    weights[1:] /= COPIES
    seen = [logits, read(made_worse(films, size))]
    truths, counts = [np.tile(labels, 1 + COPIES)], [weights.ravel()]
    if shifted is not None:
        seen.append(shifted.logits)
        truths.append(shifted.labels)
        here = [np.sum(labels == c) / kinds / np.sum(shifted.labels == c) for c in (0, 1)]
        counts.append(np.where(shifted.labels == 1, here[1], here[0]))
    return fit_operating_point(
        np.concatenate(seen),
        np.concatenate(truths),
        ON if shifted is None else ON_SHIFTED,
        weights=np.concatenate(counts),
    )
