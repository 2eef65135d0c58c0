import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import DataError, FolderNotFound, Shortage
from firstread.evaluate.masks import (
    check_frame,
    check_usable,
    dilate,
    find_masks,
    load_mask,
    load_mask_if_sound,
    mask_warnings,
    study_warnings,
)
from firstread.film.preprocess import Preprocess
from lung_nets import two_lungs


def save(path: Path, values: np.ndarray, mode: str = "1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8) * 255).convert(mode).save(path)
    return path


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    for name in ("NORMAL/a.jpeg", "NORMAL/b.jpeg", "PNEUMONIA/c.jpeg"):
        save(tmp_path / "chest" / name, np.eye(8), "L")
    return load_cohort(tmp_path / "chest")


HALF = np.arange(64).reshape(8, 8) % 8 < 4


def test_a_folder_that_mirrors_the_films(cohort: Cohort, tmp_path: Path) -> None:
    a = save(tmp_path / "masks/NORMAL/a.png", HALF)
    c = save(tmp_path / "masks/PNEUMONIA/c.png", HALF)
    assert find_masks(cohort, tmp_path / "masks") == [a, None, c]


def test_a_folder_that_hangs_lower_than_the_films(cohort: Cohort, tmp_path: Path) -> None:
    flat = save(tmp_path / "flat/a.png", HALF)
    assert find_masks(cohort, tmp_path / "flat") == [flat, None, None]
    deeper = Cohort(
        cohort.root, tuple(replace(r, file=f"chest_xray/train/{r.file}") for r in cohort.rows)
    )
    a = save(tmp_path / "masks/train/NORMAL/a.png", HALF)
    save(tmp_path / "masks/NORMAL/a.png", HALF)  # the longest path comes first
    assert find_masks(deeper, tmp_path / "masks")[0] == a


def test_a_column_names_the_mask_beside_the_table(cohort: Cohort, tmp_path: Path) -> None:
    mask = save(tmp_path / "chest/lungs/x.png", HALF)
    table = tmp_path / "chest/films.csv"
    table.write_text(
        "file,label,lung_mask\nNORMAL/a.jpeg,NORMAL,lungs/x.png\nNORMAL/b.jpeg,NORMAL,\n"
        "PNEUMONIA/c.jpeg,PNEUMONIA,lungs/gone.png\n"
    )
    assert find_masks(load_cohort(table)) == [mask, None, None]
    mask.unlink()
    with pytest.raises(DataError, match="none of the files in the column lung_mask"):
        find_masks(load_cohort(table))


def test_no_mask_at_all_says_what_to_do(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--masks.*firstread lungs draw"):
        find_masks(cohort)
    with pytest.raises(FolderNotFound, match="no such folder"):
        find_masks(cohort, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"looked for NORMAL/a\.png"):
        find_masks(cohort, tmp_path / "empty")


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_masks_are_the_same_however_they_are_stored(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "m.png", HALF, mode)
    assert (load_mask(path, 8) == HALF).all()
    large = load_mask(path, 24)
    assert large.dtype == bool
    assert (large == np.kron(HALF, np.ones((3, 3), bool))).all()


def test_masks_of_0_and_1_and_empty_ones(tmp_path: Path) -> None:
    Image.fromarray(HALF.astype(np.uint8)).save(tmp_path / "m.png")
    assert (load_mask(tmp_path / "m.png", 8) == HALF).all()
    assert not load_mask(save(tmp_path / "empty.png", np.zeros((8, 8))), 8).any()


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "x")], ids=repr)
def test_a_mask_is_not_at_fault_for_what_ran_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Studies left its film out."""
    mask = save(tmp_path / "m.png", HALF)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    for read in (load_mask, load_mask_if_sound):
        with pytest.raises(Shortage, match=r"m\.png: (there was not enough|too many)"):
            read(mask, 8)


def test_a_broken_mask_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"m\.png: this mask cannot be read"):
        load_mask(tmp_path / "m.png", 8)
    assert not load_mask_if_sound(tmp_path / "m.png", 8).any()


def test_two_films_do_not_share_a_mask(tmp_path: Path) -> None:
    for name in ("NORMAL/1.jpeg", "PNEUMONIA/1.jpeg"):
        save(tmp_path / "chest" / name, np.eye(8), "L")
    save(tmp_path / "masks/1.png", HALF)
    with pytest.raises(DataError, match=r"1\.png: would be the mask of NORMAL.1.jpeg and of PNEU"):
        find_masks(load_cohort(tmp_path / "chest"), tmp_path / "masks")


def test_a_film_named_twice_has_one_mask(cohort: Cohort, tmp_path: Path) -> None:
    a = save(tmp_path / "masks/NORMAL/a.png", HALF)
    assert find_masks(cohort.subset([0, 1, 0]), tmp_path / "masks") == [a, None, a]


def test_a_film_is_not_its_own_mask(tmp_path: Path) -> None:
    save(tmp_path / "chest/NORMAL/a.png", np.eye(8), "L")
    save(tmp_path / "chest/PNEUMONIA/b.png", np.eye(8), "L")
    with pytest.raises(DataError, match="is the film itself"):
        find_masks(load_cohort(tmp_path / "chest"), tmp_path / "chest")


def test_dilation_is_a_square_that_ends_at_the_edge() -> None:
    mask = np.zeros((9, 12), bool)
    mask[4, 6] = mask[0, 0] = True
    grown = dilate(mask, 2)
    expected = np.zeros_like(mask)
    expected[2:7, 4:9] = expected[:3, :3] = True
    assert (grown == expected).all()
    assert mask.sum() == 2


@pytest.mark.films
def test_all_but_six_of_the_public_films_have_a_mask(films_dir: Path) -> None:
    named = find_masks(load_cohort(films_dir / "chest_xray.csv"))
    mirrored = find_masks(load_cohort(films_dir / "chest_xray"), films_dir / "lung_masks")
    assert sum(p is None for p in named) == sum(p is None for p in mirrored) == 6
    some = load_mask(next(p for p in named if p), 224)
    assert some.shape == (224, 224)
    assert 0.1 < some.mean() < 0.5


def test_masks_are_for_models_that_see_the_whole_film() -> None:
    check_frame(Preprocess(32))
    with pytest.raises(DataError, match=r'frame is "centre".*sees all of it'):
        check_frame(Preprocess(32, "centre"))


def test_labels_of_right_and_left_are_both_lung(tmp_path: Path) -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[2:6, 1:3], labels[2:6, 5:7] = 1, 2
    for name, picture in (
        ("l.png", Image.fromarray(labels)),
        ("i.png", Image.fromarray(labels.astype(np.uint16))),
        ("s.png", Image.fromarray(labels * 100)),
    ):
        picture.save(tmp_path / name)
        assert (load_mask(tmp_path / name, 8) == (labels > 0)).all(), name


def test_soft_edges_end_at_half(tmp_path: Path) -> None:
    soft = np.tile(np.array([0, 40, 90, 120, 140, 200, 250, 255], np.uint8), (8, 1))
    Image.fromarray(soft).save(tmp_path / "m.png")
    assert (load_mask(tmp_path / "m.png", 8) == (soft > 127)).all()


def test_transparency_that_varies_is_the_mask(tmp_path: Path) -> None:
    white = Image.new("L", (8, 8), 255)
    alpha = Image.fromarray(HALF.astype(np.uint8) * 255)
    Image.merge("RGBA", [white, white, white, alpha]).save(tmp_path / "a.png")
    Image.merge("RGBA", [alpha, alpha, alpha, white]).save(tmp_path / "b.png")
    assert (load_mask(tmp_path / "a.png", 8) == HALF).all()
    assert (load_mask(tmp_path / "b.png", 8) == HALF).all()


def test_masks_that_are_no_pair_of_lungs_are_told() -> None:
    good, turned = (Path("a.png"), two_lungs()), (Path("b.png"), ~two_lungs())
    assert mask_warnings([good]) == []
    (said,) = mask_warnings([good, turned])
    assert said.startswith(
        "1 of 2 lung masks looks like no pair of lungs (the first, b.png: 4 of its corners"
    )


def test_masks_of_films_named_by_uid_are_found(cohort: Cohort, tmp_path: Path) -> None:
    names = ("1.2.840.1.1", "1.2.840.1.2", "a.JPG")
    rows = tuple(replace(r, file=n) for r, n in zip(cohort.rows, names, strict=True))
    masks = [save(tmp_path / "masks" / n, HALF) for n in ("1.2.840.1.1.png", "1.2.840.1.2.png")]
    last = save(tmp_path / "masks/a.png", HALF)
    assert find_masks(Cohort(cohort.root, rows), tmp_path / "masks") == [*masks, last]


def test_masks_that_cannot_be_used_are_told(cohort: Cohort, tmp_path: Path) -> None:
    good, empty = save(tmp_path / "a.png", HALF), save(tmp_path / "b.png", np.zeros((8, 8)))
    Image.fromarray(HALF).convert("L").save(tmp_path / "c.jpg")
    jpeg = tmp_path / "c.jpg"
    check_usable(cohort, [None, good, jpeg])
    check_usable(cohort, [empty, good, good], by_class=True)
    with pytest.raises(DataError, match=r"no film has a lung mask that can.*b\.png: this mask"):
        check_usable(cohort, [empty, None, jpeg])
    with pytest.raises(DataError, match=r"no pneumonia film has a lung mask that.*PNG, TIFF, BMP"):
        check_usable(cohort, [good, None, jpeg], by_class=True)
    with pytest.raises(DataError, match="no normal film has a lung mask, and films of both"):
        check_usable(cohort, [None, None, good], by_class=True)
    read = [(path, load_mask_if_sound(path, 64)) for path in (good, empty, jpeg)]
    assert study_warnings([(good, two_lungs())]) == []
    odd, said = study_warnings(read)
    assert odd.startswith("1 of 1 lung masks looks like no pair of lungs")
    assert said.startswith("2 of 3 lung masks are empty or cannot be read")
    assert str(tmp_path) not in said
