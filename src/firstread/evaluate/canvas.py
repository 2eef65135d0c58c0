"""Where figures are drawn: an empty sheet, one look, and the way out as SVG or PNG.

Figures are matplotlib `Figure` objects, never pyplot, so nothing opens a window, leaks
between calls or depends on a display. Colours are of the Okabe-Ito palette (Okabe and Ito
2008, "Color Universal Design"), which stays apart for colour-blind eyes. SVG keeps its text
as text, in the font of the page, so it can be searched, read out and printed sharply.
"""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION = "#0072B2", "#D55E00"
INK, SOFT, RULE = "#1d2530", "#5b6673", "#d9dee4"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif"


def sheet(width: float, height: float) -> Figure:
    """An empty figure, sides in inches, drawn by Agg whatever the display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """Give axes the one look: a light grid, no box."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.grid(color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, labelsize=9, length=0)
    axes.xaxis.label.set(color=INK, size=10)
    axes.yaxis.label.set(color=INK, size=10)


def svg(figure: Figure, description: str) -> str:
    """A figure as SVG to stand inside an HTML page.

    `description`: what a screen reader says. Ids are made from the content, with nothing
    random, so equal figures give equal bytes and several can share a page.
    """
    import matplotlib

    buffer = io.StringIO()
    quiet = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "firstread"}):
        figure.savefig(buffer, format="svg", metadata=quiet, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = text.replace("xlink:href", "href")
    text = re.sub(r' xmlns(?::\w+)?="[^"]*"', "", text)  # HTML knows SVG without being told
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # matplotlib names its own font list; the page has one font.
    text = re.sub(r"'DejaVu Sans'(?:, [^;\"]+)?(?=[;\"])", FONT, text)
    label = html.escape(" ".join(description.split()), quote=True)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
