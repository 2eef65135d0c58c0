"""Pictures that are plainly no X-ray film: a photograph, a blank, an icon, a page of text.

Only what no film ever is gets named here, so that no real film is turned away: each bound
lies well outside what was measured on 5,800 films (the Guangzhou children, NIH adults,
lateral views, CT slices), whose extremes are told beside it. Finer rules are a later step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firstread.film.decode import Film

MIN_SIDE = 32
"""Pixels below which a side cannot show a lung. Films: 194 and more."""

MAX_ASPECT = 4.0
"""Longer side over shorter side beyond which a picture is a strip. Films: up to 2.9."""

MIN_SPREAD = 8.0
"""Grey levels between the 1st and 99th percentile below which a picture is blank.

Films: 85 and more; but a 12-bit film with one stray 16-bit pixel may come down to 16."""

MAX_COLOUR = 15.0
"""`Film.colour` beyond which a picture is a photograph.

Films: 0; films tinted sepia, blue or in two tones: up to 6, under lamps 10 % warmer on one
side than the other: 11 (median); three photographs: 18, 22 and 41."""

MAX_TWO_LEVELS = 0.9
"""Share of pixels within 8 levels of either of two greys beyond which it is text or a mask.

Films: up to 0.80; a page of dense text: 0.92 to 0.94; a mask: 1."""

NEAR = 8
"""Grey levels to either side of a grey that count as that one."""

FAR = 64
"""Grey levels between the middles of two bands that are taken for ink and paper."""

LEAST_INK = 0.02
"""Share of pixels that the lesser of the two greys must have; with less there is only one."""

OTHER_MODALITIES = frozenset({
    "BDUS", "BI", "BMD", "CT", "DG", "DMS", "DOC", "ECG", "EPS", "ES", "GM", "IO", "IVOCT", "IVUS",
    "KO", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPT", "PR", "PT", "PX", "RF", "RTDOSE",
    "RTIMAGE", "SEG", "SM", "SR", "TG", "US", "XA", "XC",
})  # fmt: skip
"""DICOM modalities that make no radiographs, or none of a chest (PS3.3 C.7.3.1.1.1)."""


def plainly_no_film(film: Film) -> str | None:
    """Why `film` is plainly no X-ray film, in one line for the user; None where it may be one.

    Works alike on reduced and full decodes.
    """
    width, height = film.width, film.height
    if min(width, height) < MIN_SIDE:
        return f"only {width} x {height} pixels, too small to be a film"
    if max(width, height) > MAX_ASPECT * min(width, height):
        return f"{width} x {height} pixels, a strip and not a film"
    if film.tags.get("Modality") in OTHER_MODALITIES:
        return f"its DICOM modality is {film.tags['Modality']}, not a chest radiograph"
    if film.colour > MAX_COLOUR:
        return "a colour picture, not an X-ray film"
    share = film.grey_shares
    if _spread(share) < MIN_SPREAD:
        return "the picture is blank"
    if _two_levels(share) > MAX_TWO_LEVELS:
        return "almost only two grey values, a page or a drawing and not a film"
    return None


FAINT = 70.0
"""Grey levels between the 1st and 99th percentile below which a film is called faint."""

CLIPPED = 0.35
"""Share of pixels at the blackest or the whitest level from which on detail is lost there.

280 adult films: up to 0.22 black; 260 children's: up to 0.27, white up to 0.06."""

SMALL = 224
"""Pixels below which a side shows less than the model was trained on."""


def quality_notes(film: Film) -> tuple[str, ...]:
    """Remarks on a film that is read all the same: small, faint, burnt out."""
    notes = []
    if min(film.width, film.height) < SMALL:
        notes.append(f"small: {film.width} x {film.height} pixels")
    share = film.grey_shares
    if _spread(share) < FAINT:
        notes.append("faint: little contrast")
    for name, level in (("black", share[:2].sum()), ("white", share[-2:].sum())):
        if level > CLIPPED:
            notes.append(f"{level:.0%} of it is plain {name}; detail may be lost there")
    return tuple(notes)


def _spread(share: npt.NDArray[np.float64]) -> int:
    """Grey levels from the 1st to the 99th percentile."""
    low, high = np.searchsorted(share.cumsum(), (0.01, 0.99))
    return int(high - low)


def _two_levels(share: npt.NDArray[np.float64]) -> float:
    """Share of the most crowded band of 2 * `NEAR` + 1 grey levels and of another far from it.

    Far, since ink and paper are; the two bands of a faint film of little contrast lie side by
    side, and that is a poor film, but a film.
    """
    band = np.ones(2 * NEAR + 1)
    crowd = np.convolve(share, band, mode="same")
    first = int(crowd.argmax())
    rest = share.copy()
    rest[max(0, first - FAR + NEAR + 1) : first + FAR - NEAR] = 0
    second = float(np.convolve(rest, band, mode="same").max())
    return float(crowd[first]) + second if second >= LEAST_INK else 0.0
