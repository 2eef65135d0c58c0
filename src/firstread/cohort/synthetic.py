"""Films that nobody was exposed for: drawn chests to test with.

A frontal chest from simple anatomy: a body, two dark lungs between ribs, a spine, a heart
that leans to the picture's right, clavicles, sometimes arms and a bright border. Pneumonia
adds soft patches inside the lungs, which also swallow the faint vessel texture under them.
Posture, size, exposure, contrast, noise and sharpness vary for both classes alike, so that
a small network learns the difference in seconds while mean brightness tells little of it
(AUC under 0.75, held by a test). Nothing here was measured on a patient and nothing a
model scores on these films says anything about real ones.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from firstread.film.files import write_atomic

Grid = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

JPEG_QUALITY = 90
NUMBERS = 1000
"""Patient numbers of each series that a part of a seed has for itself."""
MOST = 2 * NUMBERS
"""Films a class, in two series, that these numbers do for even if no patient has two."""


def draw_film(rng: np.random.Generator, pneumonia: bool, size: int = 224) -> Pixels:
    """One synthetic chest: (size, size) uint8, 0 black to 255 white.

    The same generator state and size give the same chest, ill or well: only the patches
    differ. `size` must be 16 or more.

    >>> draw_film(np.random.default_rng(0), True, 64).shape
    (64, 64)
    """
    if size < 16:
        raise ValueError(f"size {size}: a synthetic chest needs 16 pixels or more")
    x, y = _posture(rng, size)
    body = _body(rng, x, y)
    lungs, depth = _lungs(rng, x, y)
    vessels = _cloud(rng, 56, size)
    air = rng.uniform(0.30, 0.40) + 0.022 * vessels
    illness = np.random.default_rng(int(rng.integers(2**62)))  # drawn for the well as well
    if pneumonia:
        patch = _opacities(illness, x, y, depth)
        air = air * (1 - patch) + 0.04 * patch
    haze = rng.uniform(0.0, 0.06)  # a breath not held looks hazy all over, ill or not
    film = body - lungs * (air - haze)
    film = np.maximum(film, _heart_and_spine(rng, x, y, body))
    film = film + _bones(rng, x, y) * np.minimum(body * 2, 1)
    return _expose(rng, film, size)


def write_folder(
    root: Path, n_per_class: int, seed: int = 0, size: int = 224, part: str | None = None
) -> Path:
    """Write `n_per_class` normal and as many pneumonia films below `root`; returns `root`.

    Names and folders are those of the Guangzhou set: root/[part/]NORMAL/IM-0001-0001.jpeg
    and NORMAL2-IM-0001-0001.jpeg in turn, root/[part/]PNEUMONIA/person1_bacteria_1.jpeg and
    person1_virus_2.jpeg in turn; as there, the numbers count separately in each of the four
    series, about every third patient has several films, and films of one patient share
    their posture no more than strangers do. JPEG quality 90. The same arguments give the
    same bytes; another seed, and each of train, val and test, has films and patients of its own.
    Raises `ValueError` for more than `MOST` films a class, for whose patients there are no numbers
    of their own, and `OutputError` where `root` cannot be written.
    """
    if n_per_class > MOST:
        raise ValueError(
            f"{n_per_class} films a class: one seed draws at most {MOST}; add another seed's"
        )
    words = [seed, *(part or "").encode()]
    rng = np.random.default_rng(words)
    base = root / part if part else root
    # Parts count on from different numbers, so that no patient is on two sides by accident.
    block = {"train": 0, "val": 1, "test": 2}.get(part or "train", 3) + 4 * seed
    first = 1 + NUMBERS * block
    for pneumonia, folder in ((False, "NORMAL"), (True, "PNEUMONIA")):
        for name in _names(rng, pneumonia, n_per_class, first):
            stream = io.BytesIO()
            picture = Image.fromarray(draw_film(rng, pneumonia, size))
            picture.save(stream, "JPEG", quality=JPEG_QUALITY)
            place = base / folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(place, stream.getvalue())
    return root


def _names(rng: np.random.Generator, pneumonia: bool, n: int, first: int) -> list[str]:
    """`n` file names, half in each series of the class, with several films for some patients."""
    names: list[str] = []
    for series in (0, 1):
        number, film = first, 0
        for i in range(n // 2 + (n % 2 if series == 0 else 0)):
            # The second film always belongs to the first patient: even a tiny folder has one.
            if i and i != 1 and rng.random() < 0.7:
                number, film = number + 1, 0
            film += 1
            if pneumonia:
                names.append(f"person{number}_{('bacteria', 'virus')[series]}_{i + 1}.jpeg")
            else:
                names.append(f"{('IM', 'NORMAL2-IM')[series]}-{number:04d}-{film:04d}.jpeg")
    return names


def _posture(rng: np.random.Generator, size: int) -> tuple[Grid, Grid]:
    """The patient's own coordinates, about -1 to 1, for every pixel: shift, scale, tilt."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    angle = rng.normal(0, 0.05)
    x, y = x - rng.normal(0, 0.05), y - rng.normal(0, 0.05)
    x, y = (
        x * np.cos(angle) + y * np.sin(angle),
        y * np.cos(angle) - x * np.sin(angle),
    )
    x, y = x / rng.uniform(0.85, 1.1), y / rng.uniform(0.88, 1.1)
    return x.astype(np.float32), y.astype(np.float32)


