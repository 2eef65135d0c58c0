"""What a search leaves to look at: trials.csv, trials.json, best.toml, search.png, search.html."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.distributions import FloatDistribution

from firstread.evaluate.canvas import BLUE, INK, SOFT, VERMILLION, plain, png, sheet, svg
from firstread.evaluate.page import picture, write_page
from firstread.film.files import csv_text, write_atomic
from firstread.plural import count
from firstread.read.drawing import as_it_comes
from firstread.train.recipe import Recipe, recipe_toml
from firstread.train.record import now
from firstread.train.space import point_of, recipe_at, space_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTE = (
    "The value is optimistic: it is the best of many trials on the validation films they were "
    "chosen by. Judge the recipe on films that took no part in the search."
)
LABELS = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "batch_size": "batch size",
    "augment.crop.low": "smallest crop",
}
"""What a figure calls a value where its own name is not plain."""

PACKAGES = ("firstread", "optuna", "torch", "lightning")
COLUMNS = 4
"""Panels a row in the figure."""

Trials = Sequence[Mapping[str, Any]]


@as_it_comes()
def write_search(
    out: Path, name: str, recipe: Recipe, trials: list[dict[str, Any]]
) -> dict[str, Any]:
    """Write all five files, each whole or not at all; returns the content of trials.json.

    `trials`: number, folder, state ("complete", "pruned"), val_auc (None where pruned),
    last_val_auc, epochs, seconds, params, failed_films. Raises `OutputError`.
    """
    complete = [t for t in trials if t["state"] == "complete"]
    best = max(complete, key=lambda t: t["val_auc"]) if complete else None
    result: dict[str, Any] = {
        "format": 1,
        "name": name,
        "value": "AUC on the validation part",
        "note": NOTE if best else "",
        "date": now(),
        "seed": recipe.seed,
        "versions": {package: metadata.version(package) for package in PACKAGES},
        "recipe": recipe.to_dict(),
        "own": point_of(recipe),
        "best": best,
        "trials": trials,
    }
    if best:
        said = (
            f"# Found by `firstread tune` around {name}: {best['folder']}, the best of "
            f"{count(len(trials), 'trial')},\n# validation AUC {best['val_auc']:.4f}.\n# {NOTE}\n"
        )
        write_atomic(out / "best.toml", said + recipe_toml(recipe_at(recipe, best["params"])))
    write_atomic(out / "trials.csv", _table(trials, list(result["own"])))
    write_atomic(out / "trials.json", json.dumps(result, indent=2) + "\n")
    figure = search_figure(recipe, trials)
    write_atomic(out / "search.png", png(figure))
    words = (
        f"Validation AUC of {count(len(trials), 'trial')}, over time and over each value searched"
    )
    write_page(
        out / "search.html",
        "search.html",
        {
            "result": result,
            "figure": picture(svg(figure, words)),
            "rows": _rows(recipe, best),
            "names": [label_of(key) for key in result["own"]],
        },
    )
    return result


def label_of(key: str) -> str:
    """The plain name of a searched value."""
    return LABELS.get(key, key.removeprefix("augment."))


def _table(trials: Trials, names: list[str]) -> str:
    columns = ("number", "folder", "state", "val_auc", "last_val_auc", "epochs", "seconds")
    rows = ([t[c] for c in columns] + [t["params"].get(n, "") for n in names] for t in trials)
    return csv_text((*columns, *names), rows)


def _rows(recipe: Recipe, best: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The recipe's own value, the best one and the bounds of everything searched."""
    own = point_of(recipe)
    rows = []
    for key, bounds in space_of(recipe).items():
        if isinstance(bounds, FloatDistribution):
            span = f"{bounds.low:.3g} to {bounds.high:.3g}" + (", log" if bounds.log else "")
        else:
            span = ", ".join(str(o) for o in bounds.choices)
        rows.append(
            {
                "name": label_of(key),
                "own": f"{own[key]:.3g}",
                "best": f"{best['params'][key]:.3g}" if best else "–",
                "span": span,
            }
        )
    return rows


