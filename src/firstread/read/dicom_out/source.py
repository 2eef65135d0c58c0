"""What results take over from the film they are about: patient, study, references.

The film's header comes from anywhere. Only the attributes named here are taken, each as the
standard allows it to be written: a value that breaks its own rules (an age of "62") is left
out, not handed on. Without a name, an id or a date the result stands in the study with these
fields empty, as the standard has it for attributes of type 2.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from firstread.errors import FilmError, UnreadableFilm
from firstread.film.quiet import quiet
from firstread.film.shortage import shortage
from firstread.read.dicom_out.uids import derive, is_uid

if TYPE_CHECKING:
    import pydicom

STAND_IN_DATE, STAND_IN_TIME = "19000101", "000000"
"""Content date and time (type 1, so never empty) where the film tells none."""

TEXTS = {"PatientID": 64, "AccessionNumber": 16, "StudyID": 16, "IssuerOfPatientID": 64,
         "StudyDescription": 64}  # fmt: skip
NAMES = ("PatientName", "ReferringPhysicianName")
EVENTS = ("Content", "Acquisition", "Study", "Series")
"""What a film's date and time are told of, best first."""

DATES = ("StudyDate", "PatientBirthDate")
TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
          "ReferringPhysicianName", "StudyID", "AccessionNumber")  # fmt: skip
"""Of the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1): empty where not told."""

_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_ZONE = re.compile(r"(?!-0000)[+-](0\d|1[0-4])[0-5]\d")
"""PS3.3 C.12.1.1.8: from -1200 to +1400, never -0000."""
_AGE = re.compile(r"\d{3}[DWMY]")


def read_header(data: bytes) -> pydicom.Dataset:
    """The header of a DICOM film, pixels left aside.

    Raises `UnreadableFilm`, `FilmTooLarge`, `Shortage`.
    """
    from firstread.film.dicom import read_dataset

    try:
        with quiet:
            ds = read_dataset(data, header_only=True)
            if "SOPClassUID" in ds or "Rows" in ds or data[128:132] == b"DICM":
                return ds  # names become text, by the film's own character set, when asked for
    except FilmError:
        raise
    except Exception as e:  # pydicom raises nearly anything on broken bytes
        if short := shortage(e):
            raise short from None
    raise UnreadableFilm("no DICOM film; results as DICOM are made for DICOM films only")


def source_of(ds: pydicom.Dataset, anonymous: bool = False) -> pydicom.Dataset:
    """A small dataset with all that a result takes over from the film `ds`.

    Holds the UIDs that a reference needs, the patient and study attributes (type 2 ones empty
    where the film has none), ContentDate and ContentTime for the result, and nothing else.

    The dates are the film's, not the clock's: the same film read again gives the same bytes,
    and an archive that sorts by date shows the result beside its film. A film without a
    StudyInstanceUID gets one derived from its own UID. With `anonymous`, patient, physician,
    dates, numbers and descriptions are left out, and study, series and instance get UIDs
    derived from the old ones, so that results on the films of a study still stay together.
    Raises `UnreadableFilm` where a UID is missing or broken, so that nothing could refer to
    the film.
    """
    import pydicom

    with quiet:
        out = pydicom.Dataset()
        out.SpecificCharacterSet = "ISO_IR 192"
        instance = _uid(ds, "SOPInstanceUID") or _meta(ds, "MediaStorageSOPInstanceUID")
        kind = _uid(ds, "SOPClassUID") or _meta(ds, "MediaStorageSOPClassUID")
        if not instance or not kind:
            raise UnreadableFilm(
                "the DICOM film has no SOP instance or class UID, so no result can refer to it; "
                "export it again from the archive"
            )
        study = _uid(ds, "StudyInstanceUID") or derive("study of", instance)
        series = _uid(ds, "SeriesInstanceUID") or derive("series of", instance)
        if anonymous:
            instance, study, series = (
                derive("anonymous", uid) for uid in (instance, study, series)
            )
        out.SOPClassUID, out.SOPInstanceUID = kind, instance
        out.StudyInstanceUID, out.SeriesInstanceUID = study, series
        out.InstanceNumber = _number(ds)
        for name in TYPE_2:
            setattr(out, name, "")
        if anonymous:
            out.PatientIdentityRemoved = "YES"
            out.DeidentificationMethod = "firstread: only UIDs kept, replaced"
            out.LongitudinalTemporalInformationModified = "REMOVED"
        else:
            _take_over(ds, out)
        day, time = _when(ds)
        known = bool(day) and not anonymous
        out.ContentDate = day if known else STAND_IN_DATE
        out.ContentTime = (time or STAND_IN_TIME) if known else STAND_IN_TIME
    return out


