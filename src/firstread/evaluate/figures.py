"""Pictures for the pages: curves, counts and trade-offs.

Each function takes plain numbers and gives back either inline SVG (text) for an HTML page
or PNG (bytes) for a file. No line is told from another by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstread.evaluate.canvas import BLUE, INK, SOFT, VERMILLION, plain, png, sheet, svg
from firstread.read.drawing import as_it_comes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Mark:
    """A named point on a figure: `x` and `y` in the units of the axes."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram.

    `predicted`: mean probability; `observed`: share with pneumonia, with its interval
    `low` to `high`; `count`: films. All but `count` are between 0 and 1.
    """

    predicted: float
    observed: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Timed:
    """One model of a comparison: an estimate with its interval, and what it costs.

    `seconds`: training time, `milliseconds`: reading time a film; None where not known.
    """

    name: str
    value: float
    low: float
    high: float
    seconds: float | None
    milliseconds: float | None


@as_it_comes()
def roc(
    fpr: Sequence[float], tpr: Sequence[float], marks: Sequence[Mark] = (), note: str = ""
) -> str:
    """ROC curve as SVG. `fpr`, `tpr`: points of the curve; `marks`: operating points on it."""
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=(0, (3, 3)))
    axes.plot(fpr, tpr, color=BLUE, lw=2, clip_on=False)
    _marks(axes, marks)
    axes.set(xlabel="False positive rate (1 − specificity)", ylabel="Sensitivity")
    _note(axes, note, 0.97, 0.05, "right")
    return svg(figure, f"ROC curve. {note}")


@as_it_comes()
def precision_recall(
    recall: Sequence[float],
    precision: Sequence[float],
    share: float,
    marks: Sequence[Mark] = (),
    note: str = "",
) -> str:
    """Precision-recall curve as SVG. `share`: of films with pneumonia, what guessing reaches."""
    figure, axes = _square()
    axes.axhline(share, color=SOFT, lw=1, ls=(0, (3, 3)))
    axes.plot(recall, precision, color=BLUE, lw=2, clip_on=False)
    _marks(axes, marks)
    axes.set(xlabel="Recall (sensitivity)", ylabel="Precision")
    _note(axes, note, 0.03, 0.05, "left")
    return svg(figure, f"Precision-recall curve. {note}")


@as_it_comes()
def reliability(bins: Sequence[Bin], note: str = "") -> str:
    """Reliability diagram as SVG: observed share against predicted, counts below."""
    figure = sheet(4.4, 4.6)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    used = [b for b in bins if b.count > 0]
    x = [b.predicted for b in used]
    y = [b.observed for b in used]
    spread = [
        [max(0.0, b.observed - b.low) for b in used],
        [max(0.0, b.high - b.observed) for b in used],
    ]
    top.plot([0, 1], [0, 1], color=SOFT, lw=1, ls=(0, (3, 3)))
    if used:
        top.errorbar(
            x, y, yerr=spread, color=BLUE, lw=1.6, elinewidth=1, capsize=2, marker="o", ms=4.5
        )
        below.bar(x, [b.count for b in used], width=0.045, color=BLUE)
        for b in used:
            below.annotate(
                f"{b.count:,}",
                (b.predicted, b.count),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
                color=SOFT,
            )
    below.margins(y=0.35)
    top.set(ylabel="Observed share with pneumonia", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    below.set(xlabel="Predicted probability", ylabel="Films")
    below.set_yticks([])
    for axes in (top, below):
        plain(axes)
    below.grid(False)
    _note(top, note, 0.97, 0.06, "right")
    counts = "; ".join(f"predicted {b.predicted:.2f}, observed {b.observed:.2f}" for b in used)
    return svg(figure, f"Reliability diagram. {note} {counts}")


@as_it_comes()
def selective(coverage: Sequence[float], error: Sequence[float], marks: Sequence[Mark] = ()) -> str:
    """Error among the films decided against the share that is decided, as SVG."""
    figure = sheet(4.4, 3.4)
    axes = figure.subplots()
    plain(axes)
    axes.plot(coverage, error, color=BLUE, lw=2)
    _marks(axes, marks, lift=7)  # an error of 0 is on the axis, whose numbers are below
    axes.set(xlabel="Share of films decided", ylabel="Error among them", xlim=(-0.02, 1.02))
    axes.set_ylim(bottom=0.0)
    return svg(figure, "Error among the films decided against the share that is decided.")


@as_it_comes()
def confusion(matrix: Sequence[Sequence[int]], rows: Sequence[str], columns: Sequence[str]) -> str:
    """Confusion matrix as SVG. `matrix`: counts, a row a true class, a column a decision."""
    n_rows, n_columns = len(rows), len(columns)
    figure = sheet(1.9 + 1.15 * n_columns, 1.3 + 0.95 * n_rows)
    axes = figure.subplots()
    for i, row in enumerate(matrix):
        total = max(sum(row), 1)
        for j, count in enumerate(row):
            share = count / total
            # Blue where truth and decision agree, vermillion where not; deeper is more.
            agree = rows[i] == columns[j]
            colour = BLUE if agree else VERMILLION
            axes.fill_between([j, j + 1], i, i + 1, color=colour, alpha=0.06 + 0.34 * share, lw=0)
            axes.text(j + 0.5, i + 0.44, f"{count:,}", ha="center", va="center", fontsize=15)
            axes.text(
                j + 0.5, i + 0.76, f"{share:.1%}", ha="center", va="center", fontsize=8, color=SOFT
            )
    axes.set(xlim=(0, n_columns), ylim=(n_rows, 0), xlabel="Decision", ylabel="Truth")
    axes.set_xticks([j + 0.5 for j in range(n_columns)], columns)
    axes.set_yticks([i + 0.5 for i in range(n_rows)], rows)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    for side in axes.spines.values():
        side.set_visible(False)
    for j in range(1, n_columns):
        axes.axvline(j, color="white", lw=3)
    for i in range(1, n_rows):
        axes.axhline(i, color="white", lw=3)
    words = "; ".join(
        f"{rows[i]} decided {columns[j]}: {matrix[i][j]}"
        for i in range(n_rows)
        for j in range(n_columns)
    )
    return svg(figure, f"Confusion matrix. {words}")


@as_it_comes()
def curves(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Loss and accuracy a epoch of a training run, as PNG bytes.

    `history`: the rows of metrics.csv, with any of the columns epoch, train_loss,
    train_accuracy, val_loss, val_accuracy, val_auc; values may be numbers, text, empty or
    missing, and what is not a number leaves a gap.
    """
    figure = sheet(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    epochs = [_number(row.get("epoch")) for row in history]
    if any(math.isnan(e) for e in epochs):
        epochs = [float(i) for i in range(len(history))]
    styles = {
        "train_loss": (left, "training", SOFT, "--"),
        "val_loss": (left, "validation", BLUE, "-"),
        "train_accuracy": (right, "training accuracy", SOFT, "--"),
        "val_accuracy": (right, "validation accuracy", BLUE, "-"),
        "val_auc": (right, "validation AUC", VERMILLION, ":"),
    }
    for column, (axes, label, colour, dash) in styles.items():
        # A column may be filled on other rows than its neighbour: join over the gaps.
        pairs = [(e, _number(row.get(column))) for e, row in zip(epochs, history, strict=True)]
        pairs = [(e, v) for e, v in pairs if math.isfinite(v)]
        if pairs:
            x, y = zip(*pairs, strict=True)
            axes.plot(x, y, label=label, color=colour, ls=dash, lw=1.8, marker="o", ms=3)
    left.set(xlabel="Epoch", ylabel="Loss (cross-entropy)")
    right.set(xlabel="Epoch", ylabel="Accuracy, AUC")
    for axes in (left, right):
        plain(axes)
        # One tick is enough: to have two, a run of one epoch would get some at parts of it.
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return png(figure)


@as_it_comes()
def accuracy_against_time(models: Sequence[Timed]) -> str:
    """Accuracy against training time and against reading time, two panels, as SVG.

    `models`: those without a time are left out of that panel. A time axis that spans more
    than eight times is drawn on a log scale.
    """
    from matplotlib.ticker import LogLocator

    figure = sheet(9.0, 3.7)
    left, right = figure.subplots(1, 2, sharey=True)
    panels = (
        (left, [(m, m.seconds / 60) for m in models if m.seconds], "Training time (minutes)"),
        (
            right,
            [(m, m.milliseconds) for m in models if m.milliseconds],
            "Reading time (ms a film, one thread)",
        ),
    )
    for axes, timed, label in panels:
        plain(axes)
        axes.set_xlabel(label)
        if not timed:
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=SOFT)
            axes.set_xticks([])
            continue
        times = [t for _, t in timed]
        if max(times) > 8 * min(times):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        axes.margins(x=0.16, y=0.14)
        for model, time in timed:
            spread = [[max(0.0, model.value - model.low)], [max(0.0, model.high - model.value)]]
            axes.errorbar(
                [time], [model.value], yerr=spread, color=BLUE, marker="o", ms=6, capsize=2, lw=1.2
            )
            # A name stands to the left of a point that lies in the right half.
            right = math.log(time / min(times)) > 0.5 * math.log(max(times) / min(times) + 1e-9)
            axes.annotate(
                model.name,
                (time, model.value),
                (-7 if right else 7, 5),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=9,
            )
    left.set_ylabel("Accuracy")
    words = "; ".join(f"{m.name} {m.value:.3f}" for m in models)
    return svg(figure, f"Accuracy against training time and reading time. {words}")


def _square() -> tuple[Figure, Axes]:
    figure = sheet(4.4, 4.4)
    axes = figure.subplots()
    plain(axes)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure, axes


def _marks(axes: Axes, marks: Sequence[Mark], lift: int = -14) -> None:
    for mark in marks:
        axes.plot([mark.x], [mark.y], "o", color=VERMILLION, ms=8, mec="white", zorder=5)
        # Near the right edge the name goes to the left of the point.
        right = mark.x > 0.6
        axes.annotate(
            mark.name,
            (mark.x, mark.y),
            (-9 if right else 9, lift),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=9,
            color=INK,
        )


def _note(axes: Axes, note: str, x: float, y: float, align: str) -> None:
    axes.text(x, y, note, transform=axes.transAxes, ha=align, fontsize=9, color=INK)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
