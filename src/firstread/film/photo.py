"""Photos of films: a phone held before a light box or a screen.

A camera tells its exposure in the file, where nobody has taken that out. And it gives colour that
a film has not: a tint that changes over the picture with the lamps, and coloured noise. Films saved
in colour have three equal channels.

Measured on films made into photos, since real ones were not to be had (docs/results.md). What a
phone took in black and white, and somebody then stripped of its exposure, is not recognised. A scan
in sepia or blue is, since colour alone does not tell it from a photo; the remark says so.
"""

from __future__ import annotations

from firstread.film.decode import Film

LEAST_COLOUR = 0.25
"""`Film.colour` beyond which there was a camera or a tint. Films: 0; a sepia film: 1.3."""


def looks_photographed(film: Film) -> str | None:
    """A remark for a film that looks like a photo of one; None where it does not.

    Never for DICOM, where colour is a mark that a workstation drew. No reason to reject.
    """
    if film.camera:
        return (
            "it tells of a camera's exposure: perhaps a photo of a film; "
            "use the film's own file where there is one"
        )
    if film.format == "DICOM" or film.colour <= LEAST_COLOUR:
        return None
    return (
        "a picture in colour: likely a photo of a film or a tinted scan; "
        "use the film's own file where there is one"
    )
