"""Duplicates: exact by bytes, near by thumbnails, grouped."""

import io

import numpy as np
import pytest
from PIL import Image

from firstread.cohort import duplicates
from firstread.cohort.duplicates import Joined, exact_groups, near_pairs, thumbnail
from firstread.cohort.synthetic import draw_film
from firstread.film import decode


def _jpeg(pixels: np.ndarray, quality: int, size: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if size is None else image.resize(size)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _thumbs(*files: bytes) -> np.ndarray:
    return np.stack([thumbnail(decode(f)) for f in files])


def _pairs(thumbs: np.ndarray, **more: float) -> dict[tuple[int, int], float]:
    """The correlation of each pair found."""
    return {
        (int(i), int(j)): float(c)
        for p in near_pairs(thumbs, **more)
        for i, j, c in zip(p.first, p.second, p.correlation, strict=True)
    }


def test_copies_are_found_and_strangers_are_not() -> None:
    rng = np.random.default_rng(0)
    film = draw_film(rng, True, 224)
    others = [_jpeg(draw_film(rng, bool(i % 2), 224), 90) for i in range(6)]
    small = _jpeg(film, 40, (150, 130))
    inverted = _jpeg(255 - film, 90)
    pairs = _pairs(_thumbs(_jpeg(film, 95), *others[:3], small, *others[3:], inverted))
    assert list(pairs) == [(0, 4), (0, 8), (4, 8)]
    assert pairs[0, 4] > 0.998
    assert pairs[0, 8] < -0.998


def test_blocks_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    thumbs = rng.integers(0, 256, (23, 64, 64), dtype=np.uint8)
    thumbs[17] = thumbs[2]
    thumbs[22] = np.clip(thumbs[5].astype(int) + rng.integers(-3, 4, (64, 64)), 0, 255)
    whole = _pairs(thumbs)
    monkeypatch.setattr(duplicates, "BLOCK", 7)
    parts = _pairs(thumbs)
    assert set(whole) == set(parts) == {(2, 17), (5, 22)}


@pytest.mark.parametrize("threshold", [0.985, 0.9, 0.5])
def test_films_told_apart_by_their_squares_are_those_that_differ(threshold: float) -> None:
    """Drawn films, inverted ones, noise of the same squares and films near the threshold: none is
    lost, at whatever threshold."""
    rng = np.random.default_rng(4)
    films = np.stack([draw_film(rng, i % 2 == 1, 64) for i in range(12)])
    noisy = [films[i] + rng.normal(0, 3.0 * i, (64, 64)) for i in range(12)]
    same = films[:4].reshape(4, 8, 8, 8, 8)[:, :, ::-1, :, ::-1].reshape(4, 64, 64)
    all_of = np.concatenate([films, 255 - films[:4], np.clip(noisy, 0, 255), same])
    thumbs = all_of.astype(np.uint8)
    correlations = np.abs(np.corrcoef(thumbs.reshape(len(thumbs), -1)))
    first, second = np.nonzero(np.triu(correlations >= threshold, 1))
    assert list(_pairs(thumbs, threshold=threshold)) == list(
        zip(first.tolist(), second.tolist(), strict=True)
    )


def test_few_films_are_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a hundred thousand films would take the better part of an hour."""
    rng = np.random.default_rng(5)
    thumbs = np.kron(rng.integers(0, 256, (200, 8, 8)), np.ones((8, 8))).astype(np.uint8)
    thumbs[150] = thumbs[20]
    seen: list[int] = []
    plain = duplicates._normalised
    monkeypatch.setattr(duplicates, "_normalised", lambda b: seen.append(len(b)) or plain(b))
    assert list(_pairs(thumbs)) == [(20, 150)]
    assert seen == [200, 1, 1]


def test_correlation_is_numpys() -> None:
    rng = np.random.default_rng(2)
    thumbs = rng.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    thumbs[1] = thumbs[0] // 2 + thumbs[1] // 2
    [correlation] = _pairs(thumbs, threshold=0.5).values()
    expected = np.corrcoef(thumbs[0].ravel(), thumbs[1].ravel())[0, 1]
    assert correlation == pytest.approx(expected, abs=1e-5)


def test_blanks_match_nothing() -> None:
    assert not _pairs(np.full((3, 64, 64), 90, np.uint8))
    assert not _pairs(np.empty((0, 64, 64), np.uint8))


def test_one_picture_many_times_over_is_counted_a_block_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thumbs = np.repeat(np.random.default_rng(3).integers(0, 256, (1, 64, 64), np.uint8), 30, 0)
    monkeypatch.setattr(duplicates, "BLOCK", 8)
    sizes = [len(p) for p in near_pairs(thumbs)]
    assert sum(sizes) == 30 * 29 // 2
    assert max(sizes) <= 8 * 8


def test_groups() -> None:
    assert exact_groups(["a", None, "b", "a", "c", "b", "a", None]) == [[0, 3, 6], [2, 5]]
    links = [(5, 1), (2, 3), (1, 2), (8, 9)]
    groups = Joined(10)
    assert groups.groups() == []
    for batch in (links[:2], links[2:], links):
        groups.link(*np.array(batch).T)
    assert groups.groups() == [[1, 2, 3, 5], [8, 9]]


@pytest.mark.films
def test_the_known_copies_of_the_real_films(films_dir) -> None:  # type: ignore[no-untyped-def]
    """An original and its public 224 px copy are one film; its neighbours are others."""
    originals = sorted((films_dir / "chest_xray_original" / "NORMAL").glob("*.jpeg"))[:12]
    copies = [films_dir / "chest_xray" / "train" / "NORMAL" / p.name for p in originals]
    thumbs = np.stack([thumbnail(decode(p)) for p in [*originals, *copies]])
    assert set(_pairs(thumbs)) == {(i, i + 12) for i in range(12)}
