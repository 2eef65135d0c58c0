"""Which class a label means, and a folder's name where it is not quite that class's name.

A hint that is followed moves every film below it, so it is better to give none than one that
turns the labels over: `ABNORMAL` and `NO_PNEUMONIA` hold the other class's name whole.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

ALIKE = 0.75
"""difflib's ratio from which on a name is taken for a misspelt one."""

_DENIED = frozenset({"NO", "NON", "NOT", "NEG", "NEGATIVE", "WITHOUT", "FREE", "EXCEPT"})
"""Words that turn a class's name into its opposite, wherever they stand."""

LABEL_WORDS = {
    "0": 0, "0.0": 0, "normal": 0, "no finding": 0, "no pneumonia": 0, "negative": 0, "false": 0,
    "1": 1, "1.0": 1, "pneumonia": 1, "positive": 1, "true": 1, "bacteria": 1, "virus": 1,
    "bacterial": 1, "viral": 1,
}  # fmt: skip
"""What a label may be, in small letters; 1.0 is what pandas makes of a 1 beside a blank."""


def denies(folder: str) -> bool:
    """Whether a word of the name turns the others over.

    >>> denies("pneumonia-negative"), denies("Normal_2")
    (True, False)
    """
    return bool(_DENIED & set(re.split(r"[^A-Z]+", folder.upper())))


def misspelt(folder: str, classes: Iterable[str]) -> str | None:
    """The one of `classes` that `folder` is a misspelling of, or None.

    What stands before a class's name may deny it (`UNNORMAL`); what stands behind it, seldom.

    >>> misspelt("Pnuemonia", ["NORMAL", "PNEUMONIA"]), misspelt("ABNORMAL", ["NORMAL"])
    ('PNEUMONIA', None)
    """
    name = folder.upper()
    fit = [c for c in classes if name[:1] == c[:1] and name.find(c) <= 0]
    found = difflib.get_close_matches(name, fit, 1, ALIKE)
    return found[0] if found and not denies(folder) else None


def stands_for(folder: str, name: str) -> bool:
    """Whether a folder is the class `name` misspelt, cut short or with more behind it.

    >>> stands_for("pneu", "PNEUMONIA"), stands_for("PNEUMOTHORAX", "PNEUMONIA")
    (True, False)
    """
    upper = folder.upper()
    if misspelt(folder, [name]):
        return True
    short = len(upper) > 2 and name.startswith(upper)
    return (short or upper.startswith(name)) and not denies(folder)
