"""One HTML file a page: templates, number formats and inlined pictures.

A page must open anywhere, offline and for years, so everything is inside the one file and a
content security policy forbids the browser to fetch anything at all. Autoescape is on:
file names come from strangers. Only what we drew ourselves (`picture`) goes in as markup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstread import __version__
from firstread.film.files import write_atomic
from firstread.read.card import NO_DEVICE
from firstread.read.digits import limits_in_digits
from firstread.read.page import templates

NOTICES = (
    "Research software: no decision about a patient may rest on it. "
    "On films of another hospital, scanner or age expect it to be worse than here.",
)
"""What every page says, before anything else."""

MISSING = "–"


def write_page(path: Path, template: str, context: Mapping[str, Any]) -> None:
    """Render a template of `templates/` and write it whole or not at all. Raises `OutputError`."""
    write_atomic(Path(path), render(template, context))


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of `templates/` as HTML text; a name it does not know is an error."""
    environment = templates(Path(__file__).parent)
    environment.filters.update(
        sentence=sentence,
        number=number,
        limit=limit,
        percent=percent,
        percent_span=percent_span,
        places=places,
        span=span,
        count=count,
        p_value=p_value,
        duration=duration,
    )
    said = tuple(context.get("notices", ()))
    ours = (*(() if any(n.startswith(NO_DEVICE) for n in said) else (NO_DEVICE,)), *NOTICES)
    notices = (*(n for n in said if n not in ours), *ours)
    return environment.get_template(template).render(
        {**context, "notices": notices, "firstread_version": __version__}
    )


def picture(svg: str) -> Any:
    """SVG of `firstread.evaluate.figures` as markup that is not escaped again."""
    from markupsafe import Markup

    return Markup(svg)  # drawn by us; its text was escaped by matplotlib


def value_of(x: Any) -> float:
    """A number, or an estimate's value; NaN for anything else."""
    if isinstance(x, Mapping):
        x = x.get("value")
    if isinstance(x, bool) or not isinstance(x, int | float):
        return math.nan
    return float(x)


def number(x: Any, digits: int = 3) -> str:
    """A number or an estimate's value, to `digits` places; a dash where there is none."""
    value = value_of(x)
    return _typeset(value, digits) if math.isfinite(value) else MISSING


def limit(x: float) -> str:
    """A threshold or an end of a band, with two digits beyond its noughts or nines."""
    return limits_in_digits(x)[0]


def _typeset(value: float, digits: int) -> str:
    """With a true minus sign, and no minus before a nought."""
    text = f"{abs(value):.{digits}f}"
    return f"\u2212{text}" if value < 0 and float(text) > 0 else text


MOST_PLACES = 5
"""Beyond which more would say more than any study can."""


def places(x: Any, digits: int, top: float = math.inf, times: float = 1.0) -> int:
    """Places, `digits` or as many more as it takes, with which `x` looks neither like 0 nor like
    `top` where it is between them: a number, or an estimate with its interval, each by `times`."""
    told = [x, *(x.get(end) for end in ("low", "high"))] if isinstance(x, Mapping) else [x]
    inside = [v for v in (times * value_of(one) for one in told) if 0 < v < top]
    while digits < MOST_PLACES and any(round(v, digits) in (0, top) for v in inside):
        digits += 1
    return digits


def percent(x: Any, digits: int = 1) -> str:
    """A share of 1 as per cent; 99.97 and not 100.0, which would say that none was missed."""
    value = 100 * value_of(x)
    n = places(x, digits, 100, 100)
    return f"{value:.{n}f} %" if math.isfinite(value) else MISSING


def percent_span(x: Mapping[str, Any]) -> str:
    """The interval of an estimate of a share as per cent, "91.0 to 95.4 %", a dash for what it
    has not; with as many places as `percent` gives its value."""
    n = places(x, 1, 100, 100)
    return " to ".join(number(100 * value_of(x.get(end)), n) for end in ("low", "high")) + " %"


def span(x: Any, digits: int = 3) -> str:
    """An estimate's interval, "0.910 to 0.954"; empty where it has none."""
    if not isinstance(x, Mapping):
        return ""
    low, high = value_of(x.get("low")), value_of(x.get("high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{_typeset(low, digits)} to {_typeset(high, digits)}"


def count(x: Any) -> str:
    """A whole number with thousands apart."""
    value = value_of(x)
    return f"{value:,.0f}" if math.isfinite(value) else MISSING


def p_value(x: Any) -> str:
    """A p-value: two digits, and no more zeros than anyone believes."""
    value = value_of(x)
    if not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def duration(x: Any) -> str:
    """Seconds as "45 s", "12.5 min" or "1.4 h"."""
    value = value_of(x)
    if not math.isfinite(value):
        return MISSING
    if value < 90:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 5400 else f"{value / 3600:.1f} h"


def sentence(text: Any) -> str:
    """Text with a capital first letter and a full stop; empty stays empty."""
    plain = str(text or "").strip()
    if not plain:
        return ""
    return plain[0].upper() + plain[1:] + ("" if plain[-1] in ".!?" else ".")
