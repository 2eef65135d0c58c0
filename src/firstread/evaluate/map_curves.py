"""Does the answer hang on the places that the heat map names?

Deletion and insertion (Petsiuk et al. 2018, "RISE", arXiv:1806.07421). The pixels of a film are
taken in the order of the map, the strongest evidence for pneumonia first. Deletion puts a blurred
film in their place, and the probability should fall early; insertion starts from the blurred film
and puts them back, and it should rise early. The area below each curve, over the share of the
pixels, is the measure: deletion low, insertion high.

What an area is worth depends on the film and the model, so two other orders go through the same:
a random one, of noise on the map's own grid, as smooth as the map; and that of the map which the
same network has with random weights. A map is worth its place where it beats both. Blurring leaves
the outline of a chest. A model may call that pneumonia too, and then no order reaches 0: the last
point of deletion, the first of insertion, tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort
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
from firstread.evaluate.graph import BATCH, Films, Graph, film_batches
from firstread.evaluate.intervals import Estimate, Sampler, json_of
from firstread.evaluate.randomise import randomised

STEPS = 20
"""Parts of the film that are changed one after another; a curve has one point more."""

BLUR = 0.1
"""Standard deviation of the blur, as a part of the film's side: ribs and vessels go, and what is as
large as a lobe is smeared."""

WAYS = ("deletion", "insertion")
ORDERS = ("map", "random", "randomised")

RULE = (
    "pixels in the order of the raw map (HiResCAM, enlarged bilinearly), a twentieth at a time, "
    "replaced by the film under a Gaussian blur of a tenth of its side (deletion), or put back "
    "into it (insertion); calibrated probability against the share changed, area by trapezia, "
    "mean over films, intervals by bootstrap over patients; random order: noise on the map's "
    "grid, enlarged alike; randomised: the map of the graph with all weights drawn anew, "
    f"{DRAWS} sets in turn; holds if all four gains over them are positive to the lower end of "
    "their intervals, and the upper ends of both mean absolute correlations with the maps of "
    f"random weights, Pearson's and Spearman's, lie below {MOST_ALIKE}"
)

Ranks = npt.NDArray[np.int64]


def order_of(heat: Map, size: int, rng: np.random.Generator) -> Ranks:
    """Rank of each pixel of a film, (size, size), 0 first, by a map (h, w) enlarged bilinearly.

    Pixels of one value come in random order, so a flat map is a random order.
    """
    from PIL import Image

    large = Image.fromarray(np.asarray(heat, np.float32)).resize(
        (size, size), Image.Resampling.BILINEAR
    )
    values = np.asarray(large, np.float64).ravel()
    ranks = np.empty(size * size, np.int64)
    ranks[np.lexsort((rng.random(values.size), -values))] = np.arange(values.size)
    return ranks.reshape(size, size)


def blurred(film: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A film (S, S) under a Gaussian blur of a tenth of its side."""
    from PIL import Image, ImageFilter

    blur = ImageFilter.GaussianBlur(BLUR * film.shape[0])
    return np.asarray(Image.fromarray(film).filter(blur), np.uint8)


def mixtures(film: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], ranks: Ranks) -> Films:
    """`film` (S, S) with its first pixels replaced by those of `other`: (STEPS + 1, S, S).

    The first is the film, the last the other.
    """
    ends = [round(step / STEPS * ranks.size) for step in range(STEPS + 1)]
    return np.stack([np.where(ranks < end, other, film) for end in ends])


def area(curve: Floats) -> float:
    """Area below a curve at even steps from 0 to 1, by trapezia."""
    return float((curve[:-1] + curve[1:]).mean() / 2)