def _inside(distance: npt.NDArray[np.floating], edge: float) -> Grid:
    """1 where `distance` is well below 1, 0 well above, soft over `edge`."""
    return np.asarray(1 / (1 + np.exp(np.clip((distance - 1) / edge, -30, 30))), dtype=np.float32)


def _body(rng: np.random.Generator, x: Grid, y: Grid) -> Grid:
    wide = rng.uniform(0.86, 1.0)
    trunk = (np.abs(x) / wide) ** 3 + (np.abs(y - 0.35) / 1.25) ** 4
    neck = (np.abs(x) / 0.26) ** 4 + (np.abs(y + 0.95) / 0.35) ** 4
    body = np.maximum(_inside(trunk, 0.06), _inside(neck, 0.08)) * rng.uniform(0.56, 0.66)
    if rng.random() < 0.6:  # arms up or beside the chest
        reach = rng.uniform(0.85, 1.0)
        arm = (np.abs(np.abs(x) - reach - 0.25 * y) / 0.16) ** 2
        body = np.maximum(body, 0.5 * np.exp(-arm).astype(np.float32))
    belly = 0.16 / (1 + np.exp(-(y - 0.62) / 0.08))  # liver and bowel below the diaphragm
    return np.asarray(body + belly * (body > 0.2), dtype=np.float32)


def _lungs(rng: np.random.Generator, x: Grid, y: Grid) -> tuple[Grid, Grid]:
    """How much lung each pixel shows (0 to 1), and how deep inside one it lies (0 to 1)."""
    lungs = np.zeros_like(x)
    depth = np.zeros_like(x)
    for side in (-1.0, 1.0):
        middle = side * rng.uniform(0.40, 0.46)
        half = rng.uniform(0.26, 0.32) - (0.03 if side > 0 else 0)
        high = rng.uniform(0.56, 0.66)
        lean = side * 0.14 * (y + 0.05)  # wider towards the base
        distance = (np.abs(x - middle - lean) / half) ** 2.4 + (np.abs(y + 0.05) / high) ** 2.6
        dome = 0.52 + rng.normal(0, 0.04) - 1.1 * (x - middle) ** 2  # the diaphragm
        lung = _inside(distance, 0.12) * _inside(y - dome + 1, 0.025)
        lungs = np.maximum(lungs, lung.astype(np.float32))
        depth = np.maximum(depth, np.clip(1 - distance, 0, 1) * (y < dome))
    return lungs, np.asarray(depth, dtype=np.float32)


