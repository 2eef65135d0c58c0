"""The curves of deletion and insertion as a picture for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstread.evaluate.canvas import BLUE, INK, SOFT, VERMILLION, plain, sheet, svg
from firstread.read.drawing import as_it_comes

LINES = (
    ("map", "order of the map", BLUE, "-"),
    ("random", "random order", SOFT, "--"),
    ("randomised", "map of random weights", VERMILLION, ":"),
)
"""Key in the result, name on the page, colour and dash: none is told by colour alone."""

PANELS = (
    ("deletion", "Share of the film blurred", "the lower, the better"),
    ("insertion", "Share of the film put back", "the higher, the better"),
)


@as_it_comes()
def map_curves(study: Mapping[str, Any]) -> str:
    """Both curves beside each other as SVG. `study`: of `map_curves.map_curve_study`, n > 0."""
    figure = sheet(9.0, 3.5)
    words = []
    for axes, (way, label, note) in zip(figure.subplots(1, 2, sharey=True), PANELS, strict=True):
        plain(axes)
        for key, name, colour, dash in LINES:
            axes.plot(
                study["share"], study[way][key]["curve"], dash, color=colour, label=name, lw=2
            )
            words.append(f"{way}, {name}: area {study[way][key]['area']['value']:.3f}")
        axes.set(xlabel=label, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_title(f"{way.capitalize()}: {note}", loc="left", fontsize=9, color=INK)
        if way == "deletion":
            axes.set_ylabel("Mean probability of pneumonia")
        else:
            axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return svg(figure, f"Curves of deletion and insertion. {'; '.join(words)}")
