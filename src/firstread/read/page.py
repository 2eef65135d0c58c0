"""The page of a reading: one HTML file that opens offline, pictures and all.

Decisions are marked with words, not with colour alone. Films stand in the order they were
read; each is shown as the model saw it, stretched back to its own aspect, beside the same
film with the model's map over it.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firstread.read.bundle import Bundle
from firstread.read.opinion import DECISIONS, Opinion

PICTURES = 200
"""Films with pictures on a page; more would make a file that no browser opens gladly."""

TEMPLATE = Path(__file__).parent / "templates" / "read.html"

MARKS = {
    "pneumonia": "mark-yes",
    "no pneumonia": "mark-no",
    "refer": "mark-refer",
    "rejected": "mark-rejected",
}


def page_html(opinions: Sequence[Opinion], bundle: Bundle, total: int | None = None) -> str:
    """The page for `opinions`. `total`: films there were, if the reading was stopped early."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    counts = Counter(o.decision for o in opinions)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        films=[_film(o, i < PICTURES) for i, o in enumerate(opinions)],
        counts=[(d, MARKS[d], counts[d]) for d in DECISIONS],
        card=bundle.card,
        sha256=bundle.sha256[:12],
        total=total,
        pictures=PICTURES,
    )


def _film(opinion: Opinion, with_pictures: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "file": opinion.file,
        "decision": opinion.decision,
        "mark": MARKS[opinion.decision],
        "probability": opinion.probability,
        "reasons": opinion.reasons,
        "film": None,
        "overlay": None,
        "where": None,
        "aspect": min(4.0, max(0.25, opinion.aspect or 1.0)),
    }
    if with_pictures and opinion.pixels is not None:
        from firstread.read.overlay import film_png, overlay_png, where

        shown["film"] = _inline(film_png(opinion.pixels))
        if opinion.heat is not None:
            overlay = overlay_png(opinion.pixels, opinion.heat, opinion.lungs)
            shown["overlay"] = _inline(overlay)
            shown["where"] = where(opinion.heat)
            if opinion.regions is not None:
                from firstread.read.regions import in_words

                shown["where"] = in_words(opinion.regions)
            elif opinion.regions_doubt is not None:
                shown["where"] += f" No zones are named: {opinion.regions_doubt}."
    return shown


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
