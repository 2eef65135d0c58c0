"""The display shutter of a DICOM film: what its maker says must not be shown (PS3.3 C.7.6.11).

A collimated film has a bright or grey frame where no rays fell. Where the file names the frame,
it is blackened, as every workstation does, and takes no part in finding black and white. Where
it does not, it stays: a guessed frame could cut lung away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw


def outside_shutter(ds: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_] | None:
    """Where a data set's shutter hides a picture of `shape` (rows, columns); None for no shutter.

    Several shapes hide together. A shape that lacks its numbers, or would hide everything, is
    passed over.
    """
    shapes = ds.get("ShutterShape")
    if not shapes:
        return None
    hidden = np.zeros(shape, bool)
    for name in [shapes] if isinstance(shapes, str) else list(shapes):
        draw = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}.get(name)
        try:
            shown = None if draw is None else draw(ds, shape)
        except (AttributeError, TypeError, ValueError, OverflowError):
            continue
        if shown is not None and shown.any():
            hidden |= ~shown
    return hidden if hidden.any() and not hidden.all() else None


def _rectangle(ds: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Between the edges, which are not shown themselves; rows and columns count from 1."""
    row, column = np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)
    upper, lower = int(ds.ShutterUpperHorizontalEdge), int(ds.ShutterLowerHorizontalEdge)
    left, right = int(ds.ShutterLeftVerticalEdge), int(ds.ShutterRightVerticalEdge)
    return (row > upper) & (row < lower) & (column > left) & (column < right)


def _circle(ds: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    row, column = np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)
    y, x = (int(v) for v in ds.CenterOfCircularShutter)
    # Two thin arrays held against each other: their sum would be as large as 64-bit pixels.
    reach = int(ds.RadiusOfCircularShutter) ** 2 - (column - x) ** 2
    shown: npt.NDArray[np.bool_] = (row - y) ** 2 <= reach
    return shown


def _polygon(ds: Any, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    corners = [int(v) - 1 for v in ds.VerticesOfThePolygonalShutter]
    canvas = Image.new("1", (shape[1], shape[0]))
    points = list(zip(corners[1::2], corners[::2], strict=True))
    ImageDraw.Draw(canvas).polygon(points, fill=1, outline=1)
    return np.asarray(canvas, bool)