def _when(ds: pydicom.Dataset) -> tuple[str, str]:
    """Date and time of the film, best first; "" where not told. The time is that of the date's own
    event if it has one: another's, around midnight, would be a day off."""
    for event in EVENTS:
        if day := _date(ds, f"{event}Date"):
            others = (f"{other}Time" for other in EVENTS)
            return day, _first(ds, _TIME, f"{event}Time", *others)
    return "", ""


def _take_over(ds: pydicom.Dataset, out: pydicom.Dataset) -> None:
    for name, longest in TEXTS.items():
        text = _text(ds, name)
        if name != "StudyDescription" and len(text) > longest:
            text = ""  # cut short, an order's or a patient's number may be another one's
        text = text[:longest].strip()
        if text or name in TYPE_2:
            setattr(out, name, text)
    for name in NAMES:
        # PS3.5 6.2: three groups of 64 characters, each of up to five components.
        groups = _text(ds, name).split("=")[:3]
        setattr(out, name, "=".join("^".join(g.split("^")[:5])[:64] for g in groups))
    for name in DATES:
        setattr(out, name, _date(ds, name))
    zone = _first(ds, _ZONE, "TimezoneOffsetFromUTC")
    if zone:  # without it the film's times would be read as the receiver's own
        out.TimezoneOffsetFromUTC = zone
    out.StudyTime = _first(ds, _TIME, "StudyTime")
    sex = _text(ds, "PatientSex").upper()
    out.PatientSex = sex if sex in {"M", "F", "O"} else ""
    age = _first(ds, _AGE, "PatientAge")
    if age:
        out.PatientAge = age


def _text(ds: pydicom.Dataset, name: str) -> str:
    """The first value of an attribute as one clean line; "" where there is none."""
    from pydicom.multival import MultiValue

    try:
        value = ds.get(name)
    except Exception:  # a value that its own VR forbids
        return ""
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else ""
    text = str(value).split("\\")[0]
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _first(ds: pydicom.Dataset, rule: re.Pattern[str], *names: str) -> str:
    """The first of the attributes that keeps to `rule`; "" where none does."""
    for name in names:
        text = _text(ds, name)
        if rule.fullmatch(text):
            return text
    return ""


def _date(ds: pydicom.Dataset, name: str) -> str:
    """A day that there is; "" for a 31st of February, which no result could be made with."""
    text = _first(ds, _DATE, name)
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return ""
    return text


def _uid(ds: pydicom.Dataset, name: str) -> str:
    """A UID of the film; "" where it is missing. Raises `UnreadableFilm` where it is none."""
    text = _text(ds, name)
    if text and not is_uid(text):
        raise UnreadableFilm(
            f"the DICOM film's {name} is no UID, so no result can refer to it; "
            "export it again from the archive"
        )
    return text


def _meta(ds: pydicom.Dataset, name: str) -> str:
    meta = getattr(ds, "file_meta", None)
    return "" if meta is None else _uid(meta, name)


def _number(ds: pydicom.Dataset) -> int:
    text = _text(ds, "InstanceNumber")
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 2**31 else 1
