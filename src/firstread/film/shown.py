"""How bright a DICOM film's stored values are shown: modality, values of interest, presentation.

The steps are those of `firstread.film.dicom`. Values become grey some rows at a time, so that a
film at the limit of pixels needs a picture's memory once or twice and not five times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.errors import UnreadableFilm
from firstread.film.grey import STRIP, range_of, to_scale, used_range
from firstread.film.lut import Table, first_table
from firstread.film.shutter import outside_shutter

Floats = npt.NDArray[np.float32]
Values = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


def in_bands(stored: Values, to_grey: Callable[[Values], Values]) -> Floats:
    """What `to_grey` makes of the stored values, some rows at a time, as (rows, columns)."""
    rows, columns = stored.shape[:2]
    grey = np.empty((rows, columns), np.float32)
    step = max(1, STRIP // max(1, columns))
    for top in range(0, rows, step):
        grey[top : top + step] = to_grey(stored[top : top + step])
    return grey


def shown(ds: Any, stored: Values, photometric: str) -> Floats:
    """Stored values (rows, columns) as grey, 0 black to 255 white.

    Raises `UnreadableFilm` where the modality's table or rescale is none.
    """
    padding = _hidden(ds, stored)
    table, slope, intercept = modality(ds)
    if table is not None:
        table = table.of(float(stored.min()), float(stored.max()))

    def of_modality(part: Values) -> Values:
        """As pydicom has it, to the last bit."""
        if table is not None:
            return table(part)
        if (slope, intercept) == (1.0, 0.0):
            return part
        part = part.astype(np.float64) * slope
        part += intercept
        return part

    voi, window = first_table(ds, "VOILUTSequence"), window_of(ds)
    if voi is not None:
        voi = _meant(voi, stored, of_modality)
        ends = voi.ends
        grey = in_bands(
            stored, lambda part: to_scale(voi(of_modality(part)).astype(np.float32), *ends)
        )
    elif window is not None:
        grey = in_bands(
            stored, lambda part: through_window(np.array(of_modality(part), np.float32), *window)
        )
    elif table is not None:
        values = in_bands(stored, table)
        grey = to_scale(values, *used_range(*_extremes(values, padding), table.bits))
    else:
        grey = _by_range(ds, stored, padding, inverted=slope < 0)
    if photometric == "MONOCHROME1":
        np.subtract(np.float32(255.0), grey, out=grey)
    if padding is not None:
        grey[padding] = 0.0
    return grey


def _meant(voi: Table, stored: Values, of_modality: Callable[[Values], Values]) -> Table:
    """The table for what the modality makes of the stored values: its extremes are theirs, unless
    there is a table, whose entries have no sign."""
    ends = of_modality(np.array([stored.min(), stored.max()], stored.dtype))
    return voi.of(float(ends.min()), float(ends.max()))


def modality(ds: Any) -> tuple[Table | None, float, float]:
    """The modality's table, or else its slope and intercept; what is missing or empty changes
    nothing, as a slope of 0 does."""
    if ds.get("ModalityLUTSequence"):
        table = first_table(ds, "ModalityLUTSequence")
        if table is None:  # values without it may be bright where they are meant to be dark
            raise UnreadableFilm("its table of the modality is broken; export it again")
        return table, 1.0, 0.0
    slope, intercept = (_numbers(ds, f"Rescale{name}")[0] for name in ("Slope", "Intercept"))
    if not np.isfinite((slope or 1.0, intercept or 0.0)).all():
        raise UnreadableFilm(NO_NUMBERS)
    return None, slope or 1.0, intercept or 0.0


NO_NUMBERS = "its window or rescale makes no numbers of its pixels; export it again"
"""The reason why a film of such values is rejected."""


def window_of(ds: Any) -> tuple[float, float, str] | None:
    """Centre, width and function of the first usable window; None where there is none."""
    function = str(ds.get("VOILUTFunction") or "LINEAR").upper()
    smallest = 1.0 if function == "LINEAR" else 0.0  # PS3.3 C.11.2.1.2: >= 1, else > 0
    # Of the windows of a pair of lists one may be empty, and the next good.
    pairs = zip(_numbers(ds, "WindowCenter"), _numbers(ds, "WindowWidth"), strict=False)
    for centre, width in pairs:
        if centre is None or width is None or not np.isfinite((centre, width)).all():
            continue
        if width >= smallest and width != 0:
            return centre, width, function
    return None


def _numbers(ds: Any, name: str) -> list[float | None]:
    """The values of an attribute, None for each that is empty; [None] where there is none."""
    value = ds.get(name)
    if value is None or isinstance(value, str | int | float):
        value = [value]
    return [None if part is None or part == "" else float(part) for part in value] or [None]


def through_window(values: Floats, centre: float, width: float, function: str) -> Floats:
    """Values through a window onto 0 to 255: PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        slope = np.clip(-4.0 * (values - centre) / width, -80, 80)
        grey: Floats = (255.0 / (1.0 + np.exp(slope))).astype(np.float32)
        return grey
    if function == "LINEAR_EXACT":
        return to_scale(values, centre - width / 2, centre + width / 2)
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    if width == 1:  # a threshold
        return np.where(values > low, np.float32(255), np.float32(0))
    return to_scale(values, low, high)


def _by_range(ds: Any, stored: Values, padding: Mask | None, inverted: bool) -> Floats:
    """By the range of the stored values: a rescale alone shifts and spreads values and range
    alike, and only its sign is seen."""
    low, high = _extremes(stored, padding)
    if np.issubdtype(stored.dtype, np.integer):
        ends = used_range(low, high, int(ds.BitsStored))
    else:
        ends = range_of(low, high, whole=False)
    grey = in_bands(stored, lambda part: to_scale(part.astype(np.float32), *ends))
    return np.subtract(np.float32(255.0), grey, out=grey) if inverted else grey


def _extremes(stored: Values, padding: Mask | None) -> tuple[float, float]:
    """The lowest and highest value that is shown; of all where none is."""
    if padding is None or padding.all():
        return float(stored.min()), float(stored.max())
    whole = np.issubdtype(stored.dtype, np.integer)
    kind = np.iinfo(stored.dtype) if whole else np.finfo(stored.dtype)
    low = stored.min(where=~padding, initial=kind.max)
    return float(low), float(stored.max(where=~padding, initial=kind.min))


def _hidden(ds: Any, stored: Values) -> Mask | None:
    """Where nothing is to be shown: padding, and outside of the shutter; None if nowhere."""
    padding = _padding(ds, stored)
    shutter = outside_shutter(ds, (stored.shape[0], stored.shape[1]))
    if padding is None or shutter is None:
        return shutter if padding is None else padding
    return padding | shutter


def _padding(ds: Any, stored: Values) -> Mask | None:
    """Where the stored value says "no pixel here" (PS3.3 C.7.5.1.1.2); None if nowhere.

    The two values have the pixels' sign by the standard, and often another by the file; their bits
    are the pixels' all the same.
    """
    value, limit = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return None
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    if np.issubdtype(stored.dtype, np.integer):
        kind = np.iinfo(stored.dtype)
        low, high = ((v - kind.min) % 2**kind.bits + kind.min for v in (low, high))
    above, below = stored >= low, stored <= high
    mask = above & below if low <= high else above | below  # the range goes over the end
    return mask if mask.any() else None
