"""The ONE way from a decoded film to what a model sees.

Training, evaluation and reading all call `preprocess`; a bundle's card carries the
`Preprocess` record it was trained with, so that there is no second way to get it wrong.

The film is squashed to a square with an antialiasing triangle filter. Squashing is the
plain choice for the data at hand, whose public 224 px copies are made so: an original squashed
here and stored as JPEG at quality 75 is its public copy, pixel for pixel, on all 260
originals at hand (benchmarks/copies.py). What is left between an original and its copy, a
mean of 1.6 of 255 levels, is that JPEG storage alone. The aspect ratio, which alone nearly
gives the label away in the Guangzhou set, is thereby kept from the model except as
distortion.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from firstread.film.decode import Film


@dataclass(frozen=True)
class Preprocess:
    """How films are made ready. `size`: side of the square in pixels."""

    size: int = 224

    @property
    def key(self) -> str:
        """A short name that changes whenever the pixels might; keys the decode-once cache."""
        text = json.dumps({"version": 1, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def preprocess(film: Film, how: Preprocess) -> npt.NDArray[np.uint8]:
    """A decoded film as a (size, size) uint8 array, 0 black to 255 white.

    >>> film = Film(np.full((30, 40), 7, np.uint8), 40, 30, "L", "PNG", 99)
    >>> preprocess(film, Preprocess(size=16)).shape
    (16, 16)
    """
    image = Image.fromarray(film.pixels)  # mode "L" for uint8, "F" for float32
    square = image.resize((how.size, how.size), Image.Resampling.BILINEAR)
    if film.pixels.dtype == np.uint8:
        return np.array(square, dtype=np.uint8)
    out: npt.NDArray[np.uint8] = np.clip(np.rint(np.asarray(square)), 0, 255).astype(np.uint8)
    return out
