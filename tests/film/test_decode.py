"""Decoding: every kind of picture a film may come as, and every way it may be broken."""

import contextlib
import io
import logging
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from firstread.errors import FilmTooLarge, FolderNotFound, UnreadableFilm
from firstread.film import Film, decode


def wave(height: int = 90, width: int = 120) -> np.ndarray:
    """A smooth, lopsided picture: no symmetry hides a wrong turn."""
    y, x = np.mgrid[0:height, 0:width]
    grey = 40 + 120 * x / width + 60 * np.sin(y / 17.0) * (y / height)
    return np.clip(grey, 0, 255).astype(np.uint8)


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).max())


GREY = wave()
L = Image.fromarray(GREY)


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (saved(L, "PNG"), "L"),
        (saved(L, "TIFF"), "L"),
        (saved(L, "TIFF", compression="tiff_lzw"), "L"),
        (saved(L, "BMP"), "L"),
        (saved(L, "DIB"), "L"),
        (saved(L.convert("RGB"), "PNG"), "RGB"),
        (saved(L.convert("RGB"), "BMP"), "RGB"),
        (saved(L.convert("RGBA"), "PNG"), "RGBA"),
        (saved(L.convert("LA"), "PNG"), "LA"),
        (saved(L.convert("P"), "PNG"), "P"),
        (saved(L, "PNG", transparency=200), "L"),
    ],
)
def test_lossless_kinds_give_the_same_grey(data: bytes, mode: str) -> None:
    film = decode(data)
    assert film.pixels.dtype == np.uint8
    assert (film.width, film.height, film.mode) == (120, 90, mode)
    assert film.n_bytes == len(data)
    assert film.colour == 0
    assert difference(film.pixels, GREY) <= 1  # Pillow's RGB to L rounds


