"""Heads of megabytes: refused before they cost anything; heads of real files pass."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from firstread.errors import UnreadableFilm
from firstread.film import decode
from firstread.film.heads import MOST_VALUES, check_head

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)


def saved(kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, kind, **how)  # type: ignore[arg-type]
    return out.getvalue()


def tiff(tag: int, kind: int, values: int, order: str = "<") -> bytes:
    """A TIFF of 64 x 64 with one more entry, which says to have so many values."""
    entries = sorted(
        [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
         (273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 64), (279, 4, 1, 4096),
         (tag, kind, values, 4300)]
    )  # fmt: skip
    made = [b"II*\0" if order == "<" else b"MM\0*", struct.pack(f"{order}I", 8 + 4096)]
    made += [PIXELS.tobytes(), struct.pack(f"{order}H", len(entries))]
    for name, code, n, value in entries:
        short = struct.pack(f"{order}HH", value, 0)
        rest = short if code == 3 and n == 1 else struct.pack(f"{order}I", value)
        made.append(struct.pack(f"{order}HHI", name, code, n) + rest)
    return b"".join(made) + bytes(4) + b"\1\0\0\0" * 4 * values


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tag", [339, 34665])
def test_a_tiff_of_a_million_values_is_refused(tag: int, order: str) -> None:
    assert decode(tiff(40_000, 5, 100, order)).pixels.shape == (64, 64)
    with pytest.raises(UnreadableFilm, match="head"):
        decode(tiff(tag, 5, MOST_VALUES + 1, order))


@pytest.mark.parametrize("size", [8, 60_000])
def test_a_jpeg_of_very_many_segments_is_refused(size: int) -> None:
    segment = b"\xff\xe1" + (2 + 6 + size).to_bytes(2, "big") + b"Exif\0\0" + bytes(size)
    data = saved("JPEG")
    few = data[:2] + segment * 20 + data[2:]
    assert decode(few).pixels.shape == (64, 64)
    with pytest.raises(UnreadableFilm, match="head"):
        decode(data[:2] + segment * 2000 + data[2:])
    with pytest.raises(UnreadableFilm, match="head"):  # what is no segment between them
        decode(data[:2] + (b"\0" + segment) * 2000 + data[2:])


def test_heads_of_real_files_pass() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a film" * 1000
    files = [
        saved("JPEG", exif=exif, icc_profile=bytes(500_000), comment=b"x" * 60_000),
        saved("JPEG", progressive=True),
        saved("TIFF", compression="tiff_lzw", icc_profile=bytes(500_000)),
        saved("TIFF", big_tiff=True),
    ]
    for data in files:
        check_head(data)
        assert decode(data).pixels.shape == (64, 64)
    for cut in (3, 5, 9, 40):
        for data in files:
            check_head(data[:cut])
    check_head(b"")
