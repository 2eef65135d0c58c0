"""The generator of the sample films: alignment, fit, draws, and the distance to its films."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from firstread.cohort import alignment, eigenfilms
from firstread.cohort.eigenfilms import SIDE, Eigenfilms, Taste, closest, fit, mark, thumbnail
from firstread.cohort.synthetic import draw_film

Films = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def films() -> Films:
    rng = np.random.default_rng(0)
    return np.stack([draw_film(rng, pneumonia=False, size=SIDE) for _ in range(12)])


@pytest.fixture(scope="module")
def aligned(films: Films) -> alignment.Alignment:
    return alignment.align(films)


@pytest.fixture(scope="module")
def generator(films: Films, aligned: alignment.Alignment) -> Eigenfilms:
    return fit(films, aligned)


def smooth_field(
    rng: np.random.Generator, waves: int = 3, side: int = 64
) -> tuple[npt.NDArray[np.float32], ...]:
    basis, _ = alignment.cosine_basis(side)
    coefficients = np.zeros((2, basis.shape[0]), np.float32)
    for i in range(waves):
        low = slice(i * alignment.ORDER, i * alignment.ORDER + waves)
        coefficients[:, low] = rng.normal(0, 0.01, (2, waves))
    return alignment.field(coefficients, side)


def test_a_warp_by_whole_pixels_is_a_shift() -> None:
    film = np.random.default_rng(0).random((8, 9)).astype(np.float32)
    ones = np.ones_like(film)
    shifted = alignment.warp(film, ones, 0 * ones)
    np.testing.assert_allclose(shifted[:-1, :-2], film[:-1, 1:-1], atol=1e-5)


def test_warping_a_stack_is_warping_each() -> None:
    rng = np.random.default_rng(1)
    stack = rng.random((3, 16, 16)).astype(np.float32)
    u = rng.normal(0, 2, (2, 3, 16, 16)).astype(np.float32)
    each = [alignment.warp(stack[i], u[0, i], u[1, i]) for i in range(3)]
    np.testing.assert_allclose(alignment.warp(stack, u[0], u[1]), np.stack(each), rtol=1e-6)


def test_the_inverse_field_undoes_the_field() -> None:
    ux, uy = smooth_field(np.random.default_rng(2))
    vx, vy = alignment.inverse(ux, uy)
    left = np.hypot(vx + alignment.warp(ux, vx, vy), vy + alignment.warp(uy, vx, vy))
    assert np.hypot(ux, uy).max() > 1.0
    assert left[8:-8, 8:-8].max() < 0.05


def test_low_pass_keeps_a_constant_and_calms_noise() -> None:
    assert np.allclose(alignment.low_pass(np.full((20, 30), 7, np.float32), 2.0), 7, atol=1e-4)
    noise = np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32)
    assert alignment.low_pass(noise, 2.0).std() < 0.3


def test_alignment_brings_bent_copies_of_a_film_together() -> None:
    rng = np.random.default_rng(3)
    film = draw_film(rng, pneumonia=False, size=96).astype(np.float32)
    copies = [alignment.warp(film, *smooth_field(rng, side=96)) for _ in range(6)]
    films = np.stack(copies).astype(np.uint8)
    aligned = alignment.align(films)
    bent = [
        alignment.warp(f.astype(np.float32), *alignment.field(w, 96))
        for f, w in zip(films, aligned.waves, strict=True)
    ]
    inner = (slice(8, -8), slice(8, -8))
    before, after = np.std(films, axis=0)[inner].mean(), np.std(bent, axis=0)[inner].mean()
    assert after < 0.5 * before
    assert aligned.sound.all()


def test_alignment_to_templates_of_others(films: Films, aligned: alignment.Alignment) -> None:
    again = alignment.align(films[:4], aligned.templates)
    assert all(
        np.array_equal(a, b) for a, b in zip(again.templates, aligned.templates, strict=True)
    )
    assert np.median(again.fit) > 0.5


def test_a_seed_draws_the_same_film_and_another_seed_another(generator: Eigenfilms) -> None:
    a, b, c = (generator.draw(np.random.default_rng(s), (80, 64), Taste()) for s in (1, 1, 2))
    assert a.size == (80, 64)
    assert a.mode == "L"
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_without_spread_bend_and_grain_the_mean_comes_out(generator: Eigenfilms) -> None:
    calm = Taste(spread=0, bend=0, grain=0)
    a, b = (np.asarray(generator.draw(np.random.default_rng(s), (64, 64), calm)) for s in (1, 2))
    assert np.array_equal(a, b)
    assert a.std() > 20


def test_components_are_one_sd_long(generator: Eigenfilms) -> None:
    """Films rebuilt from unit normal coefficients vary as much as the fitted ones."""
    flat = generator.textures.reshape(len(generator.textures), -1).astype(np.float64)
    gram = flat @ flat.T
    assert np.allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-3 * gram.max())
    assert np.all(np.diff(np.diag(gram)) <= 1e-3 * gram.max())


def test_grain_has_unit_variance() -> None:
    rng = np.random.default_rng(0)
    films = rng.integers(0, 255, (6, SIDE, SIDE)).astype(np.uint8)
    none = alignment.Alignment(
        np.zeros((6, 2, alignment.ORDER**2), np.float32),
        (),
        rng.random(6).astype(np.float32),
        np.ones(6, np.bool_),
    )
    generator = fit(films, none, components=1)
    white = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    grain = np.fft.irfft2(white * generator.spectrum, s=(SIDE, SIDE))
    assert grain.std() == pytest.approx(1, abs=0.15)


def test_too_few_films_are_refused(films: Films, aligned: alignment.Alignment) -> None:
    few = alignment.Alignment(
        aligned.waves[:3], aligned.templates, aligned.fit[:3], np.zeros(3, np.bool_)
    )
    with pytest.raises(ValueError, match="at least 3"):
        fit(films[:3], few)


def test_closest_is_a_correlation(films: Films, generator: Eigenfilms) -> None:
    thumbnails = np.stack([thumbnail(Image.fromarray(f)) for f in films])
    assert closest(Image.fromarray(films[5]), thumbnails) == pytest.approx(1, abs=1e-5)
    brighter = Image.fromarray((films[5] // 2 + 60).astype(np.uint8))
    assert closest(brighter, thumbnails) > 0.999
    drawn = generator.draw(np.random.default_rng(0), (SIDE, SIDE), Taste())
    by_hand = max(
        np.corrcoef(thumbnail(drawn), thumbnails[i])[0, 1] for i in range(len(thumbnails))
    )
    assert closest(drawn, thumbnails) == pytest.approx(by_hand, abs=1e-5)


def test_a_blank_film_has_no_correlation() -> None:
    blank = Image.new("L", (64, 64), 9)
    assert closest(blank, thumbnail(blank)[None]) == 0


def test_the_mark_is_small_and_low() -> None:
    film = Image.new("L", (256, 208), 100)
    changed = np.argwhere(np.asarray(mark(film)) != 100)
    assert 50 < len(changed) < 0.02 * 256 * 208
    assert changed[:, 0].min() > 0.9 * 208
    assert np.all(np.asarray(film) == 100)


def test_every_class_has_a_taste() -> None:
    assert set(eigenfilms.TASTES) == set(eigenfilms.CLASSES)
