"""A film of a batch as it stands in the outputs: an opinion that has been set down.

Opinions carry pictures and come one by one; outputs are made from all of them. Between the two
lies a journal on disk, and an entry is what is put in and taken out: what the JSON says of the
film, and for the first films of a page the pictures it shows, ready made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstread.read.opinion import Opinion


@dataclass(frozen=True)
class Entry:
    """One film, as JSON can hold it.

    `fields`: the opinion's, and "overlay": the path of its picture, or None. `shown`: what
    `page.shown` made of it, or None. `stem`: what its own files are called, without their
    ending, or None. `files`: paths of those files. `trouble`: why a result that was asked for
    could not be made, or None.
    """

    fields: dict[str, Any]
    shown: dict[str, Any] | None = None
    stem: str | None = None
    files: tuple[str, ...] = ()
    trouble: str | None = None

    @property
    def decision(self) -> str:
        """The opinion's decision."""
        return str(self.fields["decision"])


def entry_of(
    opinion: Opinion,
    *,
    pictured: bool = False,
    overlay: Path | None = None,
    stem: str | None = None,
    files: tuple[Path, ...] = (),
    trouble: str | None = None,
) -> Entry:
    """The entry of an opinion; with `pictured`, the page's pictures come along."""
    shown = None
    if pictured:
        from firstread.read.page import shown as make

        shown = make(opinion)
    fields = opinion.to_json() | {"overlay": None if overlay is None else str(overlay)}
    return Entry(fields, shown, stem, tuple(map(str, files)), trouble)
