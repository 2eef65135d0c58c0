"""What is asked of a DICOM file before a library spends time or memory on it.

Parsers believe what a file tells. A few megabytes can hold a million empty items, which become
gigabytes of objects; a compressed stream can tell another size than the data set around it, and
the codecs then allocate by the one and write by the other: GDCM ends the whole process there. So
the parts of a file are counted while they are read, and a stream is held against its data set.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

from firstread.errors import FilmTooLarge, UnreadableFilm

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_READS = 200_000
"""Reads of a header beyond which it is refused. An element takes one to three; the headers of
films that archives keep have some hundreds of elements."""

MOST_READS_OF_LIST = 2_000_000
"""The same for a DICOMDIR: enough for some 50,000 records."""

READS_AN_ITEM = 20
"""One in so many reads may be of an item, whose object takes that much more memory."""

MOST_TABLES = 2**19
"""Bytes of a sequence of lookup tables: the largest table takes 128 KiB."""

MOST_SCANS = 100
"""Scans of a JPEG beyond which it is refused: each costs a walk over the whole picture, and a few
bytes are enough for one. Encoders write about ten."""

MOST_RLE = 48 * 2**20
"""Bytes of run-length encoded pixels, each two of which pydicom may spend a step of Python on. The
largest detector, 43 cm at 0.1 mm, gives 36 MiB at 16 bits where nothing repeats."""

ITEMS = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
"""The tag of an item, in little and in big endian (PS3.5 7.5)."""


PIXELS: tuple[tuple[bytes, Literal["little", "big"]], ...] = (
    (b"\xe0\x7f\x10\x00", "little"),
    (b"\x7f\xe0\x00\x10", "big"),
)
"""The tag of the pixels, and how a length stands behind it."""


MOST_FRAGMENTS = MOST_READS // READS_AN_ITEM
"""Of compressed pixels; an encoder writes one, or some hundreds."""

MOST_TEXT = 2**16
"""Bytes of a value that is one of many or none, as of a name or a window. pydicom makes an object
of each part when it is asked for one."""

WHOLE = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "LT", "ST", "UR", "UT")
"""Value representations of which pydicom makes one object, however long, or none before it is asked
for its items."""


CHARSETS = b"\x08\x00\x05\x00", b"\x00\x08\x00\x05"
"""The tag of the character sets, in either endian: the one value that pydicom takes apart while it
reads the file."""


class CountedBytes(io.BytesIO):
    """A file in memory that a parser may read from `most` times.

    Raises `UnreadableFilm` then, and where what was read holds too many items, fragments of
    compressed pixels among them. Plain pixels are not looked through: they are most of a file,
    and nothing takes them for items.
    """

    def __init__(self, data: bytes, most: int = MOST_READS):
        super().__init__(data)
        self._left, self._items = most, most // READS_AN_ITEM
        self._last = (b"", b"")

    def read(self, size: int | None = -1, /) -> bytes:
        """As of `BytesIO`."""
        self._left -= 1
        part = super().read(size)
        if not self._are_pixels(len(part)):
            self._items -= _items_in(part)
        if len(part) > MOST_TEXT and any(last.startswith(CHARSETS) for last in self._last):
            raise UnreadableFilm(_TOO_MANY)
        if self._left < 0 or self._items < 0:
            raise UnreadableFilm(_TOO_MANY)
        self._last = self._last[1], part if len(part) <= 8 else b""
        return part

    def _are_pixels(self, size: int) -> bool:
        """Whether `size` bytes are what the element that was just read tells of plain pixels."""
        for tag, order in PIXELS:
            length = size.to_bytes(4, order)
            explicit = self._last[1] == length and self._last[0][:6] in (tag + b"OB", tag + b"OW")
            if explicit or self._last[1] == tag + length:
                return True
        return False


def _items_in(part: bytes) -> int:
    return sum(part.count(item) for item in ITEMS)


def check_fragments(ds: Dataset) -> None:
    """Raise `UnreadableFilm` where compressed pixels are of more fragments than a film's.

    With a length of their own they are read as plain ones are, and parsed only when decoded.
    """
    pixels = getattr(ds.get_item("PixelData"), "value", None)
    if not isinstance(pixels, bytes) or not ds.file_meta.TransferSyntaxUID.is_compressed:
        return
    if _items_in(pixels) > MOST_FRAGMENTS:
        raise UnreadableFilm(_TOO_MANY)


def check_texts(ds: Dataset) -> None:
    """Raise `UnreadableFilm` for a public attribute that would become a million objects."""
    from pydicom.datadict import dictionary_VR
    from pydicom.dataelem import RawDataElement

    for raw in ds.values():
        if not isinstance(raw, RawDataElement) or raw.length <= MOST_TEXT or raw.tag.is_private:
            continue
        try:
            # What is called unknown is taken for what the dictionary says (PS3.5 6.2.2).
            kind = raw.VR if raw.VR not in {None, "UN"} else dictionary_VR(raw.tag)
        except KeyError:  # one that nobody can ask for by name
            continue
        if not set(kind.split(" or ")) & set(WHOLE):
            raise UnreadableFilm(_TOO_MANY)


_TOO_MANY = "a DICOM file of more parts than a film has; export the film by itself"


def check_tables(ds: Dataset) -> None:
    """Raise `FilmTooLarge` for a sequence of lookup tables that no table could fill.

    pydicom reads a sequence whose length is told only when it is asked for.
    """
    from pydicom.dataelem import RawDataElement  # which no picture waits for

    for name in ("ModalityLUTSequence", "VOILUTSequence"):
        raw = ds.get_item(name)
        if isinstance(raw, RawDataElement) and raw.length > MOST_TABLES:
            raise FilmTooLarge("a DICOM film with tables of megabytes; export it without them")


def check_scans(stream: bytes) -> None:
    """Raise `UnreadableFilm` for a JPEG of more than `MOST_SCANS` scans."""
    # No two bytes FF DA stand inside of compressed data (ITU-T T.81 B.1.1.5).
    if stream.count(b"\xff\xda") > MOST_SCANS:
        raise UnreadableFilm("a JPEG of more scans than a picture needs; export it again")


def check_stream(stream: bytes, ds: Dataset) -> None:
    """Raise `UnreadableFilm` where a compressed stream and its data set tell two pictures.

    `stream`: JPEG, JPEG lossless, JPEG-LS or JPEG 2000.
    """
    told = size_told(stream)
    wanted = int(ds.Rows), int(ds.Columns), int(ds.SamplesPerPixel)
    bits = int(ds.BitsAllocated)
    if told is None or told[:3] != wanted or bits not in {8, 16} or not 2 <= told[3] <= bits:
        raise UnreadableFilm(
            "its compressed pixels are broken, or not of the size that the file tells; "
            "export it again"
        )
    check_scans(stream)


def size_told(stream: bytes) -> tuple[int, int, int, int] | None:
    """(rows, columns, components, bits) by the stream's own head; None where it has none.

    >>> head = "ffd8 ffc0 000b 08 0003 0004 01 01 11 00 ffc4 0003 00 ffda 0008 01 01 00 00 3f 00"
    >>> size_told(bytes.fromhex(head))
    (3, 4, 1, 8)
    """
    if stream[:2] == b"\xff\xd8":
        return _jpeg(stream)
    start = stream.find(b"\xff\x4f\xff\x51", 0, 4096)  # behind the boxes of a JP2, if it is one
    siz = stream[start + 4 : start + 43]
    if start < 0 or len(siz) < 39:
        return None
    # ITU-T T.800 A.5.1: Lsiz, Rsiz, then sizes and offsets, then the components.
    right, bottom, left, top = (int.from_bytes(siz[i : i + 4], "big") for i in (4, 8, 12, 16))
    return bottom - top, right - left, int.from_bytes(siz[36:38], "big"), (siz[38] & 0x7F) + 1


_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Start of frame, JPEG-LS among them (ITU-T T.81 table B.1, T.87 C.1)."""


_JPEG_LS = 0xF7
"""Its start of frame; such a stream has no Huffman tables."""


def _jpeg(stream: bytes) -> tuple[int, int, int, int] | None:
    """What the head tells, if it is whole: marker behind marker down to the first scan.

    GDCM goes on behind a gap, or without the tables that a scan needs, and then ends the process.
    """
    at, told, tables = 2, None, False
    while at + 9 < len(stream) and stream[at] == 0xFF:
        code = stream[at + 1]
        if code == 0xFF:  # fill bytes may precede a marker
            at += 1
            continue
        if code == 0xDA:
            return told if tables else None
        if code in _FRAMES:
            height, width = stream[at + 5 : at + 7], stream[at + 7 : at + 9]
            rows, columns = int.from_bytes(height, "big"), int.from_bytes(width, "big")
            told = rows, columns, stream[at + 9], stream[at + 4]
        tables = tables or code in {0xC4, 0xCC, _JPEG_LS}
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
