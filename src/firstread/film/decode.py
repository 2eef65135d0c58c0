"""Bytes to grey pixels: JPEG, PNG, TIFF, BMP and DICOM.

`decode` returns a `Film`: a 2-D array of grey values, 0 black to 255 white, as a
radiologist would see it (air dark, bone white). 8-bit pictures stay uint8; deeper ones
become float32 on the same 0 to 255 scale, so that no depth is lost before the resize.
What the file itself tells (size, mode, bytes) is kept beside the pixels, since on some
data sets it alone betrays the label and the audit wants to know.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from firstread.errors import FilmTooLarge, FolderNotFound, UnreadableFilm

FILM_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
"""Endings taken for films when a folder is walked (lower case)."""

MAX_PIXELS = 100_000_000
"""Pixels beyond which a picture is refused: ten times the largest detector on the market."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "DIB")
"""The only Pillow decoders a film may reach; every other one is attack surface."""


@dataclass(frozen=True)
class Film:
    """A decoded film.

    `pixels`: (height, width), uint8 or float32, 0 black to 255 white.
    `width`, `height`: of the stored picture, in pixels, before any reduced decode.
    `mode`: Pillow mode ("L", "RGB", "I;16", ...) or DICOM photometric interpretation.
    `format`: "JPEG", "PNG", "TIFF", "BMP" or "DICOM". `n_bytes`: size of the file.
    `colour`: mean spread between colour channels, 0 to 255; 0 for a grey picture.
    `tags`: the DICOM tags a reader needs, never a name or an id.
    """

    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    width: int
    height: int
    mode: str
    format: str
    n_bytes: int
    colour: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)


def decode(source: str | Path | bytes, reduce_to: int | None = None) -> Film:
    """Decode one film.

    `source`: a path, or the bytes of a file. `reduce_to`: if given, a JPEG may be decoded
    at a half, quarter or eighth of its size (Pillow's draft mode) as long as both sides
    stay at least twice this many pixels; about 1.7 times as fast, and with the resize
    that follows not to be told from the full decode.

    Raises `UnreadableFilm`, `FilmTooLarge`, or `FolderNotFound` where there is no file.
    """
    data = source if isinstance(source, bytes) else _read_bytes(Path(source))
    if len(data) >= 132 and data[128:132] == b"DICM":
        from firstread.film.dicom import decode_dicom

        return decode_dicom(data)
    return _decode_picture(data, reduce_to)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FolderNotFound(f"{path}: no such file; check the path") from None
    except OSError as e:
        raise UnreadableFilm(f"{path.name}: cannot be opened ({e.strerror})") from None


def check_size(width: int, height: int) -> None:
    """Raise `FilmTooLarge` before memory is spent on a picture nobody took of a chest."""
    if width * height > MAX_PIXELS:
        raise FilmTooLarge(
            f"{width} x {height} pixels is more than the limit of {MAX_PIXELS:,}; "
            "save the film at its detector size"
        )


def _decode_picture(data: bytes, reduce_to: int | None) -> Film:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF and palette remarks; failures still raise
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            mode, kind = image.mode, str(image.format)
            check_size(width, height)
            if reduce_to is not None and kind == "JPEG":
                image.draft(None, (2 * reduce_to, 2 * reduce_to))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            pixels, colour = _to_grey(image)
    except (FilmTooLarge, Image.DecompressionBombError) as e:
        raise FilmTooLarge(str(e)) from None
    except MemoryError:
        raise FilmTooLarge("the picture does not fit into memory") from None
    except Exception as e:  # Pillow's decoders raise nearly anything on broken bytes
        raise UnreadableFilm(_why(e, data)) from None
    return Film(pixels, width, height, mode, "BMP" if kind == "DIB" else kind, len(data), colour)


def _why(error: Exception, data: bytes) -> str:
    if not data:
        return "the file is empty; copy it again"
    if "cannot identify" in str(error):
        return "not a JPEG, PNG, TIFF, BMP or DICOM file; export the film in one of these"
    return f"the picture is damaged ({type(error).__name__}); copy or export it again"


def _to_grey(
    image: Image.Image,
) -> tuple[npt.NDArray[np.uint8] | npt.NDArray[np.float32], float]:
    """Grey pixels on 0 to 255, and how colourful the picture was."""
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image).astype(np.float32)
        return _stretch_depth(deep), 0.0
    if image.mode == "F":
        return _stretch_depth(np.asarray(image, dtype=np.float32)), 0.0
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L")), 0.0
    if image.mode == "LA" or "transparency" in image.info or image.mode in {"RGBA", "PA", "La"}:
        rgba = image.convert("RGBA")
        # Transparent pixels are no tissue: show them as the black around a film.
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    rgb = image.convert("RGB")
    small = np.asarray(rgb.resize((64, 64), Image.Resampling.BOX)).astype(np.float32)
    colour = float((small.max(axis=2) - small.min(axis=2)).mean())
    return np.asarray(rgb.convert("L")), colour


def _stretch_depth(deep: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A picture deeper than 8 bits onto 0 to 255.

    A 16-bit PNG or TIFF does not say how many of its bits are used (10, 12 and 16 are all
    common), so the smallest such depth that holds the brightest pixel is taken.
    """
    if not np.isfinite(deep).all():
        raise ValueError("pixels that are no numbers")
    top = float(deep.max(initial=0.0))
    if 0.0 <= float(deep.min(initial=0.0)) and top <= 1.0:
        return deep * np.float32(255.0)
    for bits in (8, 10, 12, 14, 16):
        if top <= 2**bits - 1:
            return deep * np.float32(255.0 / (2**bits - 1))
    return deep * np.float32(255.0 / top)
