"""Ways to spoil a DICOM film that know its structure: what its elements say, and how they nest."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from fuzzing import picture_attacks
from fuzzing.bytes_attacks import Attack, Rng, number, one, put
from fuzzing.seeds import PATIENT

SHORTS = (0, 1, 2, 3, 7, 8, 10, 12, 16, 32, 33, 64, 100, 255, 4096, 8000, 32768, 65535)
TEXTS = ("0", "-1", "-5", "NaN", "inf", "-inf", "1e308", "1e-308", "1e999", "", "x", "1\\0", "0\\1",
         "99999999999", "1.5", " ", "2\\2\\2", "\\")  # fmt: skip

ATTRIBUTES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "Rows": ("US", SHORTS),
    "Columns": ("US", SHORTS),
    "BitsAllocated": ("US", SHORTS),
    "BitsStored": ("US", SHORTS),
    "HighBit": ("US", SHORTS),
    "PixelRepresentation": ("US", SHORTS),
    "SamplesPerPixel": ("US", SHORTS),
    "PlanarConfiguration": ("US", SHORTS),
    "NumberOfFrames": ("IS", TEXTS),
    "PhotometricInterpretation": (
        "CS",
        ("MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR",
         "HSV", "", "monochrome2", "A" * 5000),
    ),
    "WindowCenter": ("DS", TEXTS),
    "WindowWidth": ("DS", TEXTS),
    "RescaleSlope": ("DS", TEXTS),
    "RescaleIntercept": ("DS", TEXTS),
    "VOILUTFunction": ("CS", ("LINEAR_EXACT", "SIGMOID", "LINEAR", "ODD")),
    "PixelPaddingValue": ("SS", (0, -1, 32767, -32768)),
    "PixelPaddingRangeLimit": ("SS", (0, -1, 32767, -32768)),
    "ShutterShape": ("CS", ("CIRCULAR", "RECTANGULAR", "POLYGONAL", "x", "CIRCULAR\\POLYGONAL")),
    "ShutterLeftVerticalEdge": ("IS", TEXTS),
    "CenterOfCircularShutter": ("IS", ("0\\0", "-9\\99999999999", "5", "x\\y")),
    "RadiusOfCircularShutter": ("IS", TEXTS),
    "VerticesOfThePolygonalShutter": ("IS", ("1\\2", "1\\2\\3", "0\\0\\-9\\999999999\\5\\5")),
    "SpecificCharacterSet": ("CS", ("ISO_IR 192", "nonsense", "ISO 2022 IR 87", "\\" * 9, "GBK")),
    "PatientAge": ("AS", ("000Y", "999Y", "004", "x", "04YY", "004D")),
    "BurnedInAnnotation": ("CS", ("YES", "x")),
    "PixelAspectRatio": ("IS", TEXTS),
    "RedPaletteColorLookupTableDescriptor": ("US", ([0, 0, 16], [1, 65535, 8], [256, 0, 99])),
    "RedPaletteColorLookupTableData": ("OW", (b"", bytes(3), bytes(2))),
}  # fmt: skip
"""VR and odd values, by keyword."""

SMEARED = ("Modality", "BodyPartExamined", "ViewPosition", "PhotometricInterpretation",
           "PatientAge", "PatientSex", "VOILUTFunction", "BurnedInAnnotation", "SOPClassUID",
           "SOPInstanceUID", "StudyInstanceUID", "NumberOfFrames", "ShutterShape",
           "LossyImageCompressionMethod")  # fmt: skip
"""Where a name has no business, and where an error might quote it."""

PATHS = ("../../../etc/out", "/etc/out", "1.2/../../3", "1.2.3\\..\\..", "a\x00b", "1" * 300)


def _change(data: bytes, change: Any) -> bytes:
    """The file with its data set changed; as it was where it does not parse or write."""
    with warnings.catch_warnings(action="ignore"):
        try:
            ds = pydicom.dcmread(io.BytesIO(data), force=True)
            change(ds)
            out = io.BytesIO()
            if getattr(ds, "file_meta", None):
                ds.save_as(out)
            else:
                ds.save_as(out, implicit_vr=True, little_endian=True)
        except Exception:  # too spoilt for this; other attacks take it on
            return data
    return out.getvalue()


def _set(ds: Any, name: str, vr: str, value: Any) -> None:
    tag = Tag(pydicom.datadict.tag_for_keyword(name))  # type: ignore[arg-type]
    if vr in {"IS", "DS", "CS", "AS", "UI"} and isinstance(value, str):
        # Raw, since pydicom itself would mind.
        encoded = value.encode() + b" " * (len(value) % 2)
        little = ds.original_encoding[1] is not False
        implicit = bool(ds.original_encoding[0])
        ds[tag] = pydicom.dataelem.RawDataElement(
            tag, vr, len(encoded), encoded, 0, implicit, little
        )
    else:
        ds[tag] = DataElement(tag, vr, value, validation_mode=pydicom.config.IGNORE)


def attributes(rng: Rng, data: bytes) -> bytes:
    """One to four attributes with odd values, or missing."""

    def change(ds: Any) -> None:
        for _ in range(int(rng.integers(1, 5))):
            name = one(rng, tuple(ATTRIBUTES))
            vr, values = ATTRIBUTES[name]
            if rng.random() < 0.1 and name in ds:
                delattr(ds, name)
            else:
                _set(ds, name, vr, one(rng, values))

    return _change(data, change)


def window(rng: Rng, data: bytes) -> bytes:
    """Window, rescale and function, all odd at once."""

    def change(ds: Any) -> None:
        for name in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
            _set(ds, name, "DS", one(rng, TEXTS))
        _set(ds, "VOILUTFunction", "CS", one(rng, ("LINEAR", "LINEAR_EXACT", "SIGMOID")))

    return _change(data, change)


def tables(rng: Rng, data: bytes) -> bytes:
    """Lookup tables that are empty, short, of odd depth or start."""

    def change(ds: Any) -> None:
        for name in ("ModalityLUTSequence", "VOILUTSequence"):
            if rng.random() < 0.3:
                continue
            item = pydicom.Dataset()
            if rng.random() < 0.9:
                described = [one(rng, SHORTS), one(rng, SHORTS), one(rng, SHORTS)]
                item.add_new(0x00283002, "US", described[: int(one(rng, (1, 3, 3, 3, 3)))])
            if rng.random() < 0.9:
                entries = int(one(rng, (0, 1, 2, 255, 4096)))
                item.add_new(0x00283006, one(rng, ("US", "OW")), bytes(2 * entries))
                if item["LUTData"].VR == "US":
                    item["LUTData"].value = list(range(entries))
            setattr(ds, name, [item] * int(one(rng, (0, 1, 1, 1, 3))))

    return _change(data, change)


def pixels(rng: Rng, data: bytes) -> bytes:
    """No pixels, fewer, more, of another kind; or another transfer syntax told."""

    def change(ds: Any) -> None:
        way = int(rng.integers(6))
        stored = ds.get("PixelData") or b"\x00\x00"
        if way == 0:
            del ds.PixelData
        elif way == 1:
            ds["PixelData"].value = stored[: int(one(rng, (0, 2, 100, len(stored) // 2)))]
        elif way == 2:
            ds["PixelData"].value = stored * 3
        elif way == 3:
            values = np.frombuffer(rng.bytes(84 * 100 * 4), np.float32)
            ds.add_new(0x7FE00008, "OF", values.tobytes())
            ds.BitsAllocated = 32
            del ds.PixelData
        elif way == 4:
            ds["PixelData"].value = rng.bytes(len(stored))
        else:
            ds.file_meta.TransferSyntaxUID = one(rng, SYNTAXES)

    return _change(data, change)


SYNTAXES = (
    *(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".5", ".1.99", ".4.50", ".4.51")),
    *(f"1.2.840.10008.1.2.4.{end}" for end in (57, 70, 80, 81, 90, 91, 92, 100, 103, 201, 203)),
    "1.2.3", PATIENT["PatientName"], "../../x",
)  # fmt: skip


def smear(rng: Rng, data: bytes) -> bytes:
    """The patient's name, or a path, where codes and UIDs belong."""

    def change(ds: Any) -> None:
        for _ in range(int(rng.integers(1, 4))):
            value = one(rng, (*PATIENT.values(), *PATHS))
            _set(ds, one(rng, SMEARED), one(rng, ("CS", "UI")), value)

    return _change(data, change)