@pytest.mark.parametrize(
    "how", [{"quality": 95}, {"quality": 95, "progressive": True}, {"quality": 95, "restart": 1}]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_kinds_give_nearly_the_same_grey(mode: str, how: dict[str, object]) -> None:
    how = {{"restart": "restart_marker_rows"}.get(k, k): v for k, v in how.items()}
    data = saved(L.convert("RGB").convert(mode) if mode != "L" else L, "JPEG", **how)
    film = decode(data)
    assert film.format == "JPEG"
    assert film.mode == mode
    assert difference(film.pixels, GREY) <= 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sixteen_bit_files_find_their_depth(kind: str, bits: int) -> None:
    top = 2**bits - 1
    deep = np.linspace(0, top, 90 * 120).reshape(90, 120).round().astype(np.uint16)
    film = decode(saved(Image.fromarray(deep), kind))
    assert film.pixels.dtype == np.float32
    assert difference(film.pixels, deep * (255 / top)) < 1e-3


def test_sixteen_bit_file_of_eight_bit_values_is_not_stretched() -> None:
    film = decode(saved(Image.fromarray(GREY.astype(np.uint16)), "PNG"))
    assert difference(film.pixels, GREY) < 1e-3


def test_sixteen_bit_file_of_two_values_is_not_taken_for_floats() -> None:
    film = decode(saved(Image.fromarray((GREY > 100).astype(np.uint16)), "PNG"))
    assert film.pixels.max() == 1


@pytest.mark.parametrize("scale", [1 / 255, 1.0, 1000.0])
def test_float_tiff(scale: float) -> None:
    film = decode(saved(Image.fromarray(GREY.astype(np.float32) * np.float32(scale)), "TIFF"))
    top = {1000.0: GREY.max()}.get(scale, 255)  # beyond 16 bits only the extremes are left
    assert difference(film.pixels, GREY * (255 / top)) < 1e-2


def test_float_tiff_with_nan_is_refused() -> None:
    bad = GREY.astype(np.float32)
    bad[3, 3] = np.nan
    with pytest.raises(UnreadableFilm):
        decode(saved(Image.fromarray(bad), "TIFF"))


def test_signed_tiff_uses_the_signed_range() -> None:
    deep = (GREY.astype(np.int32) - 128) * 16  # 12 bits, signed
    film = decode(saved(Image.fromarray(deep), "TIFF"))
    assert difference(film.pixels, GREY * (16 * 255 / 4095)) < 0.01


def test_white_is_zero_sixteen_bit_tiff_is_inverted() -> None:
    data = saved(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF", tiffinfo={262: 0})
    tags = Image.open(io.BytesIO(data)).tag_v2
    if tags[262] != 0:  # Pillow writes its own; set the tag by hand
        at = data.index(struct.pack("<HHL", 262, 3, 1))
        data = data[: at + 8] + struct.pack("<H", 0) + data[at + 10 :]
    assert difference(decode(data).pixels, 255 - GREY.astype(float)) < 1e-2


def tiff(
    raw: bytes, bits: int, form: int = 1, white: int = 1, order: str = "<", samples: int = 1
) -> bytes:
    """A TIFF of one strip as Pillow does not write them; `form`: 1 unsigned, 2 signed, 3 floats."""
    several = 2 * samples if samples > 2 else 0  # more than two numbers lie behind the entries
    entries = [(256, 120), (257, 90), (258, bits), (259, 1), (262, white), (273, 0), (277, samples)]
    entries += [(278, 90), (279, len(raw)), (339, form)]
    behind = 8 + 2 + 12 * len(entries) + 4
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    for tag, value in entries:
        if tag == 258 and several:
            out += struct.pack(order + "HHII", tag, 3, samples, behind)
        else:
            at = behind + several if tag == 273 else value
            out += struct.pack(order + "HHII", tag, 4, 1, at)
    return out + bytes(4) + struct.pack(f"{order}{several // 2}H", *[bits] * (several // 2)) + raw


@pytest.mark.parametrize(
    "data",
    [
        tiff((GREY / 255).astype("<f8").tobytes(), 64, form=3),
        tiff(GREY.astype("<u4").tobytes(), 32, white=0),
        tiff(GREY.astype(">u2").tobytes(), 16, white=0, order=">"),
    ],
    ids=["float64", "uint32, white is zero", "16 bits, big endian, white is zero"],
)
def test_a_tiff_of_a_rare_kind_is_called_one(data: bytes) -> None:
    with pytest.raises(UnreadableFilm, match="a TIFF of a kind that is not read"):
        decode(data)


def test_a_tiff_of_signed_bytes_is_refused() -> None:
    with pytest.raises(UnreadableFilm, match="signed bytes"):
        decode(tiff((GREY.astype(int) - 128).astype(np.int8).tobytes(), 8, form=2))
    assert difference(decode(tiff(GREY.tobytes(), 8)).pixels, GREY) == 0


def deep_colour(kind: str, grey: np.ndarray) -> bytes:
    """Values of 16 bits as three colours, or beside a transparency that lets all through."""
    if kind == "TIFF":
        return tiff(np.dstack([grey] * 3).astype("<u2").tobytes(), 16, white=2, samples=3)
    full = np.full_like(grey, 65535)
    layers = {"RGB": [grey] * 3, "LA": [grey, full], "RGBA": [grey, grey, grey, full]}[kind]
    rows = np.dstack(layers).astype(">u2")
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png_header(120, 90, body, depth=16, colour={"RGB": 2, "LA": 4, "RGBA": 6}[kind])


@pytest.mark.parametrize("kind", ["RGB", "LA", "RGBA", "TIFF"])
def test_colour_of_twelve_bits_is_refused_and_of_sixteen_is_read(kind: str) -> None:
    with pytest.raises(UnreadableFilm, match="save it as 16 bit grey"):
        decode(deep_colour(kind, GREY.astype(np.uint16) * 16))
    film = decode(deep_colour(kind, GREY.astype(np.uint16) * 257))
    assert difference(film.pixels, GREY) <= 1


def test_transparent_pixels_are_black() -> None:
    rgba = np.dstack([GREY, GREY, GREY, np.where(GREY > 100, 255, 0).astype(np.uint8)])
    film = decode(saved(Image.fromarray(rgba), "PNG"))
    assert film.pixels[GREY <= 100].max() == 0
    assert difference(film.pixels[GREY > 100], GREY[GREY > 100]) <= 1


def test_palette_with_transparency_warns_nobody() -> None:
    image = L.convert("P")
    data = saved(image, "PNG", transparency=bytes([0] * 10 + [255] * 246))
    assert decode(data).pixels.shape == (90, 120)


def test_a_phone_jpeg_with_a_preview_is_one_picture() -> None:
    data = saved(L, "MPO", save_all=True, append_images=[L.resize((30, 22))])
    film = decode(data, 20)
    assert (film.format, film.width, film.height) == ("JPEG", 120, 90)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_several_pictures_are_refused_by_name(kind: str) -> None:
    data = saved(L, kind, save_all=True, append_images=[L.rotate(180)])
    with pytest.raises(UnreadableFilm, match=f"{kind} file of several"):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("reduce_to", [None, 40])
def test_truncated_files(kind: str, share: float, reduce_to: int | None) -> None:
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (200, 300), dtype=np.uint8))
    data = saved(noisy, kind)
    with pytest.raises(UnreadableFilm):
        decode(data[: int(len(data) * share)], reduce_to)


def test_truncated_progressive_jpeg() -> None:
    data = saved(L, "JPEG", progressive=True)
    with pytest.raises(UnreadableFilm, match="damaged"):
        decode(data[: len(data) // 2])


def test_what_is_no_picture(tmp_path: Path) -> None:
    text = tmp_path / "film.png"
    text.write_text("this is a letter, not a film\n" * 20)
    with pytest.raises(UnreadableFilm, match="not a JPEG"):
        decode(text)
    empty = tmp_path / "empty.jpeg"
    empty.touch()
    with pytest.raises(UnreadableFilm, match="empty"):
        decode(empty)
    with pytest.raises(UnreadableFilm, match="folder"):
        decode(tmp_path)
    with pytest.raises(FolderNotFound, match="no such file"):
        decode(tmp_path / "missing.png")
    with pytest.raises(UnreadableFilm, match="null byte"):
        decode("nul\0.png")


def test_films_can_be_compared_and_kept_in_sets() -> None:
    one, other = decode(saved(L, "PNG")), decode(saved(L, "PNG"))
    assert one != other
    assert {one, other, one} == {one, other}


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PPM", "ICO"])
def test_other_formats_do_not_reach_their_decoders(kind: str) -> None:
    with pytest.raises(UnreadableFilm, match="not a JPEG"):
        decode(saved(L, kind))


def test_random_bytes_are_refused_cleanly() -> None:
    rng = np.random.default_rng(1)
    heads = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM", b"\x08\x00\x05\x00"]
    for head in heads:
        for _ in range(20):
            with pytest.raises(UnreadableFilm):
                decode(head + rng.bytes(400))


def test_flipped_bytes_decode_or_are_refused() -> None:
    rng = np.random.default_rng(2)
    for kind in ("JPEG", "PNG", "TIFF", "BMP"):
        clean = saved(L, kind)
        for _ in range(60):
            data = bytearray(clean)
            for at in rng.integers(0, len(data), 6):
                data[at] ^= int(rng.integers(1, 256))
            with contextlib.suppress(UnreadableFilm, FilmTooLarge):
                assert isinstance(decode(bytes(data)), Film)


def test_one_pixel_decodes() -> None:
    assert decode(saved(Image.new("L", (1, 1), 9), "PNG")).pixels.tolist() == [[9]]


def png_header(
    width: int, height: int, body: bytes = b"", depth: int = 8, colour: int = 0
) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    idat = chunk(b"IDAT", body or zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + idat + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_100, 9_600, 12_000, 30_000, 2**31 - 1])
def test_huge_pictures_are_refused_before_memory_is_spent(side: int) -> None:
    with pytest.raises(FilmTooLarge, match="save the film at its detector size"):
        decode(png_header(side, side))


def test_huge_tiff_is_refused() -> None:
    data = saved(L, "TIFF")
    for tag, size in ((256, 120), (257, 90)):
        for form in ("<HHLL", "<HHLHxx"):
            kind = 4 if form == "<HHLL" else 3
            data = data.replace(
                struct.pack(form, tag, kind, 1, size), struct.pack("<HHLL", tag, 4, 1, 30_000)
            )
    with pytest.raises(FilmTooLarge):
        decode(data)


def test_giant_text_in_a_png_is_not_unpacked() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("bomb", "a" * 20_000_000, zip=True)
    with pytest.raises(UnreadableFilm):
        decode(saved(L, "PNG", pnginfo=info))


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    with path.open("wb") as out:
        out.truncate(2**40)  # sparse
    with pytest.raises(FilmTooLarge, match="MiB"):
        decode(path)


def test_colour_tells_photographs_from_tints() -> None:
    grey = GREY.astype(float)
    sepia = np.clip(np.dstack([grey * 1.2, grey, grey * 0.8]), 0, 255).astype(np.uint8)
    assert 0 < decode(saved(Image.fromarray(sepia), "PNG")).colour < 6
    hues = np.dstack([GREY, GREY.T[:90, :90].repeat(2, 1)[:, :120], 255 - GREY])
    assert decode(saved(Image.fromarray(hues), "PNG")).colour > 15


def test_nothing_is_written_to_the_terminal(tmp_path: Path) -> None:
    """Neither libraries' warnings nor their logs nor libtiff's own remarks."""
    (tmp_path / "a.tif").write_bytes(saved(L, "TIFF", compression="tiff_lzw")[:-900])
    odd = bytearray(saved(L.convert("RGB"), "TIFF"))
    at = odd.index(struct.pack("<HH", 277, 3))  # SamplesPerPixel
    odd[at + 8 : at + 10] = struct.pack("<H", 900)
    (tmp_path / "b.tif").write_bytes(odd)
    (tmp_path / "c.jpg").write_bytes(
        saved(L, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff" + b"\xff" * 40)[:-300]
    )
    (tmp_path / "d.png").write_bytes(png_header(9_600, 9_600))
    (tmp_path / "e.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\0\0\0ULxx" * 9)
    code = (
        "import sys, pathlib\nfrom firstread.film import decode\n"
        "from firstread.errors import FilmError\n"
        "for p in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: decode(p)\n"
        "    except FilmError: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


def test_threads_leave_the_warning_filters_as_they_were() -> None:
    data = saved(L, "PNG", transparency=200)
    decode(data)  # whose own filter stays
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [decode(data) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    assert not logging.getLogger("PIL").disabled
