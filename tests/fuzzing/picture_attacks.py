"""Ways to spoil a PNG, JPEG, TIFF or BMP that know its structure, so that the damage gets deep."""

from __future__ import annotations

import re
import struct
import zlib
from functools import cache

from fuzzing.bytes_attacks import ODD, Attack, Rng, number, one, put

Chunks = list[tuple[bytes, bytes]]

SIDES = (0, 1, 3, 31, 84, 100, 101, 600, 4000, 7999, 8000, 8001, 30000, 65535, 2**31 - 1, 2**32 - 1)
"""Sides of a picture: none, tiny, at the limit of 64 million pixels and far beyond."""


@cache
def _bomb(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def chunks(data: bytes) -> Chunks:
    """The chunks of a PNG as far as they are whole: (name, content)."""
    found, at = [], 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png(found: Chunks) -> bytes:
    """A PNG of these chunks, their checksums right."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in found
    )


def png_header(rng: Rng, data: bytes) -> bytes:
    """Other sizes, depth, colour type or interlacing told than there are."""
    found = chunks(data)
    if not found or len(found[0][1]) != 13:
        return data
    head = list(struct.unpack(">IIBBBBB", found[0][1]))
    for field in {int(rng.integers(7)) for _ in range(2)}:
        head[field] = one(rng, SIDES) if field < 2 else one(rng, (0, 1, 2, 3, 4, 6, 8, 16, 255))
    found[0] = (found[0][0], struct.pack(">IIBBBBB", *head))
    return png(found)


def png_bomb(rng: Rng, data: bytes) -> bytes:
    """A small chunk that unpacks to megabytes: text, profile or pixels."""
    found = chunks(data)
    packed = _bomb(int(one(rng, (2**16, 2**20 + 1, 2**26))))
    name = one(rng, (b"iCCP", b"zTXt", b"iTXt", b"IDAT", b"eXIf"))
    body = {b"iTXt": b"k\x00\x01\x00\x00\x00", b"IDAT": b"", b"eXIf": b"MM\x00*"}.get(
        name, b"k\0\0"
    )
    return png([*found[:1], *[(name, body + packed)] * int(one(rng, (1, 1, 3))), *found[1:]])


def png_exif(rng: Rng, data: bytes) -> bytes:
    """An EXIF block of very many values, as a camera's it would have a few."""
    n = int(one(rng, (100, 5000, 9000, 2**17, 2**21)))
    first = struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0)
    second = struct.pack(">HHHIII", 1, int(one(rng, (0xA000, 0x829A))), 5, n, 44, 0)
    block = b"MM\x00*" + struct.pack(">I", 8) + first + second + b"\x00\x00\x00\x01" * 2 * n
    found = chunks(data)
    return png([*found[:1], (b"eXIf", block), *found[1:]])


