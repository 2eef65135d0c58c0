"""Chest films that nobody took: a generator fitted on real films, to show without showing one.

No real film may be in the package, yet a demo needs films. The films of one class are laid
over one another (`firstread.cohort.alignment`), then described by two Gaussians: one over the
principal components of their grey values (eigenfaces: Turk & Pentland, 1991), one over those
of their shapes, as in active appearance models (Cootes, Edwards & Taylor, 1998). A drawn
film has coefficients no real film had, within 1.5 sd of the mean; what the components leave
out comes back as grain with the residual's spectrum, strength and random phases. A sharp and
plausible chest comes out, of no child. How close it came to a real film is measured by
`closest`, as a correlation of 64 px thumbnails (a real film's nearest neighbour in
the Guangzhou set: 0.91 in the median, 0.97 at the 99th percentile).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from firstread.cohort import alignment
from firstread.cohort.alignment import Floats

SIDE = 224
"""Side of the films the generator is fitted on, in pixels."""
THUMB = 64
"""Side of the thumbnails that `closest` compares."""
LIMIT = 0.97
"""A drawn film whose thumbnail correlates with a real one's as much as this is thrown away."""
CLIP = 1.5
"""Coefficients are cut at this many sd: the far tail holds the ghosts."""
MARGIN = 0.04
"""Cut from each edge of a drawn film, where aligned films had to be continued."""


@dataclass(frozen=True)
class Taste:
    """How films are drawn. `textures`, `shapes`: components used; `spread`, `bend`: their sds
    as a share of the fitted ones; `grain`: strength of the residual grain, 1 as in the films.
    """

    textures: int = 160
    shapes: int = 12
    spread: float = 1.0
    bend: float = 0.8
    grain: float = 0.35


CLASSES = ("NORMAL", "PNEUMONIA")
TASTES = {"NORMAL": Taste(), "PNEUMONIA": Taste(textures=120, spread=1.2)}
"""Chosen by eye on sheets of draws. Sick chests differ from their mean more than well ones, and
at 1 sd the clouds of many films average to a haze."""


@dataclass(frozen=True)
class Eigenfilms:
    """The fitted generator of one class.

    `mean`: (SIDE, SIDE) grey values of the aligned films; `textures`: (k, SIDE, SIDE)
    components, each one sd long; `shape`: (2, ORDER²) mean waves; `shapes`: (m, 2, ORDER²),
    each one sd long; `spectrum`: (SIDE, SIDE // 2 + 1) amplitude of the residual, unit
    variance; `roughness`: (SIDE, SIDE) sd of the residual in grey values; `n`: films fitted.
    """

    mean: Floats
    textures: Floats
    shape: Floats
    shapes: Floats
    spectrum: Floats
    roughness: Floats
    n: int

    def draw(self, rng: np.random.Generator, size: tuple[int, int], taste: Taste) -> Image.Image:
        """One film as a grey picture of `size` (width, height)."""
        a = _coefficients(rng, min(taste.textures, len(self.textures))) * taste.spread
        b = _coefficients(rng, min(taste.shapes, len(self.shapes))) * taste.bend
        film = self.mean + np.tensordot(a, self.textures[: len(a)], 1)
        phases = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
        grain = np.fft.irfft2(phases * self.spectrum, s=(SIDE, SIDE)).astype(np.float32)
        film = film + taste.grain * self.roughness * grain
        waves = self.shape + np.tensordot(b, self.shapes[: len(b)], 1)
        film = alignment.warp(film, *alignment.inverse(*alignment.field(waves, SIDE)))
        cut = round(MARGIN * SIDE)
        image = Image.fromarray(film[cut:-cut, cut:-cut])
        square = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
        return Image.fromarray(np.clip(np.rint(square), 0, 255).astype(np.uint8))


