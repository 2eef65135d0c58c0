"""Pictures that are plainly no X-ray film: a photograph, a blank, an icon, a page of text.

Only what no film ever is gets named here, so that no real film is turned away.
"""

from __future__ import annotations

import numpy as np

from firstread.film.decode import Film

MIN_SIDE = 32
"""Pixels below which a side cannot show a lung."""

MAX_ASPECT = 4.0
"""Longer side over shorter side beyond which a picture is a strip."""

MIN_SPREAD = 4.0
"""Grey levels (of 255) between the 1st and 99th percentile below which a picture is blank."""

MAX_COLOUR = 40.0
"""`Film.colour` beyond which a picture is a photograph."""


def plainly_no_film(film: Film) -> str | None:
    """Why `film` is plainly no X-ray film, in one line for the user; None where it may be one."""
    if min(film.width, film.height) < MIN_SIDE:
        return f"only {film.width} x {film.height} pixels: too small to be a film"
    if max(film.width, film.height) > MAX_ASPECT * min(film.width, film.height):
        return f"{film.width} x {film.height} pixels: a strip, not a film"
    if film.colour > MAX_COLOUR:
        return "a colour picture, not an X-ray film"
    low, high = np.percentile(film.pixels, (1, 99))
    if high - low < MIN_SPREAD:
        return "the picture is blank"
    return None
