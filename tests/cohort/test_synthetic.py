"""Synthetic films: repeatable, named like the real set, learnable but not by brightness."""

from pathlib import Path

import numpy as np
import pytest

from firstread.cohort import synthetic
from firstread.cohort.film_names import parse_name
from firstread.cohort.synthetic import MOST, draw_film, write_folder
from firstread.cohort.table import load_cohort
from firstread.film import decode


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    pairs = positive[:, None] - negative[None, :]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def test_the_same_generator_gives_the_same_film() -> None:
    one = draw_film(np.random.default_rng(5), True, 96)
    two = draw_film(np.random.default_rng(5), True, 96)
    assert one.dtype == np.uint8
    assert one.shape == (96, 96)
    assert (one == two).all()


@pytest.mark.parametrize("size", [16, 32, 224])
def test_any_size_has_contrast(size: int) -> None:
    film = draw_film(np.random.default_rng(1), False, size)
    assert film.shape == (size, size)
    assert film.std() > 15


def test_a_thumbnail_is_refused() -> None:
    with pytest.raises(ValueError, match="16 pixels"):
        draw_film(np.random.default_rng(0), True, 8)


def test_brightness_alone_does_not_give_the_class_away() -> None:
    rng = np.random.default_rng(11)
    ill = np.array([draw_film(rng, True, 64) for _ in range(150)], np.float32)
    well = np.array([draw_film(rng, False, 64) for _ in range(150)], np.float32)
    for single in (np.mean, np.std):
        auc = _auc(single(ill, axis=(1, 2)), single(well, axis=(1, 2)))
        assert 0.25 < auc < 0.75


def test_ill_and_well_are_the_same_chest_but_for_the_patches() -> None:
    ill = np.array([draw_film(np.random.default_rng(s), True, 64) for s in range(20)], np.float32)
    well = np.array([draw_film(np.random.default_rng(s), False, 64) for s in range(20)], np.float32)
    gain = ill - well
    assert (gain.max(axis=(1, 2)) > 15).all()
    assert (np.abs(gain[:, -6:]).max(axis=(1, 2)) < 3).all()  # nothing below the diaphragm


def test_folder_reads_as_a_cohort(tmp_path: Path) -> None:
    assert write_folder(tmp_path / "set", 9, seed=2, size=48) == tmp_path / "set"
    cohort = load_cohort(tmp_path / "set")
    assert len(cohort) == 18
    assert int((cohort.labels == 1).sum()) == 9
    assert {r.series for r in cohort.rows} == {"IM", "NORMAL2-IM", "bacteria", "virus"}
    assert {r.etiology for r in cohort.rows} == {"normal", "bacterial", "viral"}
    assert len(set(cohort.patients)) < len(cohort)
    assert len(set(cohort.hashes)) == len(cohort)
    film = decode(cohort.paths[0])
    assert (film.width, film.height, film.mode, film.format) == (48, 48, "L", "JPEG")


def test_parts_share_no_patient_and_no_film(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_folder(tmp_path, 6, size=32, part=part)
    cohort = load_cohort(tmp_path)
    patients = [set(cohort.part(p).patients) for p in ("train", "val", "test")]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]
    assert len(set(cohort.hashes)) == 36


def test_more_films_than_numbers_of_their_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2001 films a class: one seed draws at most 2000"):
        write_folder(tmp_path, MOST + 1, part="train")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pneumonia", [False, True])
def test_the_most_films_stay_within_their_numbers(pneumonia: bool) -> None:
    class AllNew:
        """Each film of another patient, which is the most numbers that can be drawn."""

        def random(self) -> float:
            return 0.0

    names = synthetic._names(AllNew(), pneumonia, MOST, 1)  # type: ignore[arg-type]
    numbers = {parse_name(name)[2] for name in names}
    assert len(names) == MOST
    assert max(numbers) <= synthetic.NUMBERS


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one = load_cohort(write_folder(tmp_path / "a", 4, seed=7, size=32))
    two = load_cohort(write_folder(tmp_path / "b", 4, seed=7, size=32))
    assert one.data_hash() == two.data_hash()
    assert [r.file for r in one.rows] == [r.file for r in two.rows]
