"""Does an opinion hold when the film gets worse? Thirteen corruptions, five strengths each.

The corruptions and their strengths are those of PneumoniaMNIST-C (Di Salvo, Doerrich, Ledig:
MedMNIST-C, arXiv:2406.17536, 2024), written anew from their description, here for films of any
size. They are applied to the film at 224 px, for which they are meant, or at the model's own size
where that is larger; a model that reads less gets the film shrunk after it, as it would get one
that came so.

What is faithful needs a word, since the original works on grey films made RGB. It draws noise for
each channel on its own, cuts each to whole levels (towards zero) and goes back to grey by luma
weights, which averages the three draws: what remains is 0.67 of the stated strength, here too. All
else treats the channels alike, so on grey it is the same as on RGB, JPEG too: three equal channels
are stored as that grey and two flat chroma planes (a test holds them equal, pixel for pixel).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from firstread.cohort.cache import prepared
from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.evaluate.intervals import DRAWS, Estimate, Sampler, mix
from firstread.evaluate.metrics import Bools
from firstread.film.decode import Film
from firstread.film.preprocess import Preprocess, preprocess

if TYPE_CHECKING:
    from firstread.read.reader import Reader

Pixels = npt.NDArray[np.uint8]

FAMILIES: dict[str, tuple[float, ...]] = {
    "pixelate": (0.8, 0.7, 0.6, 0.5, 0.4),  # side that is left, as a factor
    "jpeg_compression": (50, 30, 15, 10, 7),  # quality
    "gaussian_noise": (0.04, 0.05, 0.06, 0.07, 0.08),  # standard deviation on [0, 1]
    "speckle_noise": (0.05, 0.07, 0.10, 0.15, 0.20),  # the same, times the pixel's grey
    "impulse_noise": (0.005, 0.01, 0.013, 0.017, 0.02),  # share of pixels, half of them white
    "shot_noise": (300, 200, 150, 100, 80),  # photons at white
    "gaussian_blur": (3, 5, 7, 9, 11),  # side of the kernel in pixels
    "brightness_up": (1.1, 1.2, 1.3, 1.4, 1.5),  # factors, from here on
    "brightness_down": (0.9, 0.8, 0.7, 0.6, 0.5),
    "contrast_up": (1.1, 1.2, 1.3, 1.4, 1.6),
    "contrast_down": (0.9, 0.8, 0.7, 0.6, 0.4),
    "gamma_corr_up": (1.1, 1.2, 1.3, 1.4, 1.6),  # exponents on [0, 1]: up is darker
    "gamma_corr_down": (0.9, 0.8, 0.7, 0.6, 0.4),
}
"""Each corruption with its five strengths, mildest first (MedMNIST-C, table of PneumoniaMNIST)."""

FAMILY_GROUPS: dict[str, tuple[str, ...]] = {
    "digital": ("pixelate", "jpeg_compression"),
    "noise": ("gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise"),
    "blur": ("gaussian_blur",),
    "brightness": ("brightness_up", "brightness_down"),
    "contrast": ("contrast_up", "contrast_down"),
    "gamma": ("gamma_corr_up", "gamma_corr_down"),
}
"""Corruptions that are left out of a training together, since each prepares for its kin."""

FULL = 224
"""Least side of the films that are made worse, in pixels."""

STRENGTHS = 5


def corrupt(pixels: Pixels, family: str, strength: int, rng: np.random.Generator) -> Pixels:
    """A film made worse: uint8 (s, s) to uint8 (s, s); `pixels` is not changed.

    `family`: a name of `FAMILIES`; `strength`: 1 to 5; `rng`: drawn from by the four noises
    only. Raises ValueError for any other word or strength.
    """
    if family not in FAMILIES:
        raise ValueError(f"no corruption {family!r}; there are {', '.join(FAMILIES)}")
    if strength not in range(1, STRENGTHS + 1):
        raise ValueError(f"strength {strength} is not 1 to {STRENGTHS}")
    much = FAMILIES[family][strength - 1]
    if family in FAMILY_GROUPS["noise"]:
        return _noisy(pixels, family, much, rng)
    if family == "gaussian_blur":
        return _blurred(pixels, int(much))
    if family.startswith("gamma"):
        levels = (255.0 * (np.arange(256) / 255.0) ** much).astype(np.uint8)
        return np.asarray(levels[pixels])
    image = Image.fromarray(pixels)
    if family == "pixelate":
        small = image.resize((max(1, int(much * image.width)),) * 2, Image.Resampling.BOX)
        image = small.resize(image.size, Image.Resampling.BOX)
    elif family == "jpeg_compression":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(much))
        image = Image.open(file)
    elif family.startswith("brightness"):
        image = ImageEnhance.Brightness(image).enhance(much)
    else:
        image = ImageEnhance.Contrast(image).enhance(much)
    return np.array(image, dtype=np.uint8)


def shrunk(film: Pixels, size: int) -> Pixels:
    """A film (s, s) at the size that a model reads, by the one preprocessing."""
    if len(film) == size:
        return film
    return preprocess(Film(film, len(film), len(film), "L", "PNG", 0), Preprocess(size))


def _noisy(pixels: Pixels, family: str, much: float, rng: np.random.Generator) -> Pixels:
    film = np.repeat(pixels[..., None], 3, axis=2)
    if family == "impulse_noise":
        hit = rng.random(film.shape, np.float32) < much
        white = rng.random(film.shape, np.float32) < 0.5
        return _grey(np.where(hit, np.where(white, 255, 0), film).astype(np.uint8))
    x = film.astype(np.float32) / np.float32(255)
    if family == "shot_noise":
        x = rng.poisson(x * much).astype(np.float32) / np.float32(much)
    else:
        drawn = rng.standard_normal(x.shape, np.float32) * np.float32(much)
        x = x + (drawn * x if family == "speckle_noise" else drawn)
    return _grey((np.clip(x, 0, 1) * 255).astype(np.uint8))


def _grey(film: Pixels) -> Pixels:
    """(s, s, 3) to (s, s)."""
    return np.array(Image.fromarray(film).convert("L"), dtype=np.uint8)


def _blurred(pixels: Pixels, kernel: int) -> Pixels:
    """Gaussian blur with torchvision's width for a kernel's side, mirrored at the borders."""
    half, sigma = kernel // 2, 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    weights /= weights.sum()
    x = pixels.astype(np.float32)
    for _ in range(2):  # along the columns, and turned once along the rows
        padded = np.pad(x, ((half, half), (0, 0)), mode="reflect")
        x = sum(
            (np.float32(w) * padded[i : i + len(x)] for i, w in enumerate(weights)),
            np.zeros_like(x),
        ).T
    return np.rint(x).astype(np.uint8)


def corruption_study(
    bundle_path: Path | None,
    cohort: Cohort,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Balanced error of a bundle at its own threshold under every corruption and strength.

    `bundle_path`: a bundle folder, None for the one shipped. `seed`: of the noise and of the
    bootstrap; each film, family and strength has a generator of its own, so that a result does
    not depend on order or threads. `progress` is called with (done, all) films. Fields, where E
    is an estimate as in `firstread.evaluate.result`::

        families    [{"name", "group", "strengths", "balanced_error": [5 numbers], "mean": E}]
        groups      {group: E}: mean over its families and their strengths
        mean_balanced_error    E: mean over the 65
        clean       E: without any corruption
        noise seed how

    Raises `BundleError`, and `DataError` where a film has no label or a class is missing.
    """
    from firstread.read.engine import JUDGED_BY
    from firstread.read.reader import Reader

    labels = cohort.labels
    if set(labels.tolist()) != {0, 1}:
        raise DataError(
            "corruptions need labelled films of both classes; check the labels of --data"
        )
    reader = Reader(bundle_path, engine=JUDGED_BY)
    size = reader.bundle.card.preprocess.size
    wrong = np.ones((len(cohort), 1 + len(FAMILIES) * STRENGTHS), bool)
    for i, calls in enumerate(_calls(reader, cohort, seed)):
        if calls is not None:
            wrong[i] = calls != (labels[i] == 1)
        if progress is not None:
            progress(i + 1, len(cohort))
    sampler, truth = Sampler(cohort.patients, seed, draws), labels == 1
    corrupted = wrong[:, 1:].reshape(len(cohort), len(FAMILIES), STRENGTHS)
    names, group_of = list(FAMILIES), {f: g for g, fs in FAMILY_GROUPS.items() for f in fs}
    return {
        "families": [
            {
                "name": name,
                "group": group_of[name],
                "strengths": list(FAMILIES[name]),
                "balanced_error": [
                    _balanced_error(truth, corrupted[:, i, k]) for k in range(STRENGTHS)
                ],
                "mean": _estimate(sampler, truth, corrupted[:, i]).to_json(),
            }
            for i, name in enumerate(names)
        ],
        "groups": {
            group: _estimate(
                sampler, truth, corrupted[:, [names.index(f) for f in families]]
            ).to_json()
            for group, families in FAMILY_GROUPS.items()
        },
        "mean_balanced_error": _estimate(sampler, truth, corrupted).to_json(),
        "clean": _estimate(sampler, truth, wrong[:, 0]).to_json(),
        "noise": "rgb",
        "seed": seed,
        "how": "balanced error, 1 - (sensitivity + specificity) / 2, at the bundle's own threshold "
        f"under {len(FAMILIES)} corruptions of {STRENGTHS} strengths (those of PneumoniaMNIST-C, "
        f"arXiv:2406.17536) of the film at {max(FULL, size)} px; noise drawn "
        "for each of three channels, then made grey; a rejected film is an error throughout",
    }


