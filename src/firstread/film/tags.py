"""What is taken out of a DICOM header beside the pixels: no name, no id, no date."""

from __future__ import annotations

import re
from typing import Any

from pydicom import Sequence

from firstread.film.age import told_age

TAGS = ("Modality", "BodyPartExamined", "ViewPosition", "PatientSex", "PresentationIntentType")
"""Tags a reader needs, beside those below; names, ids and dates are never taken out of the file."""

CODES = {"ViewCode": "ViewCodeSequence", "RegionCode": "AnatomicRegionSequence"}
"""Codes a reader needs; of each the meaning is taken under the first name, in whatever language it
is told, and scheme and code under that name with "Value" behind."""

DIRECTION = re.compile("[APRLHF]{1,3}")
"""A direction of PatientOrientation (PS3.3 C.7.6.1.1.1), and no other word that stands there."""


def told_tags(ds: Any) -> dict[str, str]:
    """A data set's tags by name, each a text; of several values with a backslash between, as DICOM
    writes them. What is not told is not there."""
    tags = {name: _text(ds.get(name))[:64] for name in TAGS if ds.get(name)}
    if age := told_age(ds):
        tags["PatientAge"] = age
    directions = _text(ds.get("PatientOrientation")).upper().split("\\")
    if len(directions) == 2 and all(map(DIRECTION.fullmatch, directions)):
        tags["PatientOrientation"] = "\\".join(directions)
    for name, sequence in CODES.items():
        tags |= _code(name, ds.get(sequence))
    return tags


def _text(value: Any) -> str:
    """A value or its several values, of which each may have 16 letters."""
    if value is None:
        return ""
    values = [value] if isinstance(value, str | int) or not hasattr(value, "__iter__") else value
    return "\\".join(str(part).strip()[:16] for part in values)


def _code(name: str, items: Any) -> dict[str, str]:
    """The first code of a sequence: its meaning, and its scheme and value, where it tells them."""
    if not isinstance(items, Sequence) or not items:  # a text that stands there is none
        return {}
    told, first = {}, items[0]
    if meaning := first.get("CodeMeaning"):
        told[name] = str(meaning)[:64]
    scheme, value = first.get("CodingSchemeDesignator"), first.get("CodeValue")
    if scheme and value:
        told[f"{name}Value"] = f"{str(scheme)[:16]} {str(value)[:16]}"
    return told
