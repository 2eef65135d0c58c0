"""Does the heat map lie on the lungs, and does it show what was learned?

The raw map of the graph is HiResCAM, signed. Its positive part is what speaks for pneumonia.
The share of it that falls inside the lung mask (the energy-based pointing game of Wang et al.
2020, arXiv:1910.01279, with a mask for their box), divided by the mask's share of the film, is
the lift: 1 is a map that knows nothing of lungs.

A map can lie well and mean nothing, as a picture of edges does. So the weights are drawn anew,
and the map must change (Adebayo et al. 2018, arXiv:1810.03292); what lift is left then comes
from the architecture and from how films are taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firstread.cohort.table import Cohort
from firstread.errors import NoFilms
from firstread.evaluate.alike import (
    DRAWS,
    MOST_ALIKE,
    Map,
    alike,
    changed,
    pearson,
    spearman,
    upright,
)
from firstread.evaluate.calibration import Floats
from firstread.evaluate.graph import Graph, Maps, film_batches
from firstread.evaluate.intervals import Estimate, Sampler, json_of
from firstread.evaluate.masks import Mask, check_frame, find_masks, load_mask_if_sound
from firstread.evaluate.metrics import Bools
from firstread.evaluate.randomise import randomised, weights_of

SIDE = 224
"""Pixels a side at which map and mask meet, whatever the size of the bundle: the masks' own."""


def energy_inside(heat: Map, mask: Mask) -> float:
    """Share of the positive part of a map (h, w) inside a mask (s, s); NaN where none is positive.

    The positive part is taken first, then enlarged to the mask's size, bilinear.
    """
    from PIL import Image

    positive = np.clip(np.nan_to_num(heat, posinf=0.0, neginf=0.0), 0.0, None)
    largest = float(positive.max(initial=0.0))
    if largest <= 0.0:
        return float("nan")
    small = Image.fromarray(np.asarray(positive / largest, np.float32))
    height, width = mask.shape
    large = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float64)
    return float(large[mask].sum() / large.sum())


@dataclass(frozen=True)
class _Films:
    """What is measured of n films, NaN where no heat is. `inside`, `random_inside`: shares.

    `pearson`, `spearman`: mean absolute correlation with the maps of random weights.
    """

    indices: list[int]
    called: Bools
    area: Floats
    inside: Floats
    random_inside: Floats
    pearson: Floats
    spearman: Floats


