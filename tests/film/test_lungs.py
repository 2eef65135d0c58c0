"""The lung net's loading, its masks, the box, the zones, the doubt."""

import errno
from pathlib import Path

import numpy as np
import pytest

from firstread.errors import BundleError, Shortage
from firstread.film import lungs
from firstread.film.lungs import (
    ONNX_FILE,
    RECORD_FILE,
    ZONES,
    Box,
    LungFinder,
    doubt,
    lung_box,
    sides,
    zones,
)
from lung_nets import dark_is_lung, two_lungs


def test_a_mask_is_two_parts_without_holes_at_the_size_of_the_film(tmp_path: Path) -> None:
    finder = LungFinder(dark_is_lung(tmp_path))
    lungs_there = two_lungs()
    film = np.where(lungs_there, 20, 220).astype(np.uint8)
    film[110:114, 60:64] = 250  # a rib
    film[0:9, 0:9] = 0  # a dark corner
    assert (finder.mask(film) == lungs_there).all()
    small = finder.mask(np.where(two_lungs(96), 20, 220).astype(np.uint8))
    assert small.shape == (96, 96)
    assert (small != two_lungs(96)).mean() < 0.02


def test_a_net_is_not_at_fault_where_too_many_files_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_bytes(path: Path) -> bytes:
        raise OSError(errno.EMFILE, "x")

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(Shortage, match="too many files"):
        LungFinder()


def test_a_changed_net_or_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        LungFinder(tmp_path / "nowhere")
    dark_is_lung(tmp_path / "run" / "net")
    with pytest.raises(BundleError, match=r"name its net, .*net$"):
        LungFinder(tmp_path / "run")
    graph = dark_is_lung(tmp_path / "a") / ONNX_FILE
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="not the net"):
        LungFinder(tmp_path / "a")
    record = dark_is_lung(tmp_path / "b") / RECORD_FILE
    record.write_text(record.read_text().replace("dark", "deep"))
    with pytest.raises(BundleError, match="damaged or changed"):
        LungFinder(tmp_path / "b")
    with pytest.raises(BundleError, match="damaged or changed"):
        LungFinder(dark_is_lung(tmp_path / "c", format=99))


def test_the_box_is_the_smallest_around_the_mask() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:12] = True
    assert lung_box(mask) == Box(3, 4, 9, 12)
    with pytest.raises(ValueError, match="no box"):
        lung_box(np.zeros((4, 4), bool))


def test_the_right_lung_is_at_the_left_of_the_picture() -> None:
    right, left = sides(two_lungs())
    assert np.nonzero(right)[1].max() < 112 < np.nonzero(left)[1].min()


def test_lungs_that_touch_are_parted_where_they_are_thinnest() -> None:
    mask = two_lungs()
    mask[100:104, 60:160] = True
    assert doubt(mask) is None
    right, left = sides(mask)
    assert (right | left).sum() == mask.sum()
    assert 0.4 < right.sum() / mask.sum() < 0.6


def test_zones_are_thirds_of_each_lung_and_together_the_mask() -> None:
    mask = two_lungs()
    found = zones(mask)
    assert tuple(found) == ZONES
    assert (sum(z.astype(int) for z in found.values()) == mask).all()
    heights = [np.nonzero(found[f"right {h}"])[0].mean() for h in ("upper", "mid", "lower")]
    assert heights == sorted(heights)
    assert not any(z.any() for z in zones(np.zeros((9, 9), bool)).values())


def test_doubt_is_told_in_words() -> None:
    mask = two_lungs()
    assert doubt(mask) is None
    assert "only" in (doubt(np.zeros((224, 224), bool)) or "")
    assert "as much as" in (doubt(np.ones((224, 224), bool)) or "")
    one = mask & (np.arange(224) < 112)
    assert doubt(one) == doubt(one[:, ::-1]) == "only one lung was found"
    assert sides(one)[0].sum() == one.sum() == sides(one[:, ::-1])[1].sum()
    stacked = np.zeros((224, 224), bool)
    stacked[20:90, 50:150] = stacked[120:190, 60:160] = True
    assert "side by side" in (doubt(stacked) or "")


shipped = pytest.mark.skipif(
    not (lungs.SHIPPED / ONNX_FILE).is_file(), reason="no lung net is shipped"
)


@shipped
def test_the_shipped_net_is_small_and_says_whose_masks_it_learned_from() -> None:
    finder = lungs.shipped()
    assert (lungs.SHIPPED / ONNX_FILE).stat().st_size <= 2_000_000
    assert "CC BY 4.0" in finder.record["data"]["masks_licence"]
    assert "v7labs" in finder.record["data"]["masks_source"]


@shipped
@pytest.mark.films
def test_the_shipped_net_finds_lungs_of_children_and_adults(films_dir: Path) -> None:
    from firstread.film import Preprocess, decode, preprocess

    folders = films_dir / "chest_xray" / "train" / "NORMAL", films_dir / "nih_adult"
    for folder in folders:
        films = sorted(p for p in folder.rglob("*") if p.is_file())[::40][:5]
        masks = [lungs.lung_mask(preprocess(decode(f), Preprocess())) for f in films]
        assert sum(doubt(m) is not None for m in masks) <= 1
