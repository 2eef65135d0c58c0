"""Films that the gate learns from: good ones as others take them, made worse, and bad ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from firstread.evaluate.corruptions import FAMILIES, corrupt
from firstread.train.augment import augment
from firstread.train.strengths import Augment

Films = npt.NDArray[np.uint8]

STRENGTH = 3
"""Of the corruptions among the good films, of 5."""

LOST = (0.35, 0.55)
"""Share of the film's height or width that a cut film lacks, from and to. No kind of the probe:
with one of their own, the probe on the last features told lateral views worse."""

OTHERWISE = Augment(crop=(0.5, 1.0), stretch=1.16, gamma=0.5, brightness=0.3, contrast=0.3)
"""How another house may take and develop a good film."""

FRAMED, EDGE = 0.5, 0.15
"""Share of such films with a frame, and its greatest width at a side, as a share of the film's:
a collimator leaves one, white or black, and a digitiser. Adults of another hospital were turned
away for theirs."""


def spoilt(films: Films, kind: str, rng: np.random.Generator) -> Films:
    """Films (n, s, s) made bad: a kind of `KINDS`, or "cut"."""
    if kind == "cut":
        return np.stack([_cut(film, rng) for film in films])
    turns = {"left": 1, "upside down": 2, "right": 3}
    if kind in turns:
        return np.ascontiguousarray(np.rot90(films, turns[kind], (1, 2)))
    return np.asarray(255 - films)


def _cut(film: Films, rng: np.random.Generator) -> Films:
    """A film without a part of it at one side, at the size it had."""
    size = len(film)
    kept = size * (1 - rng.uniform(*LOST))
    boxes = {
        "right": (0.0, 0.0, kept, float(size)),
        "left": (size - kept, 0.0, float(size), float(size)),
        "bottom": (0.0, 0.0, float(size), kept),
        "top": (0.0, size - kept, float(size), float(size)),
    }
    box = boxes[rng.choice(list(boxes))]
    whole = Image.fromarray(film).resize((size, size), Image.Resampling.BILINEAR, box)
    return np.asarray(whole)


def worse(films: Films, rng: np.random.Generator) -> Films:
    """Each film with one corruption, all kinds in turn."""
    kinds = list(FAMILIES)
    return np.stack(
        [corrupt(film, kinds[i % len(kinds)], STRENGTH, rng) for i, film in enumerate(films)]
    )


def otherwise(films: Films, rng: np.random.Generator) -> Films:
    """Good films (n, s, s) as another house would take them: other fields, tones and frames."""
    torch_rng = torch.Generator().manual_seed(int(rng.integers(2**31)))
    scaled = torch.from_numpy(films).unsqueeze(1).float() / 255
    taken = augment(scaled, OTHERWISE, films.shape[-1], torch_rng)
    made = (taken.squeeze(1) * 255).round().to(torch.uint8).numpy()
    for i in np.flatnonzero(rng.random(len(films)) < FRAMED):
        made[i] = _framed(made[i], rng)
    return made


def _framed(film: Films, rng: np.random.Generator) -> Films:
    """A film (s, s) shrunk into a frame of one level: black, white or a grey."""
    size = len(film)
    widths = rng.uniform(0, EDGE, 4) * (rng.random(4) < 0.7) * size
    top, bottom, left, right = (int(width) for width in widths)
    level = rng.choice([0, 255, int(rng.integers(256))], p=[0.5, 0.3, 0.2])
    inside = (size - left - right, size - top - bottom)
    out = np.full_like(film, level)
    shrunken = Image.fromarray(film).resize(inside, Image.Resampling.BILINEAR)
    out[top : size - bottom, left : size - right] = np.asarray(shrunken)
    return out
