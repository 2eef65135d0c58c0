"""Chests laid over one another: each film is bent until its ribs lie on those of the mean.

Averages and principal components of films that do not lie over one another are ghosts. Here
each film gets a smooth displacement field, a sum of low cosine waves (Ashburner & Friston,
"Nonlinear spatial normalization using basis functions", 1999), found by Gauss-Newton steps
on the template's gradient (Baker & Matthews, "Lucas-Kanade 20 years on", 2004). The template
is the films' own mean, which sharpens as they fall into place (congealing: Learned-Miller,
"Data driven image models through continuous joint alignment", 2006); coarse waves come
first, the single rib last. Films are compared after division by their local contrast, so
that exposure and a white lung matter little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]

SIDE = 96
"""Films are aligned at this many pixels a side: a child's rib is then 3 to 4 pixels wide."""
ORDER = 12
"""Cosine waves a side in the finest displacement field."""
STIFFNESS = 0.02
"""Weight of the bending penalty against the mean curvature of the fit."""
BATCH = 64


@dataclass(frozen=True)
class Stage:
    """One pass. `order`: waves a side; `window`, `fine`: Gaussian sds in pixels between which
    detail is compared; `steps`: Gauss-Newton steps.
    """

    order: int
    window: float
    fine: float
    steps: int


STAGES = (
    Stage(3, 10, 1.0, 12),
    Stage(5, 10, 1.0, 12),
    Stage(8, 10, 1.0, 12),
    Stage(8, 10, 1.0, 8),
    *(Stage(12, 5, 0.8, 8),) * 4,
)


@dataclass(frozen=True)
class Alignment:
    """What `align` found for n films.

    `waves`: float32 (n, 2, ORDER * ORDER), the cosine coefficients of the x and y
    displacements as fractions of the film's side; `templates`: a (SIDE, SIDE) mean for each
    stage; `fit`: (n,) correlation of each bent film with the last template; `sound`: (n,)
    bool, films that were bent without folds and without reaching far beyond their edge.
    """

    waves: Floats
    templates: tuple[Floats, ...]
    fit: Floats
    sound: npt.NDArray[np.bool_]


def align(films: npt.NDArray[np.uint8], templates: tuple[Floats, ...] | None = None) -> Alignment:
    """Align films uint8 (n, h, w): to `templates` of an earlier call, or to their own mean."""
    n = len(films)
    small = shrink(films, SIDE)
    waves = np.zeros((n, 2, ORDER * ORDER), np.float32)
    basis, bending = cosine_basis(SIDE)
    fit = np.ones(n, np.float32)
    made: list[Floats] = []
    for i, stage in enumerate(STAGES):
        films_i = local_contrast(small, stage.window, stage.fine)
        if templates is not None:
            template = templates[i]
        else:
            best = fit >= np.median(fit)  # the half that fits best is the model for the rest
            waves -= waves[best].mean(axis=0)  # else the frame would wander
            template = _bent(films_i[best], waves[best], basis).mean(axis=0)
        made.append(template)
        waves = _gauss_newton(films_i, template, waves, basis, bending, stage)
        fit = _correlation(_bent(films_i, waves, basis), template)
    return Alignment(waves, tuple(made), fit, _sound(waves, basis))


def warp(film: Floats, ux: Floats, uy: Floats) -> Floats:
    """`film` (..., h, w) read at x + ux, y + uy (pixels, same shape), bilinear, edges held."""
    h, w = film.shape[-2:]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x = np.clip(x + ux, 0, w - 1.001)
    y = np.clip(y + uy, 0, h - 1.001)
    x0, y0 = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - x0, y - y0
    at = y0 * w + x0
    flat = film.reshape(-1)
    if film.ndim == 3:
        at = at + (np.arange(len(film)) * (h * w))[:, None, None]
    top = flat[at] * (1 - fx) + flat[at + 1] * fx
    low = flat[at + w] * (1 - fx) + flat[at + w + 1] * fx
    out: Floats = top * (1 - fy) + low * fy
    return out


def field(waves: Floats, side: int) -> tuple[Floats, Floats]:
    """Displacements (ux, uy) in pixels, each (side, side), of one film's waves (2, ORDER²)."""
    basis, _ = cosine_basis(side)
    ux, uy = (side * (waves @ basis)).reshape(2, side, side)
    return ux, uy


def inverse(ux: Floats, uy: Floats, steps: int = 12) -> tuple[Floats, Floats]:
    """The field that undoes (ux, uy), by fixed-point iteration v(y) = -u(y + v(y))."""
    vx, vy = -ux, -uy
    for _ in range(steps):
        vx, vy = -warp(ux, vx, vy), -warp(uy, vx, vy)
    return vx, vy


