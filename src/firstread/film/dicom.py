"""DICOM files to films, by the grey scale pipeline of PS3.3: modality, VOI, presentation.

How bright a stored value is shown is the file's to say, never a stretch over its own
extremes, or a film with one lead marker would look darker than the same film without:

1. A VOI LUT or window (the first one) defines black and white.
2. Where there is none, black and white are the ends of the range the detector used: the
   smallest of 8, 10, 12, 14 and 16 bits that holds every pixel, BitsStored at most (files
   say 16 where they use 12). So 8-bit films stay as they are.
3. MONOCHROME1 is inverted; padding, and what a shutter hides, is black and takes no part in 2.
"""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from firstread.errors import FilmError, FilmTooLarge, UnreadableFilm
from firstread.film.decode import MAX_PIXELS, Before, Film, check_size
from firstread.film.grey import LUMA, STRIP, colourfulness, to_scale
from firstread.film.guard import (
    MOST_READS,
    CountedBytes,
    check_fragments,
    check_tables,
    check_texts,
)
from firstread.film.quiet import quiet
from firstread.film.shortage import shortage
from firstread.film.shown import NO_NUMBERS, Floats, in_bands, shown, window_of
from firstread.film.stored import complete, stored_values
from firstread.film.tags import told_tags

MAKER = "firstread"
"""The manufacturer that our own results name; an exported study holds them beside its films."""

OWN_RESULT = "a result of firstread, and no film; read the film that it is of"
"""The reason why one is rejected."""

NO_PICTURE = "a DICOM file without a picture"
"""What the reason begins with where a report or another document is rejected."""

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""Transfer syntax whose size is unknown until it is unpacked; see `_inflated`."""

MOST_INFLATED = 2 * MAX_PIXELS + 2**24
"""Bytes that a deflated file may unpack to: the largest film at 16 bits, and its header."""


def decode_dicom(
    data: bytes, reduce_to: int | None = None, before: Before = lambda pixels: None
) -> Film:
    """Decode the bytes of a single-frame DICOM image.

    `reduce_to`, for JPEG 2000, and `before`: as of `decode`.

    Raises `UnreadableFilm`, `FilmTooLarge`, `Shortage`.
    """
    try:
        with quiet:
            return _decode(data, reduce_to, before)
    except FilmError:
        raise
    except Image.DecompressionBombError:
        raise FilmTooLarge("the picture in the DICOM file is too large to decode") from None
    except Exception as e:  # pydicom and its codecs raise nearly anything on broken bytes
        raise shortage(e) or UnreadableFilm(
            f"the DICOM file does not decode ({type(e).__name__}); export it again, uncompressed"
        ) from None


def _decode(data: bytes, reduce_to: int | None, before: Before) -> Film:
    ds = read_dataset(data)
    if str(ds.get("Manufacturer") or "").strip().casefold() == MAKER:
        raise UnreadableFilm(OWN_RESULT)
    if not all(name in ds for name in ("Rows", "Columns", "PhotometricInterpretation")):
        raise UnreadableFilm(f"{NO_PICTURE} (modality {_modality(ds)}); export the film itself")
    rows, columns = int(ds.Rows), int(ds.Columns)
    check_size(columns, rows)
    if int(ds.get("NumberOfFrames") or 1) > 1:
        raise UnreadableFilm("a DICOM file of several frames; send single films")
    check_tables(ds)
    before(rows * columns)
    _complete_meta(ds)
    complete(ds)
    check_fragments(ds)
    photometric = str(ds.PhotometricInterpretation)
    stored = _reduced_values(ds, reduce_to)
    if stored is None:
        stored, photometric = stored_values(ds)
    if stored.ndim == 3 or photometric == "PALETTE COLOR":
        grey, colour = _from_colour(ds, stored, photometric)
    else:
        grey, colour = shown(ds, stored, photometric), 0.0
    if not np.isfinite((grey.min(), grey.max())).all():  # min and max pass NaN on
        raise UnreadableFilm(NO_NUMBERS)
    return Film(grey, columns, rows, photometric, "DICOM", len(data), colour, told_tags(ds))


def _modality(ds: pydicom.Dataset) -> str:
    """The modality as it may be quoted: a code of two letters, and no name that stands there."""
    told = str(ds.get("Modality") or "")
    return told if re.fullmatch("[A-Z]{2}", told) else "not told"


def read_dataset(
    data: bytes, *, header_only: bool = False, most_reads: int = MOST_READS
) -> pydicom.Dataset:
    """A file's data set; a deflated one unpacks no further than `MOST_INFLATED` bytes.

    `header_only`: without the pixels. `most_reads`: see `guard.CountedBytes`. Raises
    `FilmTooLarge` or `UnreadableFilm` beyond the limits, and whatever pydicom does on broken
    bytes.
    """
    file = CountedBytes(data, most_reads)
    file.seek(132 if data[128:132] == b"DICM" else 0)
    pydicom.filereader.read_dataset(  # the meta information: ends where it does for dcmread
        file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2
    )
    if DEFLATED in data[: file.tell()]:
        # After the meta information comes one raw deflate stream (PS3.5 A.5).
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        body = stream.decompress(data[file.tell() :], MOST_INFLATED)
        if stream.unconsumed_tail:
            raise FilmTooLarge(
                "the deflated DICOM file unpacks to more than a film; export it again"
            )
        plain = ExplicitVRLittleEndian.encode() + b"\x00"
        syntax = b"\x02\x00\x10\x00UI" + len(plain).to_bytes(2, "little") + plain
        data = b"".join((bytes(128), b"DICM", syntax, body))
        del body
    ds = pydicom.dcmread(CountedBytes(data, most_reads), force=True, stop_before_pixels=header_only)
    check_texts(ds)
    return ds


def _complete_meta(ds: pydicom.Dataset) -> None:
    """Name the transfer syntax of a file written without its header, as pydicom found it."""
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit, little = ds.original_encoding
        ds.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian
            if implicit
            else ExplicitVRLittleEndian
            if little
            else ExplicitVRBigEndian
        )


def _reduced_values(ds: pydicom.Dataset, reduce_to: int | None) -> npt.NDArray[Any] | None:
    if reduce_to is None or not ds.file_meta.TransferSyntaxUID.name.startswith("JPEG 2000"):
        return None
    from firstread.film.jpeg2000 import reduced_values

    return reduced_values(ds, reduce_to, windowed=window_of(ds) is not None)


def _from_colour(
    ds: pydicom.Dataset, stored: npt.NDArray[Any], photometric: str
) -> tuple[Floats, float]:
    """Colour to grey, and how much colour there is."""
    if "SegmentedRedPaletteColorLookupTableData" in ds:  # a few bytes of which may mean millions
        raise UnreadableFilm("its palette is in segments, which films do not use; export it grey")

    def rgb(part: npt.NDArray[Any]) -> Floats:
        bits = int(ds.BitsStored)
        if photometric == "PALETTE COLOR":
            part = apply_color_lut(part, ds)
            bits = 8 * part.dtype.itemsize
        elif photometric in {"YBR_FULL", "YBR_FULL_422"}:
            part = convert_color_space(part, photometric, "RGB")
        return to_scale(part[..., :3].astype(np.float32), 0.0, 2.0**bits - 1)

    # Of a large picture every other pixel, or fewer, is plenty for its colour.
    step = 1 + int((stored.shape[0] * stored.shape[1] / STRIP) ** 0.5)
    some = rgb(np.ascontiguousarray(stored[::step, ::step]))
    colour = colourfulness(Image.fromarray(some.astype(np.uint8)))
    return in_bands(stored, lambda part: rgb(part) @ LUMA), colour
