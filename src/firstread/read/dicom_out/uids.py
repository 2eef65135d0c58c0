"""What makes a result the same each time: UIDs and ids of our own, and no time of day.

A name-based UUID (RFC 9562, version 5) written as 2.25.<number>, which PS3.5 B.2 allows to
anybody without a registered root. What it stands for is spelt out in its name: two different
things never share a UID, and the same thing never gets two.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING

from firstread.read.digits import places

if TYPE_CHECKING:
    import pydicom

    from firstread.read.opinion import Opinion

NAMESPACE = uuid.UUID("6f1d6c36-7a38-5d0b-9c1e-3f0f4a2c9b57")
"""Of all our UIDs; drawn once, and never changed again."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


def derive(*parts: str) -> str:
    """A UID for what `parts` name, in their order: "2.25." and at most 39 digits.

    >>> derive("sr", "1.2.3") == derive("sr", "1.2.3") != derive("sr", "1.2", "3")
    True
    """
    return f"2.25.{name_based(*parts).int}"


def name_based(*parts: str) -> uuid.UUID:
    """The UUID for what `parts` name, in their order."""
    # Each part with its length in front, so that no two lists of parts spell the same name.
    name = "".join(f"{len(part)}:{part}" for part in parts)
    # A file's name, quoted in a reason, may hold bytes that are no text.
    return uuid.uuid5(NAMESPACE, name.encode("utf-8", "backslashreplace").decode())


def result_key(opinion: Opinion, film: str, anonymous: bool) -> tuple[str, ...]:
    """What tells an opinion from all others, as parts of a name: what was read, what came of it.

    `film`: what the result calls the film, such as its UID. Ids that are to be replaced by a later
    result (FHIR) end here; UIDs, of which an archive keeps the first, need all of the content.
    """
    pixels = b"" if opinion.pixels is None else opinion.pixels.tobytes()
    p, shown = opinion.probability, ""
    if p is not None:  # as results show it: processors and engines differ in digits nobody sees
        shown = f"{p:.{places(p, opinion.threshold, least=4)}f}"
    return (
        film,
        hashlib.sha256(pixels).hexdigest(),
        opinion.bundle,
        opinion.bundle_sha256,
        repr(opinion.threshold),
        shown,
        opinion.decision,
        *opinion.remarks,
        "anonymous" if anonymous else "named",
    )


def is_uid(text: str) -> bool:
    """Whether `text` can stand as a UID: numbers between dots, 64 characters at most.

    Noughts in front of a number, which the standard forbids, are let through: archives hold
    such films, and a reference must name the film as the archive does.
    """
    return len(text) <= 64 and _UID.fullmatch(text) is not None


CLOCK = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
"""Optional attributes (type 3) that highdicom sets to the time of day."""


def without_clock(ds: pydicom.Dataset) -> None:
    """Take the time of day out of a dataset: one UID must not stand for two contents."""
    for name in CLOCK:
        if name in ds:
            delattr(ds, name)
    for item in ds.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            del item.ContributionDateTime
