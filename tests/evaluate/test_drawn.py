"""Masks that the lung net draws for films that have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import firstread
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import DataError
from firstread.evaluate.drawn import has_masks, with_drawn_masks
from firstread.evaluate.masks import find_masks, load_mask

SAMPLES = Path(firstread.__file__).parent / "samples"


@pytest.fixture(scope="module")
def samples() -> Cohort:
    return load_cohort(SAMPLES)


def test_a_table_may_name_masks(samples: Cohort) -> None:
    assert not has_masks(samples)
    first, *others = samples.rows
    named = replace(first, extra=first.extra | {"lung_mask": "masks/a.png"})
    assert has_masks(samples.retold([named, *others]))


def test_each_film_gets_its_lungs(samples: Cohort, tmp_path: Path) -> None:
    masked, said = with_drawn_masks(samples, tmp_path)
    assert said == (
        "no lung masks were given: they are drawn by the lung net that comes with firstread"
    )
    assert [(r.file, r.label) for r in masked.rows] == [(r.file, r.label) for r in samples.rows]
    assert not has_masks(samples)
    found = find_masks(masked)
    shares = [load_mask(path, 224).mean() for path in found if path is not None]
    assert len(shares) == len(samples)
    assert all(0.1 < share < 0.65 for share in shares)


def test_a_film_without_lungs_gets_none_and_is_counted(samples: Cohort, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    rows = [replace(samples.rows[0], path=broken), *samples.rows[1:]]
    masked, said = with_drawn_masks(samples.retold(rows), tmp_path)
    assert "; 1 film gets none and is left out (the first, broken.png: " in said
    assert [path is None for path in find_masks(masked)] == [True] + [False] * 7


def test_a_film_that_a_table_names_twice_has_its_one_mask(samples: Cohort, tmp_path: Path) -> None:
    twice = samples.subset([0, 1, 0])
    first, _, third = find_masks(with_drawn_masks(twice, tmp_path)[0])
    assert first is not None
    assert first == third


def test_no_lungs_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    for name in ("NORMAL", "PNEUMONIA"):
        film = tmp_path / "films" / name / "a.png"
        film.parent.mkdir(parents=True)
        Image.fromarray(np.full((300, 300), 128, np.uint8)).save(film)
    with pytest.raises(DataError, match=r"on none of the films .*give masks with --masks"):
        with_drawn_masks(load_cohort(tmp_path / "films"), tmp_path)
