"""What a picture's EXIF block tells: how it is turned, and that a camera took it.

A broken block tells nothing, and is no reason to lose a film.
"""

from __future__ import annotations

from PIL import Image

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation (EXIF 2.32, tag 0x0112)."""


def upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture as its EXIF orientation wants it shown, and whether its sides changed place."""
    turn = orientation(image)
    return (image.transpose(_TURN[turn]), turn >= 5) if turn else (image, False)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation that a picture is still to be turned by, 2 to 8; 0 for none. From 5 on
    its sides change place.

    Pillow turns a TIFF itself, sizes included. A broken EXIF block is no reason to lose a film.
    """
    try:
        told = None if image.format == "TIFF" else image.getexif().get(0x0112)
    except Exception:
        told = None
    return int(told) if told in _TURN else 0


def by_camera(image: Image.Image) -> bool:
    """Whether the EXIF block tells an exposure time, an aperture or a focal length.

    A JPEG's fits into a segment of 64 KiB. Pillow takes every value apart to look at one, and a
    TIFF's are not bounded.
    """
    if len(image.info.get("exif", b"")) > 2**16:
        return False
    try:
        exif = image.getexif()
        return bool(exif) and any(tag in exif.get_ifd(0x8769) for tag in (0x829A, 0x829D, 0x920A))
    except Exception:  # a broken block tells nothing, and is no reason to lose a film
        return False