@lru_cache(maxsize=2)
def cosine_basis(side: int) -> tuple[Floats, Floats]:
    """(ORDER², side * side) products of cosines, and the squared frequency of each."""
    t = (np.arange(side) + 0.5) / side
    wave = np.cos(np.pi * np.arange(ORDER)[:, None] * t)
    basis = np.einsum("iy,jx->ijyx", wave, wave).reshape(ORDER * ORDER, side * side)
    k2 = np.arange(ORDER) ** 2
    return basis.astype(np.float32), (k2[:, None] + k2[None, :]).ravel().astype(np.float32)


def shrink(films: npt.NDArray[np.uint8], side: int) -> Floats:
    """Films (n, h, w) squashed to (n, side, side) by box averaging, float32."""
    return np.stack(
        [np.asarray(Image.fromarray(f).resize((side, side), Image.Resampling.BOX)) for f in films]
    ).astype(np.float32)


def low_pass(films: Floats, sd: float) -> Floats:
    """Gaussian blur of (..., h, w) with reflected edges; `sd` in pixels."""
    pad = int(3 * sd) + 1
    h, w = films.shape[-2:]
    wide = np.pad(films, [(0, 0)] * (films.ndim - 2) + [(pad, pad)] * 2, mode="reflect")
    fy = np.fft.fftfreq(wide.shape[-2])[:, None]
    fx = np.fft.rfftfreq(wide.shape[-1])[None]
    gain = np.exp(-2 * np.pi**2 * sd**2 * (fx**2 + fy**2))
    out = np.fft.irfft2(np.fft.rfft2(wide) * gain, s=wide.shape[-2:])
    return out[..., pad : pad + h, pad : pad + w].astype(np.float32)


def local_contrast(films: Floats, window: float, fine: float) -> Floats:
    """Films (n, h, w) less their local mean, over their local sd; 5 grey values are the floor."""
    out = np.empty_like(films)
    for i in range(0, len(films), BATCH):
        part = films[i : i + BATCH]
        part = part - low_pass(part, window)
        spread = np.sqrt(np.maximum(low_pass(part * part, window), 0) + 25)
        out[i : i + BATCH] = low_pass(part / spread, fine)
    return out


def _gauss_newton(
    films: Floats, template: Floats, waves: Floats, basis: Floats, bending: Floats, stage: Stage
) -> Floats:
    """One stage of `align`: the waves of every film after `stage.steps` damped steps."""
    k = np.arange(ORDER * ORDER)
    live = np.flatnonzero((k // ORDER < stage.order) & (k % ORDER < stage.order))
    gy, gx = np.gradient(template)
    jacobian = SIDE * np.concatenate([basis[live] * gx.ravel(), basis[live] * gy.ravel()])
    normal = (jacobian @ jacobian.T).astype(np.float64)
    penalty = STIFFNESS * (0.3 + bending[live] ** 2 / 20) * np.trace(normal) / len(normal)
    ridge = np.tile(penalty, 2)
    solve = np.linalg.inv(normal + np.diag(ridge)).astype(np.float32)
    ridge = ridge.astype(np.float32)
    waves = waves.copy()
    for i in range(0, len(films), BATCH):
        part, p = films[i : i + BATCH], waves[i : i + BATCH]  # p is a view: it is written to
        for _ in range(stage.steps):
            error = (_bent(part, p, basis) - template).reshape(len(part), -1)
            now = p[:, :, live].reshape(len(part), -1)
            step = 0.8 * (error @ jacobian.T + now * ridge) @ solve
            p[:, :, live] = (now - step).reshape(len(part), 2, -1)
    return waves


def _bent(films: Floats, waves: Floats, basis: Floats) -> Floats:
    """Films (n, SIDE, SIDE) read through their displacement fields."""
    out = np.empty_like(films)
    for i in range(0, len(films), BATCH):
        part = films[i : i + BATCH]
        u = (SIDE * (waves[i : i + BATCH] @ basis)).reshape(len(part), 2, SIDE, SIDE)
        out[i : i + BATCH] = warp(part, u[:, 0], u[:, 1])
    return out


def _correlation(films: Floats, template: Floats) -> Floats:
    a = films.reshape(len(films), -1)
    a = a - a.mean(axis=1, keepdims=True)
    b = template.ravel() - template.mean()
    out: Floats = (a @ b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b) + 1e-6)
    return out


def _sound(waves: Floats, basis: Floats) -> npt.NDArray[np.bool_]:
    """No fold (smallest Jacobian above a fifth) and under 15 % read from beyond the edge."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    out = np.zeros(len(waves), np.bool_)
    for i, p in enumerate(waves):
        ux, uy = (SIDE * (p @ basis)).reshape(2, SIDE, SIDE)
        xx, yy = 1 + np.gradient(ux, axis=1), 1 + np.gradient(uy, axis=0)
        area = xx * yy - np.gradient(ux, axis=0) * np.gradient(uy, axis=1)
        beyond = (np.abs(x + ux - SIDE / 2) > SIDE / 2 + 2) | (
            np.abs(y + uy - SIDE / 2) > SIDE / 2 + 2
        )
        out[i] = min(area.min(), xx.min(), yy.min()) > 0.2 and beyond.mean() < 0.15
    return out
