"""Where the model looked: its map over the film, and a word for the place.

Only evidence for pneumonia is shown; what spoke against it is left out, since a person
reads any colour as a finding. The strength is relative to the largest evidence either way,
so that on a film where all speaks against pneumonia no weak corner glows.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

COLOURS = np.array(
    [
        (87, 16, 110),
        (125, 30, 109),
        (163, 44, 97),
        (199, 62, 76),
        (228, 90, 49),
        (246, 128, 19),
        (252, 172, 17),
        (245, 219, 76),
        (252, 255, 164),
    ],
    np.float32,
)
"""Weak to strong, even steps of lightness: nine points on the upper three quarters of
"inferno" (S. van der Walt and N. Smith, 2015, CC0)."""

OPACITY = 0.65
"""Of the strongest evidence; the film must stay visible under it."""

OUTLINE = (120, 200, 255)
"""Of the lungs: light blue, which the map never uses."""

MIDDLE = 0.08
"""Half width, as a share of the film's, of the strip called neither left nor right."""


def strength(heat: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """The positive part of a signed map (h, w), bilinear, as (size, size) from 0 to 1."""
    heat = np.nan_to_num(heat.astype(np.float32), posinf=0.0, neginf=0.0)
    largest = float(np.abs(heat).max(initial=0.0))
    if largest == 0.0 or float(heat.max()) <= 0.0:
        return np.zeros((size, size), np.float32)
    large = Image.fromarray(heat / largest).resize((size, size), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(large, np.float32), 0.0, 1.0)


def overlay_png(
    pixels: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32],
    lungs: npt.NDArray[np.bool_] | None = None,
) -> bytes:
    """A film (S, S) with the positive part of its map (h, w) laid over it, as PNG bytes.

    `lungs`: their mask (S, S), whose outline is drawn, or None.
    """
    weight = strength(heat, pixels.shape[0])
    steps = np.arange(len(COLOURS))
    at = weight * (len(COLOURS) - 1)
    colour = np.stack([np.interp(at, steps, COLOURS[:, c]) for c in range(3)], axis=2)
    alpha = (OPACITY * weight)[..., None]
    mixed = (1.0 - alpha) * pixels[..., None] + alpha * colour
    if lungs is not None:
        mixed[outline(lungs)] = OUTLINE
    return _png(np.rint(mixed).astype(np.uint8))


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of `mask` (h, w) with a side to the outside; the picture's edge is no outside."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def film_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A film (S, S) alone, as PNG bytes."""
    return _png(pixels)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def where(heat: npt.NDArray[np.float32]) -> str:
    """One sentence on where the strongest evidence for pneumonia lies.

    Films are hung as if the patient faced the viewer: the left of the picture is the
    patient's right. The words take that for granted and say so.
    """
    heat = np.nan_to_num(heat, posinf=0.0, neginf=0.0)
    if float(heat.max(initial=0.0)) <= 0.0:
        return "No part of the film spoke for pneumonia to the model."
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down = (float(row) + 0.5) / heat.shape[0]
    across = (float(column) + 0.5) / heat.shape[1]
    part = "upper" if down < 1 / 3 else "middle" if down <= 2 / 3 else "lower"
    if across < 0.5 - MIDDLE:
        side = "on the patient's right (left in the picture)"
    elif across > 0.5 + MIDDLE:
        side = "on the patient's left (right in the picture)"
    else:
        side = "near the midline"
    return (
        f"The model looked most at the {part} part of the film, {side}, "
        "if the film is hung as usual. This is no finding."
    )
