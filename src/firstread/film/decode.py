"""Bytes to grey pixels: JPEG, PNG, TIFF, BMP and DICOM.

`decode` returns a `Film`: a 2-D array of grey values, 0 black to 255 white, as a
radiologist would see it (air dark, bone white). 8-bit pictures stay uint8; deeper ones
become float32 on the same 0 to 255 scale, so that no depth is lost before the resize.
What the file itself tells (size, mode, bytes) is kept beside the pixels, since on some
data sets it alone betrays the label and the audit wants to know.

Files of several frames are refused by name: taking one of them silently could be the wrong
one. (A phone's JPEG with a preview behind it, MPO, is one picture and is read.)
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from firstread.errors import FilmError, FilmTooLarge, FolderNotFound, UnreadableFilm
from firstread.film.exif import by_camera, upright
from firstread.film.grey import STRIP, colourfulness, deep_to_grey
from firstread.film.guard import check_scans
from firstread.film.heads import TIFF, check_head
from firstread.film.quiet import quiet
from firstread.film.shortage import ask_for, shortage

FILM_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
"""Endings taken for films when a folder is walked (lower case)."""

MAX_PIXELS = 64_000_000
"""Pixels beyond which a picture is refused: over three times a 43 cm detector at 0.1 mm."""

MAX_BYTES = 192 * 2**20
"""Size of file beyond which it is not read: MAX_PIXELS uncompressed at 24 bits each. With it a film
takes less than 1 GiB, bytes, pixels and all."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "DIB")
"""The only Pillow decoders a film may reach; every other one is attack surface."""

OURS = "Software", "firstread"
"""A PNG's text (keyword, value) by which an overlay of ours is known: it is no film."""

CHANNEL = 2
"""Bytes a pixel and channel that decoding may take beside the picture: a progressive JPEG's
coefficients, which are of its full size where it is drafted too, or a TIFF that is one strip."""

_LOOK_AT = 256
"""Rows and columns looked at for shares of grey levels."""