def nested(rng: Rng, data: bytes) -> bytes:
    """A sequence of very many items, or one in the other a thousand times, before the pixels."""
    at = data.find(b"\x28\x00\x02\x00")  # before SamplesPerPixel
    if at < 0:
        return data
    implicit = data[at + 4 : at + 6] != b"US"
    head = b"\x18\x00\x12\x90" + (b"" if implicit else b"SQ\x00\x00") + b"\xff" * 4
    item, item_end = b"\xfe\xff\x00\xe0" + b"\xff" * 4, b"\xfe\xff\x0d\xe0" + bytes(4)
    end = b"\xfe\xff\xdd\xe0" + bytes(4)
    n = int(one(rng, (10, 100, 1000, 1000, 20_000)))
    if rng.random() < 0.5:
        return data[:at] + head + (item + item_end) * n + end + data[at:]
    deep = (head + item) * min(n, 5000)
    return (
        data[:at]
        + deep
        + (item_end + end) * (min(n, 5000) if rng.random() < 0.5 else 3)
        + data[at:]
    )


def many(rng: Rng, data: bytes) -> bytes:
    """Very many small elements."""
    at = data.find(b"\x28\x00\x02\x00")
    if at < 0:
        return data
    implicit = data[at + 4 : at + 6] != b"US"
    n = int(one(rng, (100, 1000, 1000, 1000, 1000, 100_000)))
    small = b"LO\x00\x00" if not implicit else bytes(4)
    tags = np.arange(n, dtype="<u4")
    made = np.zeros(n, [("group", "<u2"), ("element", "<u2"), ("rest", "S4")])
    made["group"], made["element"] = 0x19 + 2 * (tags >> 15), tags & 0x7FFF
    made["rest"] = small
    return data[:at] + made.tobytes() + data[at:]