def map_curve_study(
    bundle_path: Path | None,
    cohort: Cohort,
    called: Sequence[int],
    *,
    films: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Deletion and insertion curves of a bundle's maps, as one JSON object; needs no labels.

    `bundle_path`: a bundle folder, None for the one shipped. `called`: indices of the films that
    the bundle calls pneumonia; of more than `films` as many are drawn, else all are taken, at some
    120 runs of the network each. `seed`: of that draw, the random orders, the random weights and
    the bootstrap. `progress` is called with (done, all).

    ``n`` films used of ``n_called``; ``n_left_out``: drawn, but unreadable or with a map that is
    none; ``share``: of the film changed, at each point. ``deletion`` and ``insertion``, each with
    ``map``, ``random``, ``randomised``: ``curve``, the mean probability at each point, and
    ``area``; and with ``over_random`` and ``over_randomised``: by how much the map's area is the
    better one, film by film. ``correlation`` (Pearson) and ``spearman``, absolute, of a film's
    map with those of random weights; ``changed``, as in the study of heat; ``holds``: whether the
    map passes, by ``rule``. Estimates are {"value", "low", "high", "method"}, null without films.
    Raises `BundleError`.
    """
    from firstread.read.bundle import Bundle

    bundle = Bundle.load(bundle_path)
    card, model = bundle.card, bundle.onnx_path.read_bytes()
    rng = np.random.default_rng(seed)
    graph, others = Graph(model), [Graph(randomised(model, rng)) for _ in range(DRAWS)]
    which = sorted(called)
    if films is not None and len(which) > films:
        which = sorted(int(i) for i in rng.choice(which, films, replace=False))

    def curve(pictures: Films) -> Floats:
        parts = range(0, len(pictures), BATCH)
        logits = np.concatenate([graph.logits(pictures[at : at + BATCH]) for at in parts])
        return np.array([card.probability(z) for z in logits.tolist()])

    kept: list[int] = []
    rows: list[list[Floats]] = []
    likeness: list[tuple[float, float]] = []
    done = 0
    for indices, pixels in film_batches(cohort, which, card.preprocess):
        maps = graph.both(pixels)[1]
        random = [other.both(pixels)[1] for other in others]
        for j, (i, film) in enumerate(zip(indices, pixels, strict=True)):
            done += 1
            if np.isfinite(maps[j]).all():
                after = [upright(m[j]) for m in random]
                # Of its own for each film, so that a film's curves hang on no other.
                own = np.random.default_rng((seed, i))
                noise = own.normal(size=maps[j].shape).astype(np.float32)
                # The sets of random weights take turns: a curve costs 20 runs of the network.
                orders = (maps[j], noise, after[len(kept) % DRAWS])
                rows.append(_curves(film, orders, own, curve))
                likeness.append((alike(maps[j], after, pearson), alike(maps[j], after, spearman)))
                kept.append(i)
            if progress is not None:
                progress(done, len(which))
    patients = [cohort.rows[i].patient for i in kept]
    found = np.array(rows, np.float64).reshape(-1, len(WAYS), len(ORDERS), STEPS + 1)
    counts = {"n": len(kept), "n_called": len(called), "n_left_out": len(which) - len(kept)}
    return counts | _result(patients, found, np.array(likeness).reshape(-1, 2), seed)


def _curves(
    film: npt.NDArray[np.uint8],
    orders: Sequence[Map],
    rng: np.random.Generator,
    curve: Callable[[Films], Floats],
) -> list[Floats]:
    """Curves of one film: deletion by each order, then insertion by each order."""
    other = blurred(film)
    ranks = [order_of(heat, film.shape[0], rng) for heat in orders]
    return [curve(mixtures(*pair, r)) for pair in ((film, other), (other, film)) for r in ranks]


def _result(patients: Sequence[str], curves: Floats, likeness: Floats, seed: int) -> dict[str, Any]:
    """`curves`: (n, ways, orders, points); `likeness`: (n, 2)."""

    def mean(values: Floats, least: float = 0.0) -> Estimate | None:
        good = np.isfinite(values)
        chosen = [p for p, ok in zip(patients, good, strict=True) if ok]
        return Sampler(chosen, seed).mean(values[good], least, most=1.0) if chosen else None

    result: dict[str, Any] = {"share": [step / STEPS for step in range(STEPS + 1)]}
    gains: list[Estimate | None] = []
    for w, way in enumerate(WAYS):
        areas = np.array([[area(c) for c in film[w]] for film in curves]).reshape(-1, len(ORDERS))
        study: dict[str, Any] = {
            name: {
                "curve": curves[:, w, o].mean(axis=0).tolist() if len(curves) else [],
                "area": json_of(mean(areas[:, o])),
            }
            for o, name in enumerate(ORDERS)
        }
        for o, name in ((1, "random"), (2, "randomised")):
            better = areas[:, o] - areas[:, 0]
            gain = mean(better if way == "deletion" else -better, least=-1.0)
            gains.append(gain)
            study[f"over_{name}"] = json_of(gain)
        result[way] = study
    linear, ranked = mean(likeness[:, 0]), mean(likeness[:, 1])
    new = changed(linear, ranked)
    won = all(e is not None and np.isfinite(e.low) and e.low > 0.0 for e in gains)
    return result | {
        "correlation": json_of(linear),
        "spearman": json_of(ranked),
        "changed": new,
        "holds": new and won,
        "draws": DRAWS,
        "rule": RULE,
    }