def png_chunks(rng: Rng, data: bytes) -> bytes:
    """Chunks lost, doubled, out of order, of odd content; all with right checksums."""
    found = chunks(data)
    if len(found) < 2:
        return data
    at = int(rng.integers(len(found)))
    name, body = found[at]
    change = int(rng.integers(5))
    if change == 0:
        del found[at]
    elif change == 1:
        found.insert(int(rng.integers(len(found))), found[at])
    elif change == 2 and body:
        found[at] = name, put(body, int(rng.integers(len(body))), rng.bytes(9))
    elif change == 3:
        odd = one(rng, (b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"gAMA", b"sBIT", b"pHYs"))
        found.insert(1, (odd, rng.bytes(int(one(rng, (0, 1, 4, 8, 26, 769))))))
    else:
        found[at] = name, body[: len(body) // 2]
    return png(found)


def png_huge(rng: Rng, data: bytes) -> bytes:
    """A real picture of 64 million pixels, or a little less, in some kilobytes."""
    width, height = one(rng, ((8000, 8000), (8000, 2000), (64000, 1000)))
    depth, colour = one(rng, ((8, 0), (1, 0), (16, 0), (8, 3)))
    size = height * (1 + (width * depth + 7) // 8)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = [(b"PLTE", bytes(768))] if colour == 3 else []
    return png([(b"IHDR", head), *palette, (b"IDAT", _bomb(size)), (b"IEND", b"")])


def _marks(data: bytes, codes: bytes) -> list[int]:
    """Where JPEG markers of these codes, as in a set of a regular expression, stand."""
    return [found.start() for found in re.finditer(b"\xff[" + codes + b"]", data, re.DOTALL)]


def jpeg_frame(rng: Rng, data: bytes) -> bytes:
    """Another size, precision, number of components, sampling or coding told."""
    marks = _marks(data, rb"\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7")
    if not marks:
        return data
    at = one(rng, marks)
    change = int(rng.integers(5))
    if change == 0:
        kind = one(rng, (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xF7))
        return put(data, at + 1, bytes([kind]))
    if change == 1:
        return put(data, at + 4, bytes([one(rng, (0, 2, 8, 12, 16, 255))]))
    if change == 2:
        return put(data, at + 9, bytes([one(rng, (0, 1, 2, 3, 4, 255))]))
    if change == 3:
        return put(data, at + 11, bytes([one(rng, (0x00, 0x11, 0x14, 0x41, 0x44, 0xFF))]))
    height, width = (one(rng, SIDES) % 65536 for _ in range(2))
    return put(data, at + 5, struct.pack(">HH", height, width))


def jpeg_tables(rng: Rng, data: bytes) -> bytes:
    """Broken Huffman or quantisation tables, restarts or scan heads."""
    marks = _marks(data, rb"\xc4\xda\xdb\xdd\xe0-\xe2\xee")
    if not marks:
        return data
    return put(data, one(rng, marks) + int(rng.integers(2, 24)), rng.bytes(int(rng.integers(1, 6))))


def jpeg_scans(rng: Rng, data: bytes) -> bytes:
    """The same scan over and over: each costs a walk over the whole picture."""
    at = data.rfind(b"\xff\xda")
    if at < 0:
        return data
    scan = data[at:-2]
    data = data[:at] + scan * int(one(rng, (3, 30, 300))) + data[-2:]
    return jpeg_frame(rng, data) if rng.random() < 0.5 else data


def jpeg_segments(rng: Rng, data: bytes) -> bytes:
    """Segments by the thousand before the picture, empty ones or of some kilobytes, or rubbish."""
    body = bytes(int(one(rng, (0, 6, 1000, 60_000))))
    code = one(rng, (b"\xe0", b"\xe1", b"\xe2", b"\xed", b"\xee", b"\xfe"))
    mark = one(rng, (b"", b"Exif\0\0", b"ICC_PROFILE\0\1\1", b"http://ns.adobe.com/xap/1.0/\0"))
    segment = b"\xff" + code + struct.pack(">H", 2 + len(mark) + len(body)) + mark + body
    between = one(rng, (b"", b"\0", b"\xff"))
    most = max(1, 2**24 // len(segment))
    return (
        data[:2]
        + (between + segment) * min(most, int(one(rng, (30, 999, 10_000, 2**20))))
        + data[2:]
    )


def j2k_size(rng: Rng, data: bytes) -> bytes:
    """Other sizes, tiles or components in the SIZ segment of a JPEG 2000 stream."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return data
    field = int(rng.integers(9))  # eight sizes and offsets of 4 bytes, then the components
    odd = one(rng, SIDES).to_bytes(4, "big") if field < 8 else number(rng, 2)
    return put(data, at + 8 + 4 * field, odd)


def tiff_entry(rng: Rng, data: bytes) -> bytes:
    """An entry of the first directory changed: its tag, type, count or value."""
    if len(data) < 20 or data[:2] not in (b"II", b"MM"):
        return data
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(f"{order}I", data[4:8])[0]
    if start + 2 > len(data):
        return data
    n = struct.unpack(f"{order}H", data[start : start + 2])[0]
    at = start + 2 + 12 * int(rng.integers(n + 1))
    change = int(rng.integers(5))
    if change == 0:
        tag = one(rng, (256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 322, 324, 347,
                        700, 34665, 34675))  # fmt: skip
        return put(data, at, struct.pack(f"{order}H", tag))
    if change == 1:
        return put(data, at + 2, struct.pack(f"{order}H", int(rng.integers(20))))
    if change == 2:
        return put(data, at + 4, struct.pack(f"{order}I", one(rng, ODD)))
    if change == 3:  # the directory that follows: itself, or anywhere
        after = one(rng, (start, 8, len(data) - 2, int(rng.integers(len(data)))))
        return put(data, start + 2 + 12 * n, struct.pack(f"{order}I", after))
    return put(data, at + 8, struct.pack(f"{order}I", one(rng, ODD)))


def tiff_values(rng: Rng, data: bytes) -> bytes:
    """A directory of its own with an entry of very many values, before the picture's or after."""
    if len(data) < 20 or data[:4] not in (b"II*\0", b"MM\0*"):
        return data
    order = "<" if data[:2] == b"II" else ">"
    code, size = one(rng, ((3, 2), (4, 4), (5, 8), (10, 8), (12, 8), (16, 8), (7, 1)))
    n = int(one(rng, (1000, 2**18 - 1, 2**18 + 1, 2**20)))
    tag = int(one(rng, (273, 279, 320, 339, 700, 34665, 37121, 40000)))
    (first,) = struct.unpack(f"{order}I", data[4:8])
    here = len(data)
    entry = struct.pack(f"{order}HHHII", 1, tag, code, n, here + 18)
    added = entry + struct.pack(f"{order}I", first) + b"\1\0\0\0" * (n * size // 4 + 1)
    return put(data + added, 4, struct.pack(f"{order}I", here))


def bmp_header(rng: Rng, data: bytes) -> bytes:
    """Odd numbers in the header's fields."""
    at = int(one(rng, (2, 10, 14, 18, 22, 26, 28, 30, 34, 46)))
    return put(data, at, one(rng, ODD).to_bytes(4, "little")[: 2 if at in (26, 28) else 4])


ATTACKS: dict[str, tuple[Attack, ...]] = {
    "png": (png_header, png_bomb, png_exif, png_chunks, png_chunks),
    "jpeg": (jpeg_frame, jpeg_frame, jpeg_tables, jpeg_scans, jpeg_segments),
    "tiff": (tiff_entry, tiff_entry, tiff_values),
    "bmp": (bmp_header,),
}
"""By the family of the seed."""