def search_figure(recipe: Recipe, trials: Trials) -> Figure:
    """Value over trials with the best so far; below, the value over each thing searched.

    Stopped trials are hollow triangles at the last value they had; what lies far below the
    complete trials is drawn at the lower edge.
    """
    from matplotlib.ticker import MaxNLocator

    space = space_of(recipe)
    rows = -(-len(space) // COLUMNS)
    figure = sheet(9.6, 2.9 + 2.0 * rows)
    grid = figure.add_gridspec(1 + rows, COLUMNS, height_ratios=(1.35, *[1.0] * rows))
    floor = _floor(trials)
    top = figure.add_subplot(grid[0, :])
    plain(top)
    _points(top, trials, [t["number"] for t in trials], floor)
    _best_so_far(top, trials)
    top.set(xlabel="Trial", ylabel="Validation AUC")
    top.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if top.get_legend_handles_labels()[0]:
        top.legend(
            loc="lower right",  # of the legend, which stands above the axes and hides no trial
            bbox_to_anchor=(1.0, 1.0),
            ncols=4,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )
    for i, (key, bounds) in enumerate(space.items()):
        axes = figure.add_subplot(grid[1 + i // COLUMNS, i % COLUMNS], sharey=top)
        plain(axes)
        if isinstance(bounds, FloatDistribution):
            if bounds.log:
                axes.set_xscale("log")
            _points(axes, trials, [t["params"][key] for t in trials], floor)
        else:
            # Evenly spaced, since no other number can come between.
            places = [bounds.choices.index(t["params"][key]) for t in trials]
            _points(axes, trials, places, floor)
            axes.set_xticks(range(len(bounds.choices)), [str(o) for o in bounds.choices])
            axes.set_xlim(-0.5, len(bounds.choices) - 0.5)
        axes.set_xlabel(label_of(key))
        axes.minorticks_off()
        axes.tick_params(labelleft=i % COLUMNS == 0, labelsize=8)
    return figure


def _floor(trials: Trials) -> float:
    """The lowest value drawn: a little under the complete trials, so that they stay apart."""
    values = [t["val_auc"] for t in trials if t["val_auc"] is not None]
    if not values:
        return -math.inf
    return float(min(values) - max(0.25 * (max(values) - min(values)), 0.002))


def _points(axes: Axes, trials: Trials, x: Sequence[float], floor: float) -> None:
    best = max((t["val_auc"] for t in trials if t["val_auc"] is not None), default=None)
    at = [(place, t) for place, t in zip(x, trials, strict=True)]
    whole = [(place, t["val_auc"]) for place, t in at if t["state"] == "complete"]
    cut = [(place, t["last_val_auc"]) for place, t in at if t["state"] != "complete"]
    cut = [(place, max(v, floor)) for place, v in cut if v is not None and math.isfinite(v)]
    if cut:
        axes.plot(*zip(*cut, strict=True), "v", ms=5, mfc="none", mec=SOFT, label="stopped early")
    if whole:
        axes.plot(*zip(*whole, strict=True), "o", ms=5, color=BLUE, mec="white", label="complete")
    first = [(place, value) for place, value in whole if value == best][:1]
    if first:
        axes.plot(
            *zip(*first, strict=True), "*", ms=12, color=VERMILLION, mec="white", label="best"
        )


def _best_so_far(axes: Axes, trials: Trials) -> None:
    x, y, best = [], [], -math.inf
    for t in trials:
        if t["val_auc"] is not None:
            best = max(best, t["val_auc"])
        if math.isfinite(best):
            x.append(t["number"])
            y.append(best)
    if x:
        axes.step(x, y, where="post", color=VERMILLION, lw=1.4, label="best so far", zorder=1)