def fit(
    films: npt.NDArray[np.uint8], how: alignment.Alignment, components: int = 200
) -> Eigenfilms:
    """Fit the generator of one class on aligned films.

    `films`: uint8 (n, SIDE, SIDE); `how`: their alignment. Films that were bent badly, and
    the tenth that fits the template worst, are left out. The components come from the n x n
    Gram matrix (the snapshot method), so that memory holds the films once as float32.
    """
    good = np.flatnonzero(how.sound & (how.fit > np.quantile(how.fit, 0.1)))
    if len(good) < 3:
        raise ValueError(f"{len(good)} films could be aligned; at least 3 are needed")
    waves, n = how.waves[good], len(good)
    x = np.empty((n, SIDE * SIDE), np.float32)
    for row, i in zip(x, good, strict=True):
        ux, uy = alignment.field(how.waves[i], SIDE)
        row[:] = alignment.warp(films[i].astype(np.float32), ux, uy).ravel()
    mean = x.mean(axis=0)
    x -= mean
    textures, scores = _principal(x, components)
    shapes, _ = _principal((waves - waves.mean(axis=0)).reshape(n, -1), 40)
    x -= scores @ textures  # from here on the residual
    roughness = alignment.low_pass(x.std(axis=0).reshape(SIDE, SIDE), 3.0) + np.float32(1e-3)
    power = np.zeros((SIDE, SIDE // 2 + 1))
    for row in x:
        power += np.abs(np.fft.rfft2(row.reshape(SIDE, SIDE) / roughness)) ** 2
    power[0, 0] = 0
    spectrum = np.sqrt(power / n) / SIDE  # white noise through it comes out with unit variance
    return Eigenfilms(
        mean.reshape(SIDE, SIDE),
        textures.reshape(-1, SIDE, SIDE),
        waves.mean(axis=0),
        shapes.reshape(-1, 2, waves.shape[-1]),
        spectrum.astype(np.float32),
        roughness,
        n,
    )


def fit_classes(
    normal: npt.NDArray[np.uint8], pneumonia: npt.NDArray[np.uint8]
) -> tuple[Eigenfilms, Eigenfilms]:
    """Both generators; sick chests are aligned to the well, whose ribs are easier to see."""
    well = alignment.align(normal)
    first = fit(normal, well)
    return first, fit(pneumonia, alignment.align(pneumonia, well.templates))


def thumbnail(image: Image.Image) -> Floats:
    """A film squashed to THUMB x THUMB by box averaging: float32 (THUMB²,), mean 0, length 1."""
    small = np.asarray(image.convert("L").resize((THUMB, THUMB), Image.Resampling.BOX))
    flat = small.astype(np.float32).ravel()
    flat = flat - flat.mean()
    out: Floats = flat / max(float(np.linalg.norm(flat)), 1e-6)
    return out


def closest(image: Image.Image, thumbnails: Floats) -> float:
    """Highest correlation of a film with any of `thumbnails` (n, THUMB²)."""
    return float((thumbnails @ thumbnail(image)).max())


def mark(image: Image.Image) -> Image.Image:
    """The film with small letters at its lower left edge, as real ones carry an R or an L."""
    marked, text = image.copy(), "SYNTHETIC"
    pen = ImageDraw.Draw(marked)
    font = ImageFont.load_default(9)
    _, _, _, height = pen.textbbox((0, 0), text, font=font)
    at = (4, image.height - height - 3)
    pen.text(at, text, fill=225, font=font, stroke_width=1, stroke_fill=25)
    return marked


def _coefficients(rng: np.random.Generator, k: int) -> Floats:
    return np.clip(rng.standard_normal(k), -CLIP, CLIP).astype(np.float32)


def _principal(x: Floats, k: int) -> tuple[Floats, Floats]:
    """Principal components of centred rows x (n, d): (k, d), each one sd long, and the scores.

    Signs are fixed (largest entry of the scores positive), so that a seed draws the same
    films wherever the components are found.
    """
    _, vectors = np.linalg.eigh((x @ x.T).astype(np.float64))
    k = min(k, len(x) - 1)
    top = vectors[:, ::-1][:, :k]
    top = top * np.sign(top[np.abs(top).argmax(axis=0), np.arange(k)])
    root_n = np.sqrt(len(x))
    components = (top.T / root_n).astype(np.float32) @ x
    return components, (top * root_n).astype(np.float32)
