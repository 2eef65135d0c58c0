"""Labels betrayed by something that is not anatomy: width, file size, colour mode.

Each property of a film is asked alone how well it tells the classes apart (area under the
ROC curve, either direction). In the Guangzhou set the area of the original picture reaches
0.94: a model that could see it would look good and have learnt nothing about lungs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstread.cohort.ranks import area_by_ranks

WARN_AUC = 0.7
"""AUC of one property from which on it is reported as a leak."""

MIN_Z = 3.0
"""Standard errors (of an AUC without any signal) that it must lie off 0.5, so that a tiny
folder is not accused by chance."""

MAX_WORDS = 10
"""Distinct values up to which a text column is taken for a category."""

DERIVED = frozenset(
    {"etiology", "series", "number", "sha256", "file", "label", "lung_mask", "patient_id"}
)
"""Columns that follow from the label or only name the film; they would accuse themselves."""


@dataclass(frozen=True)
class Leak:
    """How well one property alone tells pneumonia from normal.

    `auc`: 0.5 to 1, None for a constant one. `higher_in`: the class with the larger values,
    or for a category (such as the colour mode) "" . `films`: how many had the property.
    """

    name: str
    auc: float | None
    higher_in: str
    films: int
    constant: bool
    warning: bool


def find_leaks(
    properties: Mapping[str, Sequence[float | str | None]], labels: npt.ArrayLike
) -> list[Leak]:
    """Judge each property (n values, None where a film has none) against `labels` (n,).

    Labels other than 0 and 1 are left out, as are properties known for under nine films in
    ten of either class. Numbers are used as they are; of texts, those with at most ten
    distinct values, each scored by its share of pneumonia. Sorted, the worst first.
    """
    y = np.asarray(labels)
    found = [_judge(name, values, y) for name, values in properties.items()]
    kept = [leak for leak in found if leak is not None]
    return sorted(kept, key=lambda leak: -(leak.auc or 0.0))


def not_judged(
    properties: Mapping[str, Sequence[float | str | None]], labels: npt.ArrayLike
) -> dict[str, str]:
    """Why `find_leaks` leaves out each property that it leaves out though some film has it."""
    y = np.asarray(labels)
    if not {0, 1} <= set(y.tolist()):
        return {}
    why = {}
    for name, values in properties.items():
        known = _known(values, y)
        if _sparse(known, y):
            if known.any():
                why[name] = "known for under nine films in ten of a class"
        elif _judge(name, values, y) is None:
            why[name] = f"more than {MAX_WORDS} different texts"
    return why


def _known(
    values: Sequence[float | str | None], y: npt.NDArray[np.generic]
) -> npt.NDArray[np.bool_]:
    there = np.array([v is not None and v == v for v in values], bool)
    return np.asarray(there & np.isin(y, (0, 1)))


def _sparse(known: npt.NDArray[np.bool_], y: npt.NDArray[np.generic]) -> bool:
    return any(known[y == k].sum() < max(1, 0.9 * (y == k).sum()) for k in (0, 1))


def _judge(
    name: str, values: Sequence[float | str | None], y: npt.NDArray[np.generic]
) -> Leak | None:
    known = _known(values, y)
    if _sparse(known, y):
        return None
    there = [v for v, k in zip(values, known, strict=True) if k]
    truth = y[known] == 1
    if len(set(there)) == 1:
        return Leak(name, None, "", len(there), constant=True, warning=False)
    words = any(isinstance(v, str) for v in there)
    if words:
        kinds = sorted({str(v) for v in there})
        if len(kinds) > MAX_WORDS:
            return None
        cells = np.array([kinds.index(str(v)) for v in there])
        share = np.array([truth[cells == k].mean() for k in range(len(kinds))])
        scores = share[cells]
    else:
        scores = np.array(there, np.float64)
    raw = area_by_ranks(scores, truth)
    n1, n0 = int(truth.sum()), int((~truth).sum())
    chance = np.sqrt((n1 + n0 + 1) / (12 * n1 * n0))
    worse = max(raw, 1 - raw)
    return Leak(
        name=name,
        auc=round(worse, 4),
        higher_in="" if words else ("PNEUMONIA" if raw >= 0.5 else "NORMAL"),
        films=len(there),
        constant=False,
        warning=bool(worse > WARN_AUC and worse - 0.5 > MIN_Z * chance),
    )
