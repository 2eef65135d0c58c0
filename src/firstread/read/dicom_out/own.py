"""Telling a picture of ours from a film, so that what an archive sends back is not read; and
anonymous results from others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import firstread
from firstread.film.dicom import MAKER
from firstread.film.quiet import quiet
from firstread.film.shortage import passed_over
from firstread.read.dicom_out.uids import derive

if TYPE_CHECKING:
    import pydicom

    from firstread.read.opinion import Opinion

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def device(opinion: Opinion) -> dict[str, Any]:
    """Who made a result, as highdicom's constructors ask for it: what `is_own` goes by."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": opinion.bundle[:64],
        "software_versions": firstread.__version__,
        "device_serial_number": opinion.bundle_sha256,
    }


def is_own(header: pydicom.Dataset) -> bool:
    """Whether the dataset is a secondary capture that some firstread made.

    By either of two marks, since an archive may change one. The manufacturer: there is no X-ray
    machine of that name, and anonymising leaves it, while series are renamed and descriptions
    taken away. Or a series UID that is the one derived from the study and the bundle, which
    nobody else arrives at. Never by words that a film's header might hold as well.
    """

    def text(name: str) -> str:
        return str(header.get(name) or "").strip()

    if text("SOPClassUID") != SECONDARY_CAPTURE:
        return False
    if text("Manufacturer").casefold() == MAKER:
        return True
    made_by = text("ManufacturerModelName"), text("DeviceSerialNumber")
    return text("SeriesInstanceUID") == derive("sc series", text("StudyInstanceUID"), *made_by)


def is_anonymous(path: Path) -> bool:
    """Whether the result in a file of ours was made without its patient; no if it does not tell.
    Raises `Shortage`."""
    import pydicom

    with passed_over(), quiet:  # pydicom raises nearly anything on broken bytes
        header = pydicom.dcmread(path, stop_before_pixels=True)
        return str(header.get("PatientIdentityRemoved") or "") == "YES"
    return False
