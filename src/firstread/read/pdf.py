"""One page on one film, as a PDF (A4) for a record or a colleague.

matplotlib draws it: it is there already, its font comes along, and it writes text that can be
searched. The same opinion gives the same bytes: no date is written. Characters that the font
lacks are shown by their code, so that no name is lost.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any, NamedTuple

from firstread.read.bundle import Bundle
from firstread.read.digits import in_digits, limits_in_digits
from firstread.read.drawing import as_it_comes
from firstread.read.opinion import NO_PNEUMONIA, PNEUMONIA, REFER, REJECTED, Opinion
from firstread.read.page import place_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, MARGIN = 595.0, 842.0, 48.0
"""A4 and its margin, in points."""

LABEL = 92.0
"""Points that the labels on the left take."""

MOST_LINES = 14
"""Lines of one text; what a page cannot hold is in the JSON."""

NAME_LINES = 3
"""Lines that the film's name may take."""

NOTICES = 150.0
"""Points that the notices may take from top to bottom; where they need more, they are smaller."""

INK, SOFT, LINE = "#111111", "#555555", "#bbbbbb"

MARKS = {
    PNEUMONIA: ("#8c1d18", "#8c1d18", "#ffffff", "solid"),
    NO_PNEUMONIA: ("#ffffff", "#1b4f8a", "#1b4f8a", "solid"),
    REFER: ("#ffe08a", "#7a5600", "#3d2b00", "dashed"),
    REJECTED: ("#444444", "#444444", "#ffffff", "dotted"),
}
"""Of each decision: ground, border, letters, border's style; the same as on the page in HTML."""


LETTERS = 9.0
"""Points of the letters of the table; where it is long, they are smaller."""


class _Row(NamedTuple):
    label: str
    lines: tuple[str, ...]


@as_it_comes()
def opinion_pdf(opinion: Opinion, bundle: Bundle) -> bytes:
    """The page on an opinion, given by `bundle`, as PDF bytes.

    Pictures are drawn where the opinion has pixels, the map where it has `heat` as well and the
    film was not turned away.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
    y = _head(figure, opinion, bundle)
    y = _decision(figure, opinion, _digits(opinion, bundle), y)
    y = _pictures(figure, opinion, y)
    _table(figure, _rows(opinion, bundle), y)
    _foot(figure, bundle)
    out = io.BytesIO()
    # Dates and versions in a file would make the same opinion another file.
    nothing = {"CreationDate": None, "Producer": None, "Creator": "firstread"}
    figure.savefig(out, format="pdf", metadata={"Title": "Opinion on one film", **nothing})
    return out.getvalue()


def _rows(opinion: Opinion, bundle: Bundle) -> list[_Row]:
    card = bundle.card
    told = [("Reason", text) for text in opinion.reasons]
    place = place_in_words(opinion)
    if place is not None:
        told.append(("Where", place))
    told += [("Film", text) for text in opinion.notes]
    how = card.thresholds["decision"].how
    _, threshold, low, high = _digits(opinion, bundle)
    told.append(("Pneumonia from", f"probability {threshold} on. {how}"))
    band = f"probability {low} to {high}. {card.refer.how}"
    told += [("Refer", band), ("Calibration", card.calibration.how or "none")]
    told.append(("Model", f"{card.name}, {card.arch}, made {card.created}, {card.licence}"))
    told.append(("Bundle", f"sha256 {bundle.sha256}"))
    rows: list[_Row] = []
    for label, text in told:
        lines = wrapped(text, LETTERS, WIDTH - 2 * MARGIN - LABEL)
        if len(lines) > MOST_LINES:
            lines = (*lines[: MOST_LINES - 1], "…")
        shown = "" if rows and rows[-1].label == label else label
        rows.append(_Row(shown, lines))
    return rows


def _digits(opinion: Opinion, bundle: Bundle) -> tuple[str, ...]:
    """Probability, threshold and the band's ends; of a film that was turned away, whose number
    means nothing, the first is "": it is in the JSON."""
    limits = opinion.threshold, bundle.card.refer.low, bundle.card.refer.high
    if opinion.probability is None or opinion.decision == REJECTED:
        return "", *limits_in_digits(*limits)
    return in_digits(opinion.probability, *limits)


def _height(rows: list[_Row], scale: float) -> float:
    return sum(len(r.lines) * LETTERS * 1.35 + 4 for r in rows) * scale


def _head(figure: Figure, opinion: Opinion, bundle: Bundle) -> float:
    """Title, name of the film, and the notices in a frame; returns how far down it reaches."""
    y = HEIGHT - MARGIN
    _text(figure, MARGIN, y, "firstread: opinion on one film", 9, SOFT)
    y -= 22
    for line in _name_lines(opinion.file or "a film without a name"):
        _text(figure, MARGIN, y, line, 13, INK, weight="bold")
        y -= 17
    size, lines = _notices(bundle.card.notices)
    tall = 1.4 * size * len(lines) + 8
    _box(figure, MARGIN, y - tall + 8, WIDTH - 2 * MARGIN, tall, "#ffffff", INK)
    for i, line in enumerate(lines):
        _text(figure, MARGIN + 8, y + 3 - size * (1 + 1.4 * i), line, size, INK, weight="bold")
    return y - tall


def _name_lines(name: str) -> tuple[str, ...]:
    """The film's name; of a long one the end, which tells films apart where its start does not."""
    width = WIDTH - 2 * MARGIN - width_of("…", 13, True)
    lines = wrapped(name, 13, width, True)
    if len(lines) <= NAME_LINES:
        return lines
    first, *rest = lines[-NAME_LINES:]
    return (f"…{first}", *rest)