def _opacities(rng: np.random.Generator, x: Grid, y: Grid, depth: Grid) -> Grid:
    """Two to five soft cloudy patches centred inside the lungs, 0 to 1."""
    patch = np.zeros_like(x)
    rows, columns = np.nonzero(depth > 0.25)
    cloud = _cloud(rng, 18, x.shape[0])
    for _ in range(int(rng.integers(2, 6))):
        at = int(rng.integers(len(rows))) if len(rows) else 0
        cx, cy = (x[rows[at], columns[at]], y[rows[at], columns[at]]) if len(rows) else (0.4, 0.0)
        rx, ry = rng.uniform(0.18, 0.38, 2)
        spot = np.exp(-(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2))
        spot = spot * np.clip(0.9 + 0.45 * cloud, 0, 1.3) * rng.uniform(0.65, 1.0)
        patch = np.maximum(patch, spot.astype(np.float32))
    return np.asarray(np.clip(patch, 0, 1), dtype=np.float32)


def _heart_and_spine(rng: np.random.Generator, x: Grid, y: Grid, body: Grid) -> Grid:
    """Mediastinum, heart and spine as one bright shape; 0 elsewhere."""
    wide = rng.uniform(0.11, 0.16)
    column = _inside((np.abs(x) / wide) ** 2, 0.25)
    big = rng.uniform(0.24, 0.33)
    heart = _inside(((x - 0.12) / big) ** 2 + ((y - 0.22) / (big * 1.05)) ** 2, 0.16)
    disc = 0.03 * np.sin(y * rng.uniform(28, 36)) * np.exp(-((x / 0.09) ** 2))
    return np.asarray(np.maximum(column, heart) * (0.70 + disc) * (body > 0.15), dtype=np.float32)


def _bones(rng: np.random.Generator, x: Grid, y: Grid) -> Grid:
    """Ribs and clavicles: faint bright arcs, for both sides."""
    out = np.zeros_like(x)
    away = np.abs(x)
    step, strength = rng.uniform(0.14, 0.17), rng.uniform(0.035, 0.075)
    start = -0.72 + rng.normal(0, 0.02)
    cage = _inside((away / 0.80) ** 4, 0.1) * (away > 0.08)
    for rib in range(9):
        behind = start + step * rib + 0.30 * (away - 0.12) ** 2 - 0.06 * away
        front = behind + 0.20 + 0.28 * (0.75 - away)  # the front arc runs down to the middle
        out += strength * np.exp(-(((y - behind) / 0.022) ** 2)) * cage
        out += 0.55 * strength * np.exp(-(((y - front) / 0.025) ** 2)) * cage * (away > 0.28)
    collar = -0.60 - 0.22 * (away - 0.1) + rng.normal(0, 0.015)
    out += 0.10 * np.exp(-(((y - collar) / 0.028) ** 2)) * ((away > 0.06) & (away < 0.72))
    return np.asarray(out, dtype=np.float32)


def _cloud(rng: np.random.Generator, cells: int, size: int) -> Grid:
    """Smooth noise of about unit spread whose lumps are 1 / `cells` of the picture wide."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    fine = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return np.asarray(fine / (fine.std() + 1e-6), dtype=np.float32)


def _expose(rng: np.random.Generator, film: Grid, size: int) -> Pixels:
    """Tube, film and scanner: uneven beam, contrast, exposure, blur, grain, a marker."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    beam = 1 + rng.normal(0, 0.05) * axis[None, :] + rng.normal(0, 0.05) * axis[:, None]
    film = np.clip(film * beam, 0, 1.2) ** rng.uniform(0.8, 1.25)
    film = film * rng.uniform(0.85, 1.2) + rng.uniform(-0.02, 0.08)
    grain = rng.standard_normal((size, size)) * rng.uniform(0.006, 0.022)
    if rng.random() < 0.5:  # a side marker
        high, wide = max(size // 28, 1), max(size // 40, 1)
        row, column = size // 12, int(rng.choice([size // 14, size - size // 9]))
        film[row : row + high, column : column + wide] = 0.95
    if rng.random() < 0.35:  # the edge of a cassette or crop
        edge = int(rng.integers(1, max(size // 16, 2)))
        film[:edge] = film[:, :edge] = rng.choice([0.0, 0.9])
    grey = np.clip((film + grain) * 255, 0, 255).astype(np.uint8)
    soft = ImageFilter.GaussianBlur(rng.uniform(0.2, 0.8) * size / 224)
    return np.array(Image.fromarray(grey).filter(soft))
