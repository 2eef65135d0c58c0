"""The page of a reading: one HTML file that opens offline, pictures and all.

Decisions are marked with words, not with colour alone. Films stand in the order they were
read; each is shown as the model saw it, stretched back to its own aspect, beside the same
film with the model's map over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.read.bundle import Bundle
from firstread.read.digits import in_digits, limits_in_digits
from firstread.read.entry import Entry
from firstread.read.opinion import DECISIONS, REJECTED, Opinion
from firstread.terminal import printable

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURES = 200
"""Films with pictures on a page; more would make a file that no browser opens gladly."""

MARKS = {
    "pneumonia": "mark-yes",
    "no pneumonia": "mark-no",
    "refer": "mark-refer",
    "rejected": "mark-rejected",
}


def templates(room: Path) -> Environment:
    """The templates in a room's folder. File names come from strangers, so all is escaped; a name
    that a template does not know is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(room / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_parts(
    entries: Iterable[Entry], counts: Mapping[str, int], bundle: Bundle, total: int | None = None
) -> Iterator[str]:
    """The page of `entries`, piece by piece: of many films never more than a few in memory.

    `counts`: films by decision. `total`: films there were, if the reading was stopped early.
    """
    card = bundle.card
    limits = card.threshold, card.refer.low, card.refer.high
    template = templates(Path(__file__).parent).get_template("read.html")
    return template.generate(
        films=(_film(entry, limits, i < PICTURES) for i, entry in enumerate(entries)),
        number=sum(counts.values()),
        counts=[(d, MARKS[d], counts.get(d, 0)) for d in DECISIONS],
        card=card,
        limits=limits_in_digits(*limits),
        sha256=bundle.sha256[:12],
        total=total,
        pictures=PICTURES,
    )


def shown(opinion: Opinion) -> dict[str, Any]:
    """What the page shows of a film beside its words; pictures as data URIs.

    A film that was turned away is shown without a map: nobody should look for meaning in it.
    """
    out: dict[str, Any] = {
        "film": None,
        "overlay": None,
        "where": None,
        "aspect": min(4.0, max(0.25, opinion.picture_aspect)),
    }
    if opinion.pixels is None:
        return out
    from firstread.read.overlay import data_uri, film_png, overlay_png

    out["film"] = data_uri(film_png(opinion.pixels))
    if opinion.heat is not None and opinion.decision != REJECTED:
        out["overlay"] = data_uri(overlay_png(opinion.pixels, opinion.heat, opinion.lungs))
        out["where"] = place_in_words(opinion)
    return out


def place_in_words(opinion: Opinion) -> str | None:
    """A sentence on where the evidence of an opinion lies; None where it has no map."""
    if opinion.heat is None or opinion.decision == REJECTED:
        return None
    from firstread.read.overlay import where
    from firstread.read.regions import in_words

    if opinion.regions is not None:
        return in_words(opinion.regions, opinion.mirrored)
    doubt = opinion.regions_doubt
    place = where(opinion.heat, opinion.seen, opinion.mirrored)
    return place + (f" No zones are named: {doubt}." if doubt else "")


def _film(entry: Entry, limits: tuple[float, ...], with_pictures: bool) -> dict[str, Any]:
    fields = entry.fields
    # Of a film that was turned away the number means nothing; it is in the JSON.
    known = fields["probability"] is not None and fields["decision"] != REJECTED
    told = in_digits(fields["probability"], *limits) if known else (None, None)
    bare = {"film": None, "overlay": None, "where": None, "aspect": 1.0}
    return {
        "file": _plain(fields["file"]),
        "decision": fields["decision"],
        "mark": MARKS[fields["decision"]],
        "probability": told[0],
        "threshold": told[1],
        "reasons": [_plain(reason) for reason in fields["reasons"]],
        "notes": fields["notes"],
        **((entry.shown if with_pictures else None) or bare),
    }


def _plain(text: str) -> str:
    """`text` without what is not seen but steers: a name may hold a mark that turns the order of
    the letters after it round, and with it that of the reason in which it is quoted."""
    return "".join(c if c.isprintable() or c.isspace() else printable(c) for c in text)
