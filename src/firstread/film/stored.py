"""The stored values of a DICOM film, uncompressed or not.

Compressed pixels are decoded by pydicom with Pillow (JPEG, JPEG 2000) and GDCM (JPEG lossless,
JPEG-LS), each after its stream was held against the data set (`guard`). Lossy JPEG of 12 bits
(process 4) has no decoder here and is refused by name. What a data set leaves out of how its pixels
are stored is taken for what nearly all have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from firstread.errors import FilmTooLarge, UnreadableFilm
from firstread.film.guard import MOST_RLE, check_stream
from firstread.film.shortage import CERTAIN, ask_for

DECODERS = {
    RLELossless: "pydicom",
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000Lossless, JPEG2000), "pillow"),
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless), "gdcm"),
}
"""Who decodes a compressed transfer syntax, and nobody else: pydicom would hand what one codec
refuses to the next, and with other packages installed a film would be read otherwise."""

MEMORY = 12
"""Times the bytes of the pixels that decoding them may take, in GDCM and on the way out of it."""

MOST_MEMORY = 2**30
"""Bytes beyond which is not asked whether there is memory: no film takes more, and of one whose
numbers are spoilt a broken stream would pass for a shortage."""

BROKEN = ("broken data stream", *CERTAIN)
"""Pillow's words for a stream that is at fault, and not the decoder, as pydicom passes them on."""


def complete(ds: pydicom.Dataset) -> None:
    """Fill in how pixels are stored where the data set does not say it.

    Raises whatever numbers do that are none.
    """
    ds.PhotometricInterpretation = str(ds.PhotometricInterpretation).strip().upper()
    for name, usual in (
        ("BitsStored", ds.get("BitsAllocated")),
        ("PixelRepresentation", 0),
        ("PlanarConfiguration", 0 if ds.get("SamplesPerPixel") == 3 else None),
    ):
        if ds.get(name) in (None, "") and usual is not None:
            setattr(ds, name, usual)


def stored_values(ds: pydicom.Dataset) -> tuple[npt.NDArray[Any], str]:
    """The pixels as stored, (rows, columns) or (rows, columns, 3), and what their values mean.

    The data set, which `complete` has been through, gives its own copy of them up. Raises
    `UnreadableFilm`, `FilmTooLarge`, and `MemoryError` where that is what was missing.
    """
    syntax = UID(ds.file_meta.TransferSyntaxUID)
    shift = _unused_below(ds, syntax)
    plugin = DECODERS.get(syntax, "")
    try:
        decoder = get_decoder(syntax)
        if not decoder.is_native:
            if not plugin:
                raise NotImplementedError
            for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
                ds.pop(name, None)  # what is checked here must be what is decoded below
            stream = get_frame(ds.PixelData, 0, number_of_frames=1)
            if syntax != RLELossless:
                check_stream(stream, ds)
            elif len(stream) > MOST_RLE:
                raise FilmTooLarge(
                    "run-length encoded pixels of this size take too long; export it uncompressed"
                )
        elif "PixelData" in ds and len(ds.PixelData) >= 2 * _frame_bytes(ds):
            raise UnreadableFilm("its pixels are more than one frame; send single films")
        if plugin == "gdcm":
            np.empty(_may_take(ds), np.uint8)  # it ends the process where there is no memory for it
        stored, told = decoder.as_array(
            ds,
            index=0,
            raw=True,
            decoding_plugin=plugin,
            # Options by keyword. pydicom takes the bits to be the lowest, and clears those beyond.
            view_only=True,  # type: ignore[arg-type]
            bits_stored=int(ds.BitsStored) + shift,  # type: ignore[arg-type]
        )
    except (RuntimeError, NotImplementedError) as e:
        # pydicom passes on what a decoder said, if that, and not that there was no memory for it.
        if not isinstance(e, NotImplementedError):
            ask_for(_may_take(ds), e)
        name = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
        if any(words in str(e) for words in BROKEN):
            raise UnreadableFilm(
                f"its compressed pixels ({name}) are broken; export it again, uncompressed"
            ) from None
        raise UnreadableFilm(
            f"its pixels ({name}) cannot be decoded here; export it uncompressed"
        ) from None
    if "PixelData" in ds:
        del ds.PixelData
    if shift and _beyond(stored, int(ds.BitsStored)):
        stored = stored >> shift
    return stored, str(told["photometric_interpretation"])


def _unused_below(ds: pydicom.Dataset, syntax: UID) -> int:
    """Bits below those of a value, where the highest of them, HighBit, lies further up.

    A codec gives values without any.
    """
    high = ds.get("HighBit")
    if not isinstance(high, int) or (syntax.is_encapsulated and syntax != RLELossless):
        return 0
    return max(0, high + 1 - int(ds.BitsStored)) if high < int(ds.BitsAllocated) else 0


def _beyond(stored: npt.NDArray[Any], bits: int) -> bool:
    """Whether values need more than `bits` bits. If none does, they were stored from the lowest bit
    on whatever HighBit says: no film uses a sixteenth of its range."""
    signed = np.issubdtype(stored.dtype, np.signedinteger)
    top = 2 ** (bits - signed)
    return bool(stored.max() >= top or (signed and stored.min() < -top))


def _may_take(ds: pydicom.Dataset) -> int:
    """Bytes that decoding the pixels may take."""
    return min(MEMORY * _frame_bytes(ds), MOST_MEMORY)


def _frame_bytes(ds: pydicom.Dataset) -> int:
    """Bytes of one uncompressed frame, at least 1."""
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel) * int(ds.BitsAllocated)
    return max(1, (bits + 7) // 8)