@dataclass(frozen=True, eq=False)  # equal pixels are an array, which is neither true nor false
class Film:
    """A decoded film; equal to itself alone.

    `pixels`: (height, width), uint8 or float32, 0 black to 255 white.
    `width`, `height`: of the picture as shown upright, in pixels, before any reduced decode.
    `mode`: Pillow mode ("L", "RGB", "I;16", ...) or DICOM photometric interpretation.
    `format`: "JPEG", "PNG", "TIFF", "BMP" or "DICOM". `n_bytes`: size of the file.
    `colour`: how much colour is more than one tint, 0 to 255 (`grey.colourfulness`).
    `tags`: the DICOM tags a reader needs, never a name or an id.
    `camera`: the file tells of an exposure, as a camera's does (EXIF 2.32, 4.6.5).
    """

    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    width: int
    height: int
    mode: str
    format: str
    n_bytes: int
    colour: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    camera: bool = False

    def taken_at(self, size: tuple[int, int] | None) -> Film:
        """The film with the width and height it was taken at, where a table tells them."""
        return self if size is None else replace(self, width=size[0], height=size[1])

    @cached_property
    def grey_shares(self) -> npt.NDArray[np.float64]:
        """(256,) share of each grey level on rows and columns evenly spread, 256 or more of each.

        Kept, since more than one question is asked of it.
        """
        rows, columns = (max(1, side // _LOOK_AT) for side in self.pixels.shape)
        some = np.ascontiguousarray(self.pixels[::rows, ::columns]).astype(np.uint8, copy=False)
        return np.array(Image.fromarray(some).histogram()) / some.size


Before = Callable[[int], None]
"""Is told how many pixels a film is about to take memory for, and may wait for room."""


def decode(
    source: str | Path | bytes,
    reduce_to: int | None = None,
    before: Before = lambda pixels: None,
) -> Film:
    """Decode one film.

    `source`: a path, or the bytes of a file. `reduce_to`: if given, a JPEG may be decoded
    at a half, quarter or eighth of its size (Pillow's draft mode) as long as both sides
    stay at least twice this many pixels; about 1.5 times as fast, and with the resize
    that follows to 224 px 0.2 grey levels from the full decode on average, 1.4 on the
    worst of 260 films (benchmarks/copies.py). A DICOM film in JPEG 2000 may be, too
    (`firstread.film.jpeg2000`). `before`: called once the size is known.

    Raises `UnreadableFilm`, `FilmTooLarge`, `Shortage`, or `FolderNotFound` where there is no file.
    """
    data = source if isinstance(source, bytes) else read_bytes(Path(source))
    if looks_like_dicom(data):
        from firstread.film.dicom import decode_dicom

        return decode_dicom(data, reduce_to, before)
    return _decode_picture(data, reduce_to, before)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, a pipe or a device, at most `MAX_BYTES`; errors as of `decode`."""
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            if stat.S_ISREG(info.st_mode):
                if info.st_size > MAX_BYTES:
                    raise FilmTooLarge(_TOO_MANY_BYTES)
                return file.read()
            data = file.read(MAX_BYTES + 1)  # a pipe or a device tells no size
    except FileNotFoundError:
        raise FolderNotFound(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise UnreadableFilm("a folder, not a film") from None
    except (OSError, MemoryError) as e:
        why = getattr(e, "strerror", None)
        raise shortage(e) or UnreadableFilm(f"the file cannot be opened ({why})") from None
    except ValueError:
        raise UnreadableFilm("the file cannot be opened (a null byte in its name)") from None
    if len(data) > MAX_BYTES:
        raise FilmTooLarge(_TOO_MANY_BYTES)
    return data


_TOO_MANY_BYTES = f"the file is larger than {MAX_BYTES // 2**20} MiB; save the film by itself"


def looks_like_dicom(data: bytes) -> bool:
    """Whether the DICOM mark is there, or the first element of a file written without it."""
    if data[128:132] == b"DICM":
        return True
    # Group 0002 or 0008 in little endian, a small even element: no picture format begins so.
    return data[:2] in (b"\x02\x00", b"\x08\x00") and len(data) > 132 and data[3:4] == b"\x00"


def check_size(width: int, height: int) -> None:
    """Raise `FilmTooLarge` before memory is spent on a picture nobody took of a chest."""
    if width * height > MAX_PIXELS:
        raise FilmTooLarge(
            f"{width} x {height} pixels is more than the limit of {MAX_PIXELS:,}; "
            "save the film at its detector size"
        )


def _decode_picture(data: bytes, reduce_to: int | None, before: Before) -> Film:
    try:
        with quiet:
            check_head(data)
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            check_size(width, height)
            kind = {"DIB": "BMP", "MPO": "JPEG"}.get(str(image.format), str(image.format))
            mode = image.mode
            if kind == "PNG" and image.info.get(OURS[0]) == OURS[1]:
                from firstread.film.dicom import OWN_RESULT

                raise UnreadableFilm(OWN_RESULT)
            if _has_more(image, kind):
                raise UnreadableFilm(f"a {kind} file of several pictures; send single films")
            # A baseline picture of one component is read to the end of its first scan, no further.
            if kind == "JPEG" and (image.mode != "L" or "progressive" in image.info):
                check_scans(data)
            if reduce_to is not None and kind == "JPEG":
                image.draft(None, (2 * reduce_to, 2 * reduce_to))
            before(image.width * image.height)
            load(image, width * height)
            if _lower_bytes_lost(image, data, kind):
                _check_upper_bytes(image)
            if kind != "JPEG":  # not drafted; and only now is a TIFF turned upright
                width, height = image.size
            white_is_zero = kind == "TIFF" and _white_is_zero(image)
            camera = kind != "TIFF" and by_camera(image)
            image, turned = upright(image)
            if turned:
                width, height = height, width
            pixels, colour = _to_grey(image, white_is_zero)
    except FilmError:
        raise
    except Image.DecompressionBombError:
        raise FilmTooLarge(
            f"more pixels than the limit of {MAX_PIXELS:,}; save the film at its detector size"
        ) from None
    except Exception as e:  # Pillow's decoders raise nearly anything on broken bytes
        raise shortage(e) or UnreadableFilm(_why(e, data)) from None
    return Film(pixels, width, height, mode, kind, len(data), colour, camera=camera)


def load(image: Image.Image, pixels: int) -> None:
    """Decode a picture of so many `pixels`, before any reduction. Raises whatever Pillow does, and
    `MemoryError` where it may have had no memory for it."""
    try:
        image.load()
    except Exception as e:
        ask_for(CHANNEL * len(image.getbands()) * pixels, e)
        raise


def _has_more(image: Image.Image, kind: str) -> bool:
    """Whether the file holds another picture; without counting a TIFF's, which may be millions."""
    if kind != "TIFF":
        return kind != "JPEG" and int(getattr(image, "n_frames", 1)) > 1
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _lower_bytes_lost(image: Image.Image, data: bytes, kind: str) -> bool:
    """Whether Pillow has left out every value's lower byte, as it does of 16 bits in colour, or in
    grey with transparency. Raises `UnreadableFilm` for signed bytes, which it takes for others."""
    if kind == "PNG":
        return data[24] == 16 and data[25] != 0  # depth and kind of colour, in the first chunk
    if kind != "TIFF":
        return False
    tags = getattr(image, "tag_v2", {})
    bits, samples, signs = (np.max(tags.get(tag, 1)) for tag in (258, 277, 339))
    if bits == 8 and signs == 2:  # SampleFormat, TIFF 6.0 section 19
        raise UnreadableFilm("a TIFF of signed bytes; save it as 8 or 16 bit grey")
    return bool(samples > 1 and bits > 8)


def _check_upper_bytes(image: Image.Image) -> None:
    """Raise `UnreadableFilm` where the upper bytes are not the picture, which 14 bits or less hold:
    it would come out 4 or 16 times too dark."""
    ranges = dict(zip(image.getbands(), np.reshape(image.getextrema(), (-1, 2)), strict=True))
    if max(high for band, (_, high) in ranges.items() if band != "A") < 64:
        raise UnreadableFilm(
            "more than 8 bits in colour or with transparency, and not all 16 used; "
            "save it as 16 bit grey"
        )


def _why(error: Exception, data: bytes) -> str:
    if not data:
        return "the file is empty; copy it again"
    if isinstance(error, UnidentifiedImageError) and data[:4] in TIFF:
        return "a TIFF of a kind that is not read, or damaged; save it as 8 or 16 bit grey"
    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, TIFF, BMP or DICOM file; export the film in one of these"
    return f"the picture is damaged ({type(error).__name__}); copy or export it again"


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF deeper than 8 bits is stored inverted; Pillow sees to the others itself."""
    tags = getattr(image, "tag_v2", {})
    return _is_deep(image.mode) and tags.get(262) == 0  # PhotometricInterpretation, TIFF 6.0


def _is_deep(mode: str) -> bool:
    return mode in {"I", "F"} or mode.startswith("I;16")


def _to_grey(
    image: Image.Image, white_is_zero: bool = False
) -> tuple[npt.NDArray[np.uint8] | npt.NDArray[np.float32], float]:
    """Grey pixels on 0 to 255, and how colourful the picture was."""
    if _is_deep(image.mode):
        deep = np.empty((image.height, image.width), np.float32)
        for top, part in _strips(image):
            deep[top : top + part.height] = np.asarray(part)
        deep = deep_to_grey(deep, whole=image.mode != "F")
        return (np.subtract(np.float32(255), deep, out=deep) if white_is_zero else deep), 0.0
    grey = np.empty((image.height, image.width), np.uint8)
    plain = image.mode in {"1", "L"}
    for top, part in _strips(image):
        grey[top : top + part.height] = np.asarray((part if plain else _flat(part)).convert("L"))
    if plain:
        return grey, 0.0
    # Of a large picture every other pixel, or fewer, is plenty for its colour.
    step = 1 + int((image.width * image.height / STRIP) ** 0.5)
    size = max(1, image.width // step), max(1, image.height // step)
    some = image if step == 1 else image.resize(size, Image.Resampling.NEAREST)
    return grey, colourfulness(_flat(some))


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture some rows at a time: (first row, those rows)."""
    step = max(1, STRIP // image.width)
    for top in range(0, image.height, step):
        yield top, image.crop((0, top, image.width, min(image.height, top + step)))


def _flat(image: Image.Image) -> Image.Image:
    """The picture in RGB; transparent pixels are no tissue and black, as around a film."""
    if "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size)
        image.paste(rgba, mask=rgba.getchannel("A"))
    return image if image.mode == "RGB" else image.convert("RGB")
