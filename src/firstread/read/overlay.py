"""Where the model looked: its map over the film, and a word for the place.

Only evidence for pneumonia is shown; what spoke against it is left out, since a person
reads any colour as a finding. The strength is relative to the largest evidence either way,
so that on a film where all speaks against pneumonia no weak corner glows.
"""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from firstread.film.box import WHOLE, Box
from firstread.film.decode import OURS

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

LONGEST = 640
"""Pixels on the longer side of a picture at the film's own aspect."""


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
    return _png(with_map(pixels, heat, lungs), OURS)


def with_map(
    pixels: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32],
    lungs: npt.NDArray[np.bool_] | None,
    seen: Box = WHOLE,
) -> npt.NDArray[np.uint8]:
    """The same as colours (S, S, 3). `seen`: what of the film the map and the mask are of."""
    weight = _placed(strength(heat, pixels.shape[0]), seen)
    if lungs is not None:
        lungs = _placed(lungs.astype(np.float32), seen) >= 0.5
    return _laid_over(pixels, weight, lungs)


def _placed(picture: npt.NDArray[np.float32], seen: Box) -> npt.NDArray[np.float32]:
    """What is of a part of a film (S, S) where that part lies in the film, (S, S); 0 around it."""
    if seen == WHOLE:
        return picture
    side = len(picture)
    left, top, right, bottom = (round(share * side) for share in seen)
    part = Image.fromarray(picture).resize(
        (max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR
    )
    out = np.zeros_like(picture)
    out[top : top + part.height, left : left + part.width] = np.asarray(part)
    return out


def overlay_at_aspect(
    pixels: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32],
    lungs: npt.NDArray[np.bool_] | None = None,
    aspect: float = 1.0,
) -> bytes:
    """`overlay_png` stretched back to the film's own `aspect` (width over height), LONGEST long."""
    return _png(overlay_pixels(pixels, heat, lungs, aspect), OURS)


def overlay_pixels(
    pixels: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32],
    lungs: npt.NDArray[np.bool_] | None = None,
    aspect: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """The same as colours (h, w, 3)."""
    return _laid_over(stretched(pixels, aspect), *_stretched_over(heat, lungs, aspect))


def stretched(pixels: npt.NDArray[np.uint8], aspect: float) -> npt.NDArray[np.uint8]:
    """A film (S, S) at its own aspect, LONGEST on its longer side."""
    size = size_at(aspect)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def size_at(aspect: float) -> tuple[int, int]:
    """(width, height) of a picture of that aspect, LONGEST on its longer side.

    An aspect beyond 4 to 1 is drawn as 4 to 1: that is no film, and its strip shows nothing.
    """
    aspect = min(4.0, max(0.25, aspect))
    return round(LONGEST * min(1.0, aspect)), round(LONGEST * min(1.0, 1.0 / aspect))


def _stretched_over(
    heat: npt.NDArray[np.float32], lungs: npt.NDArray[np.bool_] | None, aspect: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
    """Strength and lungs at the film's own aspect."""
    size = size_at(aspect)
    weight = Image.fromarray(strength(heat, LONGEST)).resize(size, Image.Resampling.BILINEAR)
    if lungs is None:
        return np.asarray(weight, np.float32), None
    mask = Image.fromarray(lungs.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(weight, np.float32), np.asarray(mask) >= 128


def _laid_over(
    pixels: npt.NDArray[np.uint8],
    weight: npt.NDArray[np.float32],
    lungs: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.uint8]:
    """Colour (h, w, 3) from a film and strengths of 0 to 1, both (h, w)."""
    steps = np.arange(len(COLOURS))
    at = weight * (len(COLOURS) - 1)
    colour = np.stack([np.interp(at, steps, COLOURS[:, c]) for c in range(3)], axis=2)
    alpha = (OPACITY * weight)[..., None]
    mixed = (1.0 - alpha) * pixels[..., None] + alpha * colour
    if lungs is not None:
        mixed[outline(lungs)] = OUTLINE
    return np.rint(mixed).astype(np.uint8)


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of `mask` (h, w) with a side to the outside; the picture's edge is no outside."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


def film_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A film (S, S) alone, as PNG bytes."""
    return _png(pixels)


def _png(pixels: npt.NDArray[np.uint8], *texts: tuple[str, str]) -> bytes:
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    for text in texts:
        info.add_text(*text)
    # Level 4 takes 16 ms where the usual 6 takes 39, for a tenth more bytes.
    Image.fromarray(pixels).save(out, "PNG", compress_level=4, pnginfo=info)
    return out.getvalue()


def data_uri(png: bytes) -> str:
    """PNG bytes as a `data:` address for an `img`."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def place(heat: npt.NDArray[np.float32], seen: Box = WHOLE) -> tuple[float, float] | None:
    """Across and down, as shares of the film, of the strongest evidence for pneumonia; None where
    there is none. `seen`: what of the film the map (h, w) is of."""
    heat = np.nan_to_num(heat, posinf=0.0, neginf=0.0)
    if float(heat.max(initial=0.0)) <= 0.0:
        return None
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    left, top, right, bottom = seen
    return (
        left + (float(column) + 0.5) / heat.shape[1] * (right - left),
        top + (float(row) + 0.5) / heat.shape[0] * (bottom - top),
    )


HUNG = "if the film is hung as usual"
TOLD = "by the orientation that the file tells"
"""By what sides are the patient's: an assumption, or for a mirrored film its file."""


def where(heat: npt.NDArray[np.float32], seen: Box = WHOLE, mirrored: bool = False) -> str:
    """One sentence on where the strongest evidence for pneumonia lies; as `place`.

    Films are hung as if the patient faced the viewer: the left of the picture is the
    patient's right. The words take that for granted and say so, unless the file tells that the
    film is `mirrored`.
    """
    found = place(heat, seen)
    if found is None:
        return "No part of the film spoke for pneumonia to the model."
    across, down = found
    part = "upper" if down < 1 / 3 else "middle" if down <= 2 / 3 else "lower"
    sides = ("left", "right") if mirrored else ("right", "left")
    if across < 0.5 - MIDDLE:
        side = f"on the patient's {sides[0]} (left in the picture)"
    elif across > 0.5 + MIDDLE:
        side = f"on the patient's {sides[1]} (right in the picture)"
    else:
        side = "near the midline"
    return (
        f"The model looked most at the {part} part of the film, {side}, "
        f"{TOLD if mirrored else HUNG}. This is no finding."
    )
