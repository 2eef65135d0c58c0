"""Photos of films: a phone held before a light box or a screen.

A camera gives colour that a film has not: a tint that changes over the picture with the lamps,
and coloured noise. Films saved in colour have three equal channels.

Measured on re-photographs made by tests/film/test_photo.py (keystone, light box, vignette, tint,
noise, JPEG), since real ones were not to be had: of 200 made from films of two hospitals 200 were
found at full and at half colour, 199 at a quarter, and none without any, so what a phone took in
black and white is not recognised. Of 2,040 films from two hospitals none was taken for a photo.
A scan in sepia or blue is, since colour alone does not tell it from a photo; the remark says so.
"""

from __future__ import annotations

from firstread.film.decode import Film

LEAST_COLOUR = 0.25
"""`Film.colour` beyond which there was a camera or a tint. Films: 0; re-photographs at a quarter
of the colour: 0.46 and more for 95 of 100; a sepia film: 1.3."""


def looks_photographed(film: Film) -> str | None:
    """A remark for a film that looks like a photo of one; None where it does not.

    Never for DICOM, where colour is a mark that a workstation drew. No reason to reject.
    """
    if film.format == "DICOM" or film.colour <= LEAST_COLOUR:
        return None
    return (
        "a picture in colour: likely a photo of a film or a tinted scan; "
        "use the film's own file where there is one"
    )
