"""Masks of whole folders."""

import time
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dicom_films import dicom_film
from firstread.errors import NoFilms, OutputError, Shortage
from firstread.film import Film
from firstread.film import draw as room
from firstread.film.draw import draw_masks
from firstread.film.lungs import SIDE, LungFinder
from lung_nets import dark_is_lung, film_of, two_lungs


@pytest.fixture
def finder(tmp_path: Path) -> LungFinder:
    return LungFinder(dark_is_lung(tmp_path / "net"))


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_masks_mirror_the_folder(tmp_path: Path, finder: LungFinder) -> None:
    films = tmp_path / "films"
    save(films / "NORMAL" / "a.png", film_of(two_lungs()))
    save(films / "b.png", film_of(two_lungs(100)))
    save(films / "c.png", np.random.default_rng(0).integers(140, 255, (99, 99)).astype(np.uint8))
    (films / "d.jpeg").write_bytes(b"no film")
    out = tmp_path / "masks"
    problems = {d.film.name: d.problem for d in draw_masks([films], out, finder)}
    assert problems["a.png"] is problems["b.png"] is None
    assert "lungs were found on only" in str(problems["c.png"])
    assert "not a JPEG" in str(problems["d.jpeg"])
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        "NORMAL/a.png", "b.png",
    ]  # fmt: skip
    with Image.open(out / "NORMAL" / "a.png") as mask:
        assert mask.mode == "1"
        assert mask.size == (224, 224)
        assert (np.asarray(mask) != two_lungs()).mean() < 0.01


def test_a_film_that_goes_meanwhile_ends_nothing(tmp_path: Path, finder: LungFinder) -> None:
    films = tmp_path / "films"
    for name in ("a.png", "b.png", "c.png"):
        save(films / name, film_of(two_lungs()))
    drawn = draw_masks([films], tmp_path / "masks", finder)
    assert next(drawn).problem is None
    (films / "b.png").unlink()
    b, c = drawn
    assert "no such file" in str(b.problem)
    assert c.problem is None