def heat_energy_study(
    bundle_path: Path | None,
    cohort: Cohort,
    masks: Path | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """How much of a bundle's heat lies in the lungs, as one JSON object; labels are not needed.

    `bundle_path`: a bundle folder, None for the one shipped. `masks`: see `find_masks`. `seed`
    draws the random weights and the bootstrap. `progress` is called with (done, all) films.

    ``n`` films used; ``n_left_out``: film or mask missing, unreadable or empty; ``n_no_heat`` of
    the used ones, where nothing speaks for pneumonia, so that nothing below has a value; ``lift``:
    mean over films; ``lift_pneumonia``: over the films the bundle calls pneumonia (null if there
    are none) and ``n_pneumonia``, their number; ``inside`` and ``area``: the shares the lift is
    made of; ``randomised``: the same with random weights: ``lift`` (null if nowhere is heat),
    ``correlation`` (Pearson) and ``spearman``, absolute, between a film's maps before and
    after, ``weights`` the tensors drawn anew, ``draws``, ``changed`` and its ``rule``; ``rule``.
    Measures are estimates {"value", "low", "high", "method"}. Raises `BundleError`, `DataError`.
    """
    from firstread.read.bundle import Bundle

    bundle = Bundle.load(bundle_path)
    check_frame(bundle.card.preprocess)
    model = bundle.onnx_path.read_bytes()
    rng = np.random.default_rng(seed)
    others = [Graph(randomised(model, rng)) for _ in range(DRAWS)]
    card = bundle.card
    files = find_masks(cohort, masks)
    which = [i for i, path in enumerate(files) if path is not None]
    batches: list[_Films] = []
    graph, done = Graph(model), 0
    for indices, films in film_batches(cohort, which, card.preprocess):
        logits, maps = graph.both(films)
        called = np.array([card.probability(z) >= card.threshold for z in logits.tolist()], bool)
        paths = (files[i] for i in indices)
        lungs = [load_mask_if_sound(path, SIDE) for path in paths if path is not None]
        random = [other.both(films)[1] for other in others]
        batches.append(_measure(indices, called, maps, random, lungs))
        done += len(indices)
        if progress is not None:
            progress(done, len(which))
    found = _joined(batches)
    if not found.indices:
        raise NoFilms(f"{cohort.root}: no film with a lung mask could be read")
    return _result(cohort, found, len(weights_of(model)), seed)


def _measure(
    indices: Sequence[int], called: Bools, maps: Maps, random: Sequence[Maps], lungs: list[Mask]
) -> _Films:
    area = np.array([mask.mean() for mask in lungs])
    good = (area > 0.0) & np.isfinite(maps).all(axis=(1, 2))
    keep = [int(j) for j in np.flatnonzero(good)]
    rows = []
    for j in keep:
        after = [upright(m[j]) for m in random]
        shares = [energy_inside(m, lungs[j]) for m in after]
        known = [share for share in shares if share == share]
        rows.append(
            (
                energy_inside(maps[j], lungs[j]),
                float(np.mean(known)) if known else float("nan"),
                alike(maps[j], after, pearson),
                alike(maps[j], after, spearman),
            )
        )
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    return _Films([indices[j] for j in keep], called[keep], area[keep], *columns)


def _joined(batches: Sequence[_Films]) -> _Films:
    names = ("called", "area", "inside", "random_inside", "pearson", "spearman")
    if not batches:
        return _Films([], np.zeros(0, bool), *(np.zeros(0) for _ in names[1:]))
    called, *numbers = (np.concatenate([getattr(b, name) for b in batches]) for name in names)
    return _Films([i for b in batches for i in b.indices], called, *numbers)


def _result(cohort: Cohort, films: _Films, weights: int, seed: int) -> dict[str, Any]:
    patients = [cohort.rows[i].patient for i in films.indices]

    def mean(values: Floats, among: Bools | None = None, most: float = math.inf) -> Estimate | None:
        good = np.isfinite(values) if among is None else np.isfinite(values) & among
        if not good.any():
            return None
        chosen = [p for p, ok in zip(patients, good, strict=True) if ok]
        return Sampler(chosen, seed).mean(values[good], least=0.0, most=most)

    lift = films.inside / films.area
    linear, ranked = mean(films.pearson, most=1.0), mean(films.spearman, most=1.0)
    return {
        "n": len(films.indices),
        "n_left_out": len(cohort) - len(films.indices),
        "n_no_heat": int(np.isnan(lift).sum()),
        "n_pneumonia": int(films.called.sum()),
        "lift": json_of(mean(lift)),
        "lift_pneumonia": json_of(mean(lift, films.called)),
        "inside": json_of(mean(films.inside, most=1.0)),
        "area": json_of(mean(films.area, most=1.0)),
        "randomised": {
            "lift": json_of(mean(films.random_inside / films.area)),
            "correlation": json_of(linear),
            "spearman": json_of(ranked),
            "weights": weights,
            "draws": DRAWS,
            "changed": changed(linear, ranked),
            "rule": "all weights of convolutions and linear layers drawn anew (normal, variance "
            f"2 / fan-in; biases 0), {DRAWS} times; changed if the upper ends of the intervals of "
            "both mean absolute correlations, Pearson's and Spearman's, between a film's maps "
            f"before and after lie below {MOST_ALIKE}; flat maps and films without heat are left "
            "out of both",
        },
        "rule": "share of the positive part of the raw map (HiResCAM, enlarged bilinearly) inside "
        "the lung mask, over the mask's share of the film; mean over films, intervals by "
        "bootstrap over patients; films without a mask, unreadable or without any heat left out",
    }