def _notices(notices: tuple[str, ...]) -> tuple[float, list[str]]:
    """All that the bundle must always say, in lines, and the size of their letters."""
    size = 9.0
    while True:
        lines = [n for t in notices for n in wrapped(t, size, WIDTH - 2 * MARGIN - 16, True)]
        if 1.4 * size * len(lines) <= NOTICES:
            return size, lines
        size *= 0.95


def _decision(figure: Figure, opinion: Opinion, digits: tuple[str, ...], y: float) -> float:
    """The decision in its mark, and the probability beside it."""
    ground, border, letters, style = MARKS[opinion.decision]
    wide = width_of(opinion.decision, 16, True) + 24
    y -= 32
    _box(figure, MARGIN, y, wide, 30, ground, border, style)
    _text(figure, MARGIN + 11, y + 10, opinion.decision, 16, letters, weight="bold")
    said = f"probability of pneumonia {digits[0]}" if digits[0] else "no probability"
    _text(figure, MARGIN + wide + 14, y + 15, said, 12, INK)
    under = f"threshold {digits[1]}"
    _text(figure, MARGIN + wide + 14, y + 2, under, 9, SOFT)
    return y - 16


def _pictures(figure: Figure, opinion: Opinion, y: float) -> float:
    """The film, and beside it the film with the map; returns how far down they reach."""
    if opinion.pixels is None:
        return y
    from firstread.read.overlay import overlay_pixels, size_at, stretched

    aspect = opinion.picture_aspect
    drawn: list[tuple[str, Any]] = [("film", stretched(opinion.pixels, aspect))]
    if opinion.heat is not None and opinion.decision != REJECTED:
        laid = overlay_pixels(opinion.pixels, opinion.heat, opinion.lungs, aspect)
        outlined = ", lungs outlined" if opinion.lungs is not None else ""
        drawn.append((f"what spoke for pneumonia{outlined}", laid))
    across, down = size_at(aspect)
    room = (WIDTH - 2 * MARGIN - 14) / 2
    wide, tall = room * min(1.0, across / down), room * min(1.0, down / across)
    for i, (caption, picture) in enumerate(drawn):
        x = MARGIN + i * (room + 14) + (room - wide) / 2
        box = (x / WIDTH, (y - tall) / HEIGHT, wide / WIDTH, tall / HEIGHT)
        axes = figure.add_axes(box)
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="none")
        axes.set_axis_off()
        _text(figure, x, y - tall - 12, caption, 8, SOFT)
    return y - tall - 30


def _table(figure: Figure, rows: list[_Row], y: float) -> None:
    """What is left of the page, in letters as small as it takes."""
    scale = 1.0
    while scale > 0.6 and _height(rows, scale) > y - MARGIN:
        scale -= 0.05
    size = LETTERS * scale
    for row in rows:
        if row.label:
            _rule(figure, y + size * 1.25)
            _text(figure, MARGIN, y, row.label, size, SOFT)
        for line in row.lines:
            _text(figure, MARGIN + LABEL, y, line, size, INK)
            y -= size * 1.35
        y -= 4 * scale


def _foot(figure: Figure, bundle: Bundle) -> None:
    import firstread

    text = f"firstread {firstread.__version__} with {bundle.name} {bundle.sha256[:12]}"
    _text(figure, MARGIN, MARGIN - 22, text + "; made by a machine, read by no person", 8, SOFT)


def _text(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    size: float,
    colour: str,
    weight: str = "normal",
) -> None:
    figure.text(
        x / WIDTH,
        y / HEIGHT,
        drawable(text),
        fontsize=size,
        color=colour,
        weight=weight,
        family="DejaVu Sans",
        parse_math=False,
    )


def _box(
    figure: Figure,
    x: float,
    y: float,
    wide: float,
    tall: float,
    ground: str,
    border: str,
    style: str = "solid",
) -> None:
    from matplotlib.patches import Rectangle

    place = (x / WIDTH, y / HEIGHT), wide / WIDTH, tall / HEIGHT
    figure.add_artist(
        Rectangle(*place, facecolor=ground, edgecolor=border, linestyle=style, linewidth=1.5)
    )


def _rule(figure: Figure, y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(
        Line2D((MARGIN / WIDTH, 1 - MARGIN / WIDTH), (y / HEIGHT,) * 2, color=LINE, linewidth=0.5)
    )


def wrapped(text: str, size: float, width: float, bold: bool = False) -> tuple[str, ...]:
    """`text` in lines no wider than `width` points, broken at spaces, or where there are none."""
    lines, line = [], ""
    for word in drawable(text).split():
        wider = f"{line} {word}" if line else word
        if width_of(wider, size, bold) <= width:
            line = wider
            continue
        if line:
            lines.append(line)
        line = ""
        for character in word:
            if line and width_of(line + character, size, bold) > width:
                lines.append(line)
                line = ""
            line += character
    return (*lines, line)


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Width in points of a line: the sum of its characters', kerning left aside."""
    return sum(_advance(c, bold) for c in text) * size


@functools.cache
def _advance(character: str, bold: bool) -> float:
    """How far a character moves on, in ems."""
    font = _font(bold)
    font.set_size(100, 72)
    return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / 100


def drawable(text: str) -> str:
    """`text` with what the font cannot show, or a line cannot hold, written as its code."""
    known = _known()
    return "".join(c if ord(c) in known and c.isprintable() else _code(c) for c in text)


def _code(character: str) -> str:
    if character.isspace():
        return " "
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else "?"


@functools.cache
def _font(bold: bool) -> Any:
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return FT2Font(
        findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal"))
    )


@functools.cache
def _known() -> frozenset[int]:
    return frozenset(_font(False).get_charmap()) & frozenset(_font(True).get_charmap())