def long_text(rng: Rng, data: bytes) -> bytes:
    """A value of very many parts, where a name, a number or nothing much is expected."""
    at = data.find(b"\x28\x00\x02\x00")
    if at < 0:
        return data
    implicit = data[at + 4 : at + 6] != b"US"
    tag = one(rng, (b"\x08\x00\x70\x00", b"\x28\x00\x50\x10", b"\x28\x00\x53\x10",
                    b"\x10\x00\x10\x10", b"\x08\x00\x05\x00", b"\x18\x00\x00\x16"))  # fmt: skip
    n = int(one(rng, (1000, 60_000, 70_000, 2**20, 2**23)))
    value = bytes(one(rng, (b"\\", b"1\\")))[:2] * (n // 2)
    if implicit:
        return data[:at] + tag + len(value).to_bytes(4, "little") + value + data[at:]
    kind = one(rng, (b"UN", b"UC", b"LO"))
    if kind == b"LO":
        value = value[:0xFFFE]
        return data[:at] + tag + kind + len(value).to_bytes(2, "little") + value + data[at:]
    return data[:at] + tag + kind + bytes(2) + len(value).to_bytes(4, "little") + value + data[at:]


def fragments(rng: Rng, data: bytes) -> bytes:
    """Pixels of very many fragments, their length told or not."""
    at = data.rfind(b"\xe0\x7f\x10\x00")
    if at < 0:
        return data
    some = (b"\xfe\xff\x00\xe0" + bytes(4)) * int(one(rng, (1, 1000, 9_999, 10_001, 2**20)))
    told = rng.random() < 0.5
    length = len(some).to_bytes(4, "little") if told else b"\xff" * 4
    end = b"" if told else b"\xfe\xff\xdd\xe0" + bytes(4)
    return data[:at] + b"\xe0\x7f\x10\x00OB\x00\x00" + length + some + end


def head(rng: Rng, data: bytes) -> bytes:
    """A length field of one of the known elements changed in place."""
    marks = [found.start() for found in _GROUPS.finditer(data[:3000])]
    if not marks:
        return data
    at = one(rng, marks)
    return put(data, at + int(one(rng, (4, 6, 8))), number(rng, int(one(rng, (2, 4)))))


_GROUPS = re.compile(rb"[\x02\x08\x10\x18\x20\x28]\x00|\xe0\x7f")
"""Groups of the elements that films have, in little endian."""


def stream(rng: Rng, data: bytes) -> bytes:
    """The compressed stream inside spoilt by its own structure, its length kept."""
    attack = one(rng, (picture_attacks.jpeg_frame, picture_attacks.jpeg_tables,
                       picture_attacks.j2k_size))  # fmt: skip
    start = max(0, data.rfind(b"\xe0\x7f\x10\x00"))
    return data[:start] + attack(rng, data[start:])


def deflated(rng: Rng, data: bytes) -> bytes:
    """The data set changed and packed again as a deflated one."""
    changed = one(rng, (attributes, window, pixels, smear))(rng, data)

    def change(ds: Any) -> None:
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    return (
        changed if b"\x10\x00UI\x16\x001.2.840.10008.1.2.4" in changed else _change(changed, change)
    )


ATTACKS: tuple[Attack, ...] = (
    attributes, attributes, attributes, window, tables, pixels, smear, nested, many, head, head,
    stream, stream, deflated, long_text, fragments,
)  # fmt: skip