def _calls(reader: Reader, cohort: Cohort, seed: int) -> Iterator[Bools | None]:
    """For each film whether it is called pneumonia: clean, then under each corruption (66,).

    None for a film that is rejected as it is. Each corrupted film is a run of its own, as in the
    reader, which says why; so the clean column is exactly what a reader would say.
    """
    from concurrent.futures import ThreadPoolExecutor

    from firstread.read.engine import INPUT, OUTPUTS

    card, session = reader.bundle.card, reader.session
    how = card.preprocess

    def called(pixels: Pixels) -> bool:
        logit = session.run([OUTPUTS[0]], {INPUT: pixels[None]})[0][0]
        return card.probability(float(logit)) >= card.threshold

    def one(i: int) -> Bools | None:
        film = reader.read(cohort.rows[i], heat=False)
        if film.decision == "rejected" or film.probability is None or film.pixels is None:
            return None
        calls = [film.probability >= card.threshold]
        large = film.pixels
        if how.size < FULL:
            large = prepared(cohort.rows[i], replace(how, size=FULL))
        for f, family in enumerate(FAMILIES):
            for strength in range(1, STRENGTHS + 1):
                rng = np.random.default_rng([seed, i, f, strength])
                worse = corrupt(large, family, strength, rng)
                calls.append(called(shrunk(worse, how.size)))
        return np.array(calls, bool)

    with ThreadPoolExecutor(reader.threads) as pool:
        yield from pool.map(one, range(len(cohort)))


def _estimate(sampler: Sampler, truth: Bools, wrong: Bools) -> Estimate:
    """The mean balanced error of `wrong` (n, ...), over all that stands beside a film."""
    table = wrong.reshape(len(truth), -1)
    share = table.mean(axis=1)
    return mix(sampler.mean_within(share, truth), sampler.mean_within(share, ~truth))


def _balanced_error(truth: Bools, wrong: Bools) -> float:
    return float((wrong[truth].mean() + wrong[~truth].mean()) / 2)
