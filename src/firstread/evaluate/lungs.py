"""How well a lung net agrees with drawn masks: Dice a film, and its mean by list of films.

Dice's coefficient is twice the overlap over the sum of both areas (Dice 1945), at 224 px, the
size of the drawn masks, though the net works at 112; after the net's largest two parts were taken
and holes filled, as readers get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort
from firstread.errors import NoFilms
from firstread.evaluate.intervals import Sampler, finite
from firstread.film.lungs import SIDE, LungFinder, doubt
from firstread.progress import Progress, counted

Mask = npt.NDArray[np.bool_]

METHOD = (
    "twice the overlap over the sum of both areas, a film, at 224 px; the mean over films, "
    "95 % interval by a bootstrap over patients, 2,000 draws, seed 0"
)


def dice(a: Mask, b: Mask) -> float:
    """Dice's coefficient of two masks of one shape; 1 where both are empty.

    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def judge_lungs(
    films: Cohort,
    pixels: npt.NDArray[np.uint8],
    masks: Sequence[Mask | None],
    finder: LungFinder,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The lung net's Dice on `films`: `pixels` (n, 224, 224) uint8, `masks` (224, 224) or None.

    Returns `dice` (an estimate), `films`, `patients`, `without_mask`, `below_0.9`, `doubted`
    (masks `film.lungs.doubt` refuses), the same `by` list (class and series), and `worst`.
    `progress` is called with (done, all). Raises `NoFilms` where no film has a mask.
    """
    kept = [i for i, mask in enumerate(masks) if mask is not None]
    if not kept:
        raise NoFilms("none of the films has a lung mask; give --masks the folder that holds them")
    values, doubts = np.zeros(len(kept)), np.zeros(len(kept), bool)
    for k, i in enumerate(counted(kept, progress)):
        found = finder.mask(np.asarray(pixels[i]))
        assert found.shape == (SIDE, SIDE)
        truth = masks[i]
        assert truth is not None
        values[k], doubts[k] = dice(found, truth), doubt(found) is not None
    some = films.subset(kept)
    lists = {"all": np.ones(len(some), bool)}
    of = [(("normal", "pneumonia")[row.label or 0], row.series) for row in some.rows]
    for name in dict.fromkeys(name for names in of for name in names if name):
        lists[name] = np.array([name in names for names in of])
    rows = {name: _summary(some, values, doubts, chosen) for name, chosen in lists.items()}
    worst = np.argsort(values, kind="stable")[:10]
    return {
        **rows.pop("all"),
        "without_mask": len(films) - len(kept),
        "by": rows,
        "worst": [{"file": some.rows[i].file, "dice": round(float(values[i]), 4)} for i in worst],
        "method": METHOD,
    }


def _summary(
    films: Cohort, values: npt.NDArray[np.float64], doubts: Mask, chosen: Mask
) -> dict[str, Any]:
    patients = [row.patient for row, yes in zip(films.rows, chosen, strict=True) if yes]
    some = values[chosen]
    return {
        "dice": Sampler(patients).mean(some, least=0.0, most=1.0).to_json(),
        "median": finite(float(np.median(some))),
        "fifth_percentile": finite(float(np.percentile(some, 5))),
        "below_0.9": int((some < 0.9).sum()),
        "doubted": int(doubts[chosen].sum()),
        "films": len(some),
        "patients": len(set(patients)),
    }
