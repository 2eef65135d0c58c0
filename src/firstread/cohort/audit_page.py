"""The audit as one HTML file that opens offline.

Nothing is fetched from anywhere and names are escaped. Duplicates are shown as small
pictures made from the user's own films, so the page stays where the films stay.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from firstread import __version__
from firstread.cohort.duplicates import SIDE
from firstread.errors import FirstreadError
from firstread.film import Preprocess, decode, preprocess
from firstread.film.files import write_atomic
from firstread.read.overlay import data_uri
from firstread.read.page import templates

SHOWN = 12
"""Groups of duplicates shown of each kind."""


def write_audit_page(report: dict[str, Any], path: Path) -> None:
    """Write the page for a report of `audit` whole or not at all. Raises `OutputError`."""
    write_atomic(path, render_audit_page(report))


def render_audit_page(report: dict[str, Any]) -> str:
    """The page as HTML text. Films that have gone since the audit are shown as blanks."""
    root, twins = Path(report["root"]), report["duplicates"]
    exact = [_shown(root, files, "") for files in twins["exact"]["list"][:SHOWN]]
    near = [
        _shown(root, pair["files"], f"correlation {pair['correlation']:.3f}")
        for pair in twins["near"]["pairs"][:SHOWN]
    ]
    judged = [c["between"] for c in report["between"] if c["judged"]]
    sides = sorted({side for pair in judged for side in pair})
    template = templates(Path(__file__).parent).get_template("audit.html")
    return template.render(
        r=report,
        version=__version__,
        judged=", ".join(sides),
        pairs=(("Identical films", exact), ("Near-identical films", near)),
    )


def _shown(root: Path, files: list[str], note: str) -> dict[str, Any]:
    return {"files": files, "note": note, "pictures": [_inline(root / f) for f in files[:2]]}


def _inline(path: Path) -> str:
    """A film as the data URI of a small PNG."""
    try:
        small = preprocess(decode(path, reduce_to=2 * SIDE), Preprocess(size=2 * SIDE))
        picture = Image.fromarray(small)
    except FirstreadError:
        picture = Image.new("L", (2, 2))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return data_uri(stream.getvalue())
