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

The other frame, "centre", takes the square in the middle at the film's own aspect, as
PneumoniaMNIST does (Yang et al. 2023, doi:10.1038/s41597-022-01721-8). A film whose pixels were
squashed before is set right by its `width` and `height`, where those tell its true size.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from firstread.film.box import WHOLE, Box
from firstread.film.decode import Film

FRAMES = ("squash", "centre")
"""What of a film becomes the square: all of it, squashed; or the square in its middle."""


@dataclass(frozen=True)
class Preprocess:
    """How films are made ready. `size`: side of the square in pixels. `frame`: one of `FRAMES`.

    `through`: where it is larger than `size`, a film is squashed to that side first, and its square
    shrunk to `size`. A model that learnt from films of 224 px at a smaller size met none shrunk at
    once, which leaves more fine detail.
    """

    size: int = 224
    frame: str = "squash"
    through: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As it stands on a card; what is as ever is left out, so that no old card changes."""
        told: dict[str, Any] = {"size": self.size}
        if self.frame != "squash":
            told["frame"] = self.frame
        if self.through > self.size:
            told["through"] = self.through
        return told

    @property
    def first(self) -> int:
        """Side of the square that a film is resampled to first; no less may be decoded of it."""
        return max(self.size, self.through)

    @property
    def key(self) -> str:
        """A short name that changes whenever the pixels might; keys the decode-once cache."""
        text = json.dumps({"version": 1, **self.to_dict()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def preprocess(film: Film, how: Preprocess) -> npt.NDArray[np.uint8]:
    """A decoded film as a (size, size) uint8 array, 0 black to 255 white.

    >>> film = Film(np.full((30, 40), 7, np.uint8), 40, 30, "L", "PNG", 99)
    >>> preprocess(film, Preprocess(size=16)).shape
    (16, 16)
    """
    image = Image.fromarray(film.pixels)  # mode "L" for uint8, "F" for float32
    rows, columns = film.pixels.shape
    left, top, right, bottom = seen_box(film, how)
    box = (left * columns, top * rows, right * columns, bottom * rows)
    square = image.resize((how.first, how.first), Image.Resampling.BILINEAR, box)
    if film.pixels.dtype != np.uint8:
        square = Image.fromarray(np.clip(np.rint(np.asarray(square)), 0, 255).astype(np.uint8))
    return np.array(square.resize((how.size, how.size), Image.Resampling.BILINEAR), np.uint8)


def seen_box(film: Film, how: Preprocess) -> Box:
    """What of a film `how` shows: left, top, right and bottom as shares of its width and height."""
    if how.frame != "centre":
        return WHOLE
    aspect = film.width / film.height
    across, down = min(1.0, 1 / aspect), min(1.0, aspect)
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2
