"""Does a model still tell the classes apart when it cannot see the lungs?

What it then tells, it reads from marks, borders, posture and exposure, and another hospital has
others. The lungs are painted over with the film's own mean grey, in one of two ways:

- `box`: one fixed box that holds the lungs of nearly every film. It is the same for all films,
  so its shape tells nothing; the AUC that remains comes from what is outside of it.
- `silhouette`: each film's own lung mask, dilated. More of the film stays, but now the painted
  shape is itself a finding: annotators cut consolidated lung away. Beside the AUC therefore
  stands that of the painted area alone, which no look at the film is needed for.

Lower is better: 0.5 is a model that needs the lungs. An AUC tells only whether a trace is left,
were it the hundredth part of what moved the opinion before. So beside it stands how far the classes
still lie apart, as a share of their distance with the lungs in sight: 0 is a model that needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort
from firstread.errors import DataError, NoFilms
from firstread.evaluate.calibration import Floats
from firstread.evaluate.graph import Films, Graph, film_batches
from firstread.evaluate.intervals import Sampler
from firstread.evaluate.masks import Mask, check_frame, dilate, find_masks, load_mask_if_sound
from firstread.evaluate.metrics import Bools
from firstread.plural import count

Way = Literal["box", "silhouette"]
WAYS = ("box", "silhouette")

AT = 224
"""Side of the film, in pixels, that the numbers below are meant for; others are scaled."""

BOX = (18, 200, 27, 198)
"""First row and end, first column and end: rows 18 to 199 and columns 27 to 197."""

REACH = 8
"""Pixels a mask is dilated by. The masks' edges are rough, and a rim of lung left in sight would
count as the model reading the background: a twenty-eighth of the film on each side is ample."""


def box_mask(size: int) -> Mask:
    """The box as (size, size) bool, scaled from 224 px and rounded to whole pixels."""
    top, bottom, left, right = (round(edge * size / AT) for edge in BOX)
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


def silhouette(mask: Mask) -> Mask:
    """A lung mask (S, S) dilated by 8 of 224 px."""
    return dilate(mask, max(1, round(REACH * mask.shape[0] / AT)))


def painted(film: npt.NDArray[np.uint8], area: Mask) -> npt.NDArray[np.uint8]:
    """A copy of a film (S, S) with `area` (S, S) painted with the mean grey of the whole film."""
    out = film.copy()
    out[area] = np.uint8(np.rint(film.mean()))
    return out


def occlusion_study(
    bundle_path: Path | None,
    cohort: Cohort,
    how: Way,
    masks: Path | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """AUC of a bundle's logits on films whose lungs are painted over, as one JSON object.

    `bundle_path`: a bundle folder, None for the one shipped. `masks`: see `find_masks`, needed
    for "silhouette" only. `progress` is called with (done, all) films.

    ``how``; ``n`` films used and ``n_left_out``: film or mask missing, unreadable or empty; ``auc``
    on painted films and ``auc_clean`` on the same films as they are; ``distance_left``: distance of
    the classes' mean logits on painted films, over that on those as they are (null where the
    latter is not told from none); ``area_auc``: of the
    painted share of the film alone, the better direction (null for the box and where the share
    does not vary); each an estimate {"value", "low", "high", "method", "delong"}; ``rule``: a
    sentence on what was done. Raises `BundleError`; `DataError` where a film has no label, one
    class has no film left, no mask is found, or the model does not see the whole film.
    """
    from firstread.read.bundle import Bundle

    if how not in WAYS:
        raise DataError(f"occlusion by {how!r} is not known; use {' or '.join(WAYS)}")
    if (cohort.labels < 0).any():
        bare = count(int((cohort.labels < 0).sum()), "film has", "films have")
        raise DataError(f"{bare} no label; give each its own")
    bundle = Bundle.load(bundle_path)
    check_frame(bundle.card.preprocess)
    graph, size = Graph(bundle.onnx_path), bundle.card.preprocess.size
    areas = _areas(cohort, how, masks, size)
    kept: list[int] = []
    shares: list[float] = []
    scores: list[tuple[Floats, Floats]] = []
    done = 0
    for indices, films in film_batches(cohort, sorted(areas), bundle.card.preprocess):
        covers = [area() for area in (areas[i] for i in indices)]
        keep = [j for j, cover in enumerate(covers) if cover.any()]  # an empty mask is none
        if keep:
            hidden: Films = np.stack([painted(films[j], covers[j]) for j in keep])
            scores.append((graph.logits(films[keep]), graph.logits(hidden)))
            kept += [indices[j] for j in keep]
            shares += [float(covers[j].mean()) for j in keep]
        done += len(indices)
        if progress is not None:
            progress(done, len(areas))
    if not kept:
        raise NoFilms(f"{cohort.root}: no film could be read")
    clean, dark = (np.concatenate(column) for column in zip(*scores, strict=True))
    truth = cohort.labels[kept] == 1
    sampler = Sampler([cohort.rows[i].patient for i in kept], seed)
    return {
        "how": how,
        "n": len(kept),
        "n_left_out": len(cohort) - len(kept),
        "auc": sampler.auc(dark, truth).to_json(),
        "auc_clean": sampler.auc(clean, truth).to_json(),
        "distance_left": _distance_left(sampler, clean, dark, truth),
        "area_auc": _area_auc(sampler, np.array(shares), truth),
        "rule": _rule(how, size),
    }


def _areas(
    cohort: Cohort, how: Way, masks: Path | None, size: int
) -> dict[int, Callable[[], Mask]]:
    """What to paint, by film; masks are read when their film is."""
    if how == "box":
        box = box_mask(size)
        return {i: lambda: box for i in range(len(cohort))}

    def from_file(path: Path) -> Callable[[], Mask]:
        return lambda: silhouette(load_mask_if_sound(path, size))

    found = enumerate(find_masks(cohort, masks))
    return {i: from_file(path) for i, path in found if path is not None}


def _area_auc(sampler: Sampler, shares: Floats, truth: Bools) -> dict[str, Any] | None:
    if len(np.unique(shares)) < 2:
        return None
    estimate = sampler.auc(shares, truth)
    if estimate.value < 0.5:
        estimate = sampler.auc(-shares, truth)
    return estimate.to_json()


def _distance_left(
    sampler: Sampler, clean: Floats, dark: Floats, truth: Bools
) -> dict[str, Any] | None:
    """Distance of the classes' mean logits, dark over clean; each (n,). None where the clean one
    is not told from none, of which there is no share."""
    counts, sums = [truth, ~truth], [clean * truth, clean * ~truth, dark * truth, dark * ~truth]
    columns = np.stack([*counts, *sums], axis=1)

    def distances(sums: Floats) -> tuple[Floats, Floats]:
        ill, well, clean1, clean0, dark1, dark0 = np.moveaxis(sums, -1, 0)
        return clean1 / ill - clean0 / well, dark1 / ill - dark0 / well

    def share(sums: Floats) -> Floats:
        whole, left = distances(sums)
        return left / whole

    whole = sampler.from_sums(columns, lambda sums: distances(sums)[0])
    if not (whole.low > 0 or whole.high < 0):
        return None
    return sampler.from_sums(columns, share).to_json()


def _rule(how: Way, size: int) -> str:
    if how == "box":
        rows, columns = (np.flatnonzero(box_mask(size).any(axis=axis)) for axis in (1, 0))
        what = (
            f"rows {rows[0]} to {rows[-1]} and columns {columns[0]} to {columns[-1]} of the film "
            f"at {size} px"
        )
    else:
        reach = max(1, round(REACH * size / AT))
        what = f"each film's lung mask, dilated by {reach} of {size} px (a square of that reach),"
    tail = "" if how == "box" else "; films without a mask are left out"
    return (
        f"{what} painted with the mean grey of the whole preprocessed film; AUC of the network's "
        f"logit, its interval by patient{tail}; distance left: of the classes' mean logits, as a "
        "share of that on the same films as they are; unreadable films are left out, and a film "
        "that is turned away, which counts as wrong elsewhere, stands with its own logit here"
    )
