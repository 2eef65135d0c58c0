"""The film with its heat map as a secondary capture, for viewers that show no reports.

A strip above the picture says in plain letters what it is, so that nobody who meets the picture
alone takes it for a film or the colours for a finding. The strip holds nothing of the patient.
Whether the picture tells who the patient is (BurnedInAnnotation) is therefore the film's to say:
its own value is handed on, and where it has none, neither has the capture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

import firstread
from firstread.film import Film, Preprocess, preprocess
from firstread.read.dicom_out.own import device
from firstread.read.dicom_out.sr import SERIES_DESCRIPTION
from firstread.read.dicom_out.uids import without_clock
from firstread.read.digits import in_digits
from firstread.read.opinion import Opinion
from firstread.read.overlay import with_map

if TYPE_CHECKING:
    import pydicom

SERIES_NUMBER = 9302

LONG_SIDE, SHORT_SIDE = 1024, 512
"""Long side of the picture in pixels, at most and at least: to look at, not to measure on."""

WIDEST = 4.0
"""Ratio of the sides beyond which a film is drawn less long than it is."""


def capture(
    opinion: Opinion,
    film: Film,
    past: dict[str, Any],
    source: pydicom.Dataset,
    series_uid: str,
    instance_uid: str,
) -> pydicom.Dataset:
    """A secondary capture of one read film: 8-bit RGB, uncompressed.

    `opinion` has its heat map. `film`: the decoded film. `past`: its pixels' `history`. `source`:
    from `source_of`.
    """
    from highdicom.sc import SCImage
    from pydicom.uid import ExplicitVRLittleEndian

    picture = with_banner(film_with_map(opinion, film), banner(opinion))
    image = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # asked for here, left open below
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=instance_uid,
        instance_number=int(source.InstanceNumber),
        **device(opinion),
        series_description=SERIES_DESCRIPTION,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set="ISO_IR 192",
        content_date=str(source.ContentDate),
        content_time=str(source.ContentTime),
    )
    for element in source:
        if element.keyword not in _OF_THE_FILM:
            image[element.tag] = element
    without_clock(image)
    image.ImageType = ["DERIVED", "SECONDARY"]
    image["PatientOrientation"].value = ""
    image.Laterality = ""  # type 2C: a chest has two sides, and they are not told apart here
    image.DerivationDescription = (
        "Chest film with the positive part of a neural network's heat map laid over it, scaled, "
        "and a banner above. Machine reading, unverified; not for measuring or diagnosis."
    )
    _refer(image, source)
    for name, value in past.items():
        setattr(image, name, value)
    return image


_OF_THE_FILM = {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"}
"""What the capture has of its own, and refers to in the film."""


def banner(opinion: Opinion) -> tuple[str, ...]:
    """What the strip says, a line each."""
    p, threshold = "-", f"{opinion.threshold:.3f}"
    if opinion.probability is not None:
        p, threshold = in_digits(opinion.probability, opinion.threshold)
    return (
        "MACHINE READING - NOT VERIFIED - NOT A MEDICAL DEVICE",
        f"{opinion.decision}: probability {p}, threshold {threshold}",
        "Colour shows what the model looked at. It is no finding.",
        f"firstread {firstread.__version__}, bundle {opinion.bundle} {opinion.bundle_sha256}",
    )


def film_with_map(opinion: Opinion, film: Film) -> npt.NDArray[np.uint8]:
    """The film with its map, (h, w, 3) uint8, in the film's own proportions."""
    assert opinion.heat is not None
    rows, columns = film.pixels.shape[:2]
    long = min(LONG_SIDE, max(SHORT_SIDE, film.width, film.height))
    ratio = min(WIDEST, max(1 / WIDEST, columns / rows))
    width, height = (long, round(long / ratio)) if ratio >= 1 else (round(long * ratio), long)
    square = preprocess(film, Preprocess(long))
    lungs = None
    if opinion.lungs is not None:
        lungs = np.asarray(
            Image.fromarray(opinion.lungs).resize((long, long), Image.Resampling.NEAREST)
        )
    mixed = Image.fromarray(with_map(square, opinion.heat, lungs, opinion.seen))
    return np.array(mixed.resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def with_banner(picture: npt.NDArray[np.uint8], lines: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """`picture` (h, w, 3) below a black strip with `lines`, each shrunk until it fits."""
    width = picture.shape[1]
    step = max(18, width // 36)
    strip = Image.new("RGB", (width, step * len(lines) + step // 2))
    pen = ImageDraw.Draw(strip)
    for i, line in enumerate(lines):
        letters = round(step * 0.75)
        font: Any = ImageFont.load_default(letters)
        while letters > 6 and pen.textlength(line, font=font) > width - step:
            letters -= 1
            font = ImageFont.load_default(letters)
        colour = (255, 220, 0) if i == 0 else (255, 255, 255)
        pen.text((step // 2, step // 4 + i * step), line, fill=colour, font=font)
    return np.concatenate([np.asarray(strip, np.uint8), picture])


def _refer(image: pydicom.Dataset, source: pydicom.Dataset) -> None:
    """SourceImageSequence (PS3.3 C.7.6.1.1.4), with its purpose from CID 7202."""
    import pydicom
    from highdicom.sr import CodedConcept

    item = pydicom.Dataset()
    item.ReferencedSOPClassUID = source.SOPClassUID
    item.ReferencedSOPInstanceUID = source.SOPInstanceUID
    item.PurposeOfReferenceCodeSequence = [
        CodedConcept("121322", "DCM", "Source image for image processing operation")
    ]
    image.SourceImageSequence = [item]


def history(header: pydicom.Dataset) -> dict[str, Any]:
    """Burned-in identity and lossy compression stick to pixels; so does the word of them.

    The attributes of a film's `header` that tell of them, by keyword.
    """
    told: dict[str, Any] = {}
    if burned := burned_in(header):
        told["BurnedInAnnotation"] = burned
    if str(header.get("LossyImageCompression") or "") == "01":
        told["LossyImageCompression"] = "01"
        for name, rule in LOSSY.items():
            values = _values(header, name)
            if values and all(map(rule.fullmatch, values)):
                told[name] = values if len(values) > 1 else values[0]
    return told


def burned_in(header: pydicom.Dataset) -> str:
    """Whether the film's pixels hold the patient's identity: "YES", "NO", "" where it is not told.

    A yes among several values, or written as no more than a letter, is one: hidden for nothing is
    better than shown.
    """
    told = [value.strip().upper() for value in _values(header, "BurnedInAnnotation")]
    if any(value.startswith("Y") for value in told):
        return "YES"
    return "NO" if told == ["NO"] else ""


LOSSY = {
    "LossyImageCompressionRatio": re.compile(r"(?=.{1,16}$)\d+(\.\d*)?([eE][+-]?\d+)?"),
    "LossyImageCompressionMethod": re.compile("[A-Z0-9_ ]{1,16}"),
}
"""How each of its values has to be written (PS3.5 6.2, DS and CS) to be handed on: a ratio of
"12,5" stands in files, and no result could be made with it."""


def _values(header: pydicom.Dataset, name: str) -> list[str]:
    try:
        value = header.get(name)
    except Exception:  # a value that its own VR forbids
        return []
    if value is None or value == "":
        return []
    return (
        [str(value)]
        if isinstance(value, str) or not hasattr(value, "__iter__")
        else [*map(str, value)]
    )
