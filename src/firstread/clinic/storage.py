"""What the node takes from a sender, and what it says to what it does not take."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from firstread.film.decode import MAX_BYTES
from firstread.film.guard import CountedBytes
from firstread.film.quiet import quiet
from firstread.read.dicom_out import is_own
from firstread.read.gate import FOR_PROCESSING

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
TAKEN = (CR, DX, SC)
"""SOP classes accepted: computed radiography, digital X-ray for presentation, secondary capture
of one frame."""

NO_FILMS = (
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR, our own reports among them
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.35",  # Extensible SR
    "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
    "1.2.840.10008.5.1.4.1.1.88.65",  # Chest CAD SR
    "1.2.840.10008.5.1.4.1.1.88.67",  # X-Ray Radiation Dose SR
    "1.2.840.10008.5.1.4.1.1.11.1",  # Softcopy Presentation State: Grayscale
    "1.2.840.10008.5.1.4.1.1.11.2",  # Color
    "1.2.840.10008.5.1.4.1.1.11.3",  # Pseudo-Color
    "1.2.840.10008.5.1.4.1.1.11.4",  # Blending
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
    "1.2.840.10008.5.1.4.1.1.104.2",  # Encapsulated CDA
)
"""SOP classes that lie beside the films of a study and can hold none. They are answered with
success and dropped unopened: an archive that forwards a whole study may give up the rest of it,
films too, at the first class that is not accepted. All others are refused at negotiation. Classes
of images are among those even if no film is read of them: "success" would hide from the sender
that its film is of the wrong kind."""

WHY_NOT = {
    "1.2.840.10008.5.1.4.1.1.1.1.1": FOR_PROCESSING,
    "1.2.840.10008.5.1.4.1.1.7.1": "of several frames; a film is one",
    "1.2.840.10008.5.1.4.1.1.7.2": "of several frames; a film is one",
    "1.2.840.10008.5.1.4.1.1.7.3": "of several frames; a film is one",
    "1.2.840.10008.5.1.4.1.1.7.4": "of several frames; a film is one",
}
"""Why some SOP classes that a sender might try in good faith are refused."""

SUCCESS, NO_ROOM, MISMATCH, BROKEN = 0x0000, 0xA700, 0xA900, 0xC000
"""Status of a C-STORE (PS3.4 B.2.3)."""

LARGEST = MAX_BYTES
"""Bytes of a film; a longer one would not be read."""

SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit, little endian
    "1.2.840.10008.1.2",  # implicit
    "1.2.840.10008.1.2.2",  # explicit, big endian: retired, still met
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first order
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.5",  # RLE
)
"""Transfer syntaxes, best first. Deflate is not among them: a small stream can unpack to any
size, and every sender has another."""


def readable_syntaxes() -> list[str]:
    """Those of `SYNTAXES` that can be decoded here: what cannot be read is not taken."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    def can(uid: str) -> bool:
        return not UID(uid).is_compressed or get_decoder(UID(uid)).is_available

    return [uid for uid in SYNTAXES if can(uid)]


def name_of(kind: str) -> str:
    """What the standard calls a SOP class; "an unknown kind of object" for one it does not name.

    A UID that has no name may be anything, so it is told nowhere.
    """
    from pydicom.uid import UID

    name = UID(kind).name
    return "an unknown kind of object" if name == kind else name


FEW = 8
"""Kinds of objects refused at a time that are named; a sender that offers more offers all."""


def refused_kinds(refused: Iterable[str], accepted: Iterable[str]) -> list[str]:
    """Lines for the log on SOP classes that were offered and not taken, by any syntax."""
    kinds = sorted(set(refused) - set(accepted))
    lines = []
    for kind in kinds:
        if kind in TAKEN:
            why = "in no transfer syntax that can be decoded here"
        else:
            why = WHY_NOT.get(kind, "no kind of film that is read here")
        lines.append(f"refused {name_of(kind)}: {why}")
    if len(lines) > FEW:
        return [f"refused {len(lines)} kinds of objects that are no films"]
    return lines


@dataclass(frozen=True)
class Arrival:
    """A film as it came in. `data`: its file. `mark`: the sha256 of what it is known by."""

    uid: str
    data: bytes
    mark: str


@dataclass(frozen=True)
class Refusal:
    """A film that is not taken: the status that says so, and why."""

    status: int
    why: str


class TooLarge(io.BytesIO):
    """Takes the place of a data set of more than `LARGEST` bytes, and keeps none of them.

    So its sender gets an answer, which says not to try again, and other films of its association
    their turn; the memory stays free.
    """

    def write(self, data: Any, /) -> int:
        """Take them, and let them go."""
        return len(data)


OWN = "a result of ours; not read again"


def look_at(event: Event) -> Arrival | Refusal:
    """The film in a C-STORE request, or why it is none.

    Only its header must be sound; whether its pixels are is the reader's to say, who then gives a
    reason. Our own captures, which an archive may route back, are a `Refusal` with `SUCCESS`:
    the archive has them, and reading them would go round in circles. Raises `MemoryError`.
    """
    import pydicom

    request = cast("C_STORE", event.request)
    uid = str(request.AffectedSOPInstanceUID)
    if isinstance(request.DataSet, TooLarge):
        return Refusal(BROKEN, "larger than any film")
    try:
        data = event.encoded_dataset()
        if len(data) > LARGEST:
            return Refusal(BROKEN, "larger than any film")
        with quiet:
            ds = pydicom.dcmread(CountedBytes(data), defer_size=1024)
            found = str(ds.get("SOPInstanceUID", "")), str(ds.get("SOPClassUID", ""))
            whole = all(name in ds for name in ("Rows", "Columns", "PixelData"))
            ours = is_own(ds)
    except MemoryError:  # not the film's fault
        raise
    except Exception as e:  # pydicom raises nearly anything on broken bytes
        return Refusal(BROKEN, f"a broken data set ({type(e).__name__})")
    if not found[0] or not found[1] or not whole:
        return Refusal(BROKEN, "a data set without UIDs or pixels")
    if found != (uid, str(request.AffectedSOPClassUID)):
        return Refusal(MISMATCH, "its data set has another UID or class than the request")
    if ours:
        return Refusal(SUCCESS, OWN)
    return Arrival(uid, data, _mark(event))


def _mark(event: Event) -> str:
    """What a film is known by: its data set as it came, and how that is written. The header that
    the file gets here names the version of our own software: no part of the film."""
    known = hashlib.sha256(str(event.context.transfer_syntax).encode() + b"\0")
    known.update(cast("C_STORE", event.request).DataSet.getbuffer())  # type: ignore[union-attr]
    return known.hexdigest()
