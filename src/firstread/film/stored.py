"""The stored values of a DICOM film, uncompressed or not.

Compressed pixels are decoded by pydicom with Pillow (JPEG, JPEG 2000) and GDCM (JPEG lossless,
JPEG-LS), each after its stream was held against the data set (`guard`). Lossy JPEG of 12 bits
(process 4) has no decoder here and is refused by name.
"""

from __future__ import annotations

from typing import Any

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

DECODERS = {
    RLELossless: "pydicom",
    **dict.fromkeys((JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000Lossless, JPEG2000), "pillow"),
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless), "gdcm"),
}
"""Who decodes a compressed transfer syntax, and nobody else: pydicom would hand what one codec
refuses to the next, and with other packages installed a film would be read otherwise."""


def stored_values(ds: pydicom.Dataset) -> tuple[npt.NDArray[Any], str]:
    """The pixels as stored, (rows, columns) or (rows, columns, 3), and what their values mean.

    The data set gives its own copy of them up.
    """
    syntax = UID(ds.file_meta.TransferSyntaxUID)
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
        stored, told = decoder.as_array(
            ds,
            index=0,
            raw=True,
            decoding_plugin=plugin,
            view_only=True,  # type: ignore[arg-type]  # an option by keyword
        )
    except (RuntimeError, NotImplementedError):  # pydicom's words for "no decoder for this"
        name = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
        raise UnreadableFilm(
            f"its pixels ({name}) cannot be decoded here; export it uncompressed"
        ) from None
    if "PixelData" in ds:
        del ds.PixelData
    return stored, str(told["photometric_interpretation"])


def _frame_bytes(ds: pydicom.Dataset) -> int:
    """Bytes of one uncompressed frame, at least 1."""
    bits = int(ds.Rows) * int(ds.Columns) * int(ds.SamplesPerPixel) * int(ds.BitsAllocated)
    return max(1, (bits + 7) // 8)
