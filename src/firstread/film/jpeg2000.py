"""The small picture inside a JPEG 2000 film: a quarter of the sides for a sixteenth of the time.

JPEG 2000 stores a picture as a small one and the detail that makes it larger, so the detail can
be left out. What is read must then be what the whole would have been. That holds where the way
to grey does not hang on single pixels; a film with padding or a shutter, or whose range must
be found from all of its pixels, is decoded whole.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import JPEG2000, JPEG2000Lossless

from firstread.film.grey import DEPTHS
from firstread.film.guard import check_stream

EXCEPT = ("PixelPaddingValue", "ShutterShape", "VOILUTSequence", "ModalityLUTSequence")
"""What makes grey depend on single pixels, or on a table that need not be even."""

OVERSHOOT = 1.25**2
"""Most by which a level of the small picture can be brighter than the whole: the positive taps
of the 5/3 low pass (ISO/IEC 15444-1 F.3.8) add up to 10/8, those of the 9/7 to less."""


def reduced_values(
    ds: pydicom.Dataset, reduce_to: int, windowed: bool
) -> npt.NDArray[np.uint16] | None:
    """Stored values (h, w) of a JPEG 2000 film at a half, quarter or so of its sides.

    Both sides stay at least twice `reduce_to` pixels. `windowed`: the file tells black and
    white itself, so they need not be found from the pixels. None where the film must be decoded
    whole; also where its code does not decode so, which then is for the whole decode to tell.
    """
    sides, bits = (int(ds.Rows), int(ds.Columns)), int(ds.BitsStored)
    levels = _levels(sides, 2 * reduce_to)
    if (
        levels < 1
        or bits <= 8  # each level rounds, which would show
        or ds.file_meta.TransferSyntaxUID not in {JPEG2000, JPEG2000Lossless}
        or int(ds.SamplesPerPixel) != 1
        or str(ds.PhotometricInterpretation) not in {"MONOCHROME1", "MONOCHROME2"}
        or int(ds.PixelRepresentation) != 0
        or any(ds.get(name) not in (None, "") for name in EXCEPT)
    ):
        return None
    try:
        code = next(generate_frames(ds.PixelData, number_of_frames=1))
        check_stream(code, ds)
        small = _small(code, levels)
    except Exception:  # too few levels, or broken bytes: OpenJPEG and Pillow raise nearly anything
        return None
    smaller = max((depth for depth in DEPTHS if depth < bits), default=0)
    certain = float(small.max()) > OVERSHOOT**levels * 2.0**smaller
    if not windowed and not certain:  # a smaller depth might hold the whole picture
        return None
    return _centred(np.minimum(small, np.uint16(2**bits - 1)), levels)


def _levels(sides: tuple[int, int], least: int) -> int:
    """How often the sides can be halved so that neither falls below `least` pixels.

    Pillow rounds a side where the standard rounds up, and then refuses what it gets.
    """
    levels = max((min(sides) // least).bit_length() - 1, 0)
    while any((side + (2**levels >> 1)) >> levels != -(-side >> levels) for side in sides):
        levels -= 1
    return levels


def _small(code: bytes, levels: int) -> npt.NDArray[np.uint16]:
    image: Any = Image.open(io.BytesIO(code), formats=("JPEG2000",))
    if image.mode != "I;16":
        raise ValueError("not one channel of more than 8 bits")
    image.reduce = levels
    image.load()
    # Pillow shifts a lesser depth up to 16 bits, as pydicom knows too.
    shift = np.uint16(16 - get_j2k_parameters(code)["precision"])
    return np.asarray(image).astype(np.uint16) >> shift


def _centred(small: npt.NDArray[np.uint16], levels: int) -> npt.NDArray[np.uint16]:
    """The small picture moved to where a reduced one belongs.

    A sample of it stands on the first of the pixels it replaces, on each axis, and not in their
    middle; unmoved, the film would lie up to half a small pixel further right and down.
    """
    here, next_one = np.uint32(2**levels + 1), np.uint32(2**levels - 1)
    for axis in (0, 1):
        last = small.shape[axis] - 1
        follows = small.take(np.minimum(np.arange(1, last + 2), last), axis)
        mixed = small * here + follows * next_one + np.uint32(2**levels)
        small = (mixed >> np.uint32(levels + 1)).astype(np.uint16)
    return small