def test_a_shortage_is_told_with_its_film(
    tmp_path: Path, finder: LungFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the drawing; the masks before it are there, and kept the next time."""
    films = tmp_path / "films"
    for name in ("a.png", "b.png"):
        save(films / name, film_of(two_lungs()))

    real = room.decode

    def decode(path: Path, **how: Any) -> Film:
        if path.name == "b.png":
            raise Shortage("there was not enough memory to read it")
        return real(path, **how)

    with monkeypatch.context() as short:
        short.setattr(room, "decode", decode)
        drawn = draw_masks([films], tmp_path / "masks", finder)
        assert next(drawn).problem is None
        with pytest.raises(Shortage, match=r"b\.png: there was not enough memory"):
            next(drawn)
    assert [one.kept for one in draw_masks([films], tmp_path / "masks", finder)] == [True, False]


def test_two_films_of_one_mask_are_refused(tmp_path: Path, finder: LungFinder) -> None:
    for name in ("a.png", "a.bmp"):
        save(tmp_path / "films" / name, film_of(two_lungs()))
    with pytest.raises(OutputError, match="draw them apart"):
        list(draw_masks([tmp_path / "films"], tmp_path / "out", finder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoFilms):
        list(draw_masks([tmp_path / "empty"], tmp_path / "out", finder))


def test_no_film_is_replaced_by_its_mask(tmp_path: Path, finder: LungFinder) -> None:
    films = tmp_path / "films"
    save(films / "NORMAL" / "a.png", film_of(two_lungs()))
    save(films / "b.png", film_of(two_lungs()))
    before = {p: p.read_bytes() for p in films.rglob("*.png")}
    for out in (films, films / "masks", films / "NORMAL" / ".."):
        with pytest.raises(OutputError, match="give a folder beside it"):
            list(draw_masks([films], out, finder))
    # A film named by itself has its mask beside it, under its own name.
    with pytest.raises(OutputError, match=r"b\.png: is one of the films"):
        list(draw_masks([films / "NORMAL", films / "b.png"], films, finder))
    assert {p: p.read_bytes() for p in films.rglob("*.png")} == before


def test_links_in_a_circle_are_no_place_for_masks(tmp_path: Path, finder: LungFinder) -> None:
    save(tmp_path / "a.png", film_of(two_lungs()))
    (tmp_path / "masks").symlink_to("masks")
    with pytest.raises(OutputError, match="cannot be written"):
        list(draw_masks([tmp_path / "a.png"], tmp_path / "masks", finder))


def test_films_named_by_uid_have_masks_of_their_own(tmp_path: Path, finder: LungFinder) -> None:
    films, grey = tmp_path / "films", film_of(two_lungs())
    films.mkdir()
    for name in ("1.2.840.1.1", "1.2.840.1.2"):
        made = dicom_film(Rows=SIDE, Columns=SIDE, PixelData=grey.tobytes())
        (films / name).write_bytes(made)
    assert [d.problem for d in draw_masks([films], tmp_path / "out", finder)] == [None, None]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "1.2.840.1.1.png", "1.2.840.1.2.png",
    ]  # fmt: skip


def test_masks_that_are_there_are_kept_unless_asked(tmp_path: Path, finder: LungFinder) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    save(films / "a.png", film_of(two_lungs()))
    list(draw_masks([films], out, finder))
    drawn = (out / "a.png").read_bytes()
    save(out / "a.png", np.zeros((SIDE, SIDE), bool))  # by hand
    by_hand = (out / "a.png").read_bytes()
    save(films / "b.png", film_of(two_lungs()))
    found = list(draw_masks([films], out, finder))
    assert [(d.film.name, d.problem, d.kept) for d in found] == [
        ("a.png", None, True), ("b.png", None, False),
    ]  # fmt: skip
    assert (out / "a.png").read_bytes() == by_hand
    assert not any(d.kept for d in draw_masks([films], out, finder, replace=True))
    assert (out / "a.png").read_bytes() == drawn


def test_an_earlier_mask_is_named_where_a_film_gets_none(
    tmp_path: Path, finder: LungFinder
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    save(films / "a.png", film_of(two_lungs()))
    list(draw_masks([films], out, finder))
    (films / "a.png").write_bytes(b"no film")
    (said,) = draw_masks([films], out, finder, replace=True)
    assert f"an earlier mask lies at {out / 'a.png'}" in str(said.problem)
    assert (out / "a.png").exists()


def test_several_films_are_drawn_at_a_time_in_their_order(
    tmp_path: Path, finder: LungFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, seen = tmp_path / "films", list[tuple[int, int]]()
    for i in range(6):
        save(films / f"{i}.png", film_of(np.roll(two_lungs(), i, axis=0)))
    list(draw_masks([films], tmp_path / "one", finder))
    both, mask = Barrier(2), finder.mask

    def waits(film: np.ndarray) -> np.ndarray:
        both.wait(30)  # for another film's turn
        return mask(film)

    monkeypatch.setattr(finder, "mask", waits)
    drawn = draw_masks(
        [films], tmp_path / "two", finder, threads=2, progress=lambda *done: seen.append(done)
    )
    assert [d.film.name for d in drawn] == [f"{i}.png" for i in range(6)]
    assert seen == [(done, 6) for done in range(1, 7)]
    for i in range(6):
        one, two = (tmp_path / name / f"{i}.png" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_large_films_are_drawn_one_at_a_time(
    tmp_path: Path, finder: LungFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take a gigabyte."""
    for i in range(6):
        save(tmp_path / "films" / f"{i}.png", film_of(two_lungs()))
    monkeypatch.setattr("firstread.film.turns.LARGE", SIDE * SIDE - 1)
    mask, at_work = finder.mask, list[int]()
    most: list[int] = []

    def watched(film: np.ndarray) -> np.ndarray:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.01)
        at_work.pop()
        return mask(film)

    monkeypatch.setattr(finder, "mask", watched)
    list(draw_masks([tmp_path / "films"], tmp_path / "out", finder, threads=3))
    assert most == [1] * 6
