"""What is asked of a picture's head before Pillow takes it apart.

A JPEG's segments are appended to one another and a TIFF's values become objects, however many
there are: a hundred megabytes of them would keep a reader busy for minutes.
"""

from __future__ import annotations

import struct

from firstread.errors import UnreadableFilm

MOST_SEGMENTS, MOST_HEAD = 1000, 2**22
"""Segments, and bytes, before a JPEG's first scan. Cameras and their profiles take some tens and
some hundred thousand."""

MOST_VALUES = 2**18
"""Values of one entry of a TIFF, unless they are plain bytes. A palette of 16 bits has three
quarters as many."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How one begins, in either order of bytes, and with offsets of four or eight bytes."""

PLAIN = {1, 2, 6, 7}
"""Types of a TIFF that stay bytes: byte, text, signed byte, undefined (TIFF 6.0, section 2)."""

_TOO_LARGE = "its head is larger than a picture's; save the picture anew"


def check_head(data: bytes) -> None:
    """Raise `UnreadableFilm` for a JPEG or a TIFF with a head that no picture needs."""
    if data[:2] == b"\xff\xd8":
        _check_jpeg(data)
    elif data[:4] in TIFF:
        _check_tiff(data)


def _check_jpeg(data: bytes) -> None:
    """Marker by marker to the first scan; what lies between them Pillow skips."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data) or data[at + 1] == 0xDA:
            return
        if at > MOST_HEAD:
            break
        code = data[at + 1]
        if code == 0xFF:  # fill
            at += 1
        elif code in {0x00, 0x01} or 0xD0 <= code <= 0xD9:  # without a length (ITU-T T.81 B.1.1)
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise UnreadableFilm(_TOO_LARGE)


def _check_tiff(data: bytes) -> None:
    """The entries of the first two directories, for the second is looked at, too."""
    order, big = "<>"[data[:1] == b"M"], data[2:4].strip(b"\0") == b"+"
    word = f"{order}{'Q' if big else 'I'}"
    count, entry = f"{order}{'Q' if big else 'H'}", f"{order}HH{'Q' if big else 'I'}"
    step = 20 if big else 12
    try:
        (at,) = struct.unpack_from(word, data, 8 if big else 4)
        for _ in range(2):
            (n,) = struct.unpack_from(count, data, at)
            at += struct.calcsize(count)
            for i in range(min(n, 2**16)):
                _, kind, values = struct.unpack_from(entry, data, at + i * step)
                if kind not in PLAIN and values > MOST_VALUES:
                    raise UnreadableFilm(_TOO_LARGE)
            (at,) = struct.unpack_from(word, data, at + n * step)
            if not at:
                return
    except struct.error:  # cut off: for Pillow to say
        return
