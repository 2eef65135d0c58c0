"""`firstread lungs`: draw and evaluate, with a net for tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstread.cli.main import main
from firstread.cohort.table import load_cohort
from firstread.film.draw import mask_png
from lung_nets import dark_is_lung, film_of, two_lungs


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    for i in range(8):
        for label, series in (("NORMAL", "IM"), ("PNEUMONIA", "virus")):
            name = f"IM-{i:04}-0001.png" if series == "IM" else f"person{i}_virus_{i}.png"
            place = folder / label / name
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.roll(film_of(two_lungs()), i, axis=0)).save(place)
    return folder


@pytest.mark.usefixtures("at_once")
def test_masks_are_drawn_and_judged(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    net, masks = dark_is_lung(tmp_path / "net"), tmp_path / "masks"
    assert main(["lungs", "draw", str(films), "--out", str(masks), "--net", str(net)]) == 0
    assert "16 of 16 masks" in capsys.readouterr().out
    out = tmp_path / "dice.json"
    command = ["lungs", "evaluate", "--data", str(films), "--masks", str(masks)]
    assert main([*command, "--net", str(net), "--json", str(out)]) == 0
    told = capsys.readouterr().err
    for what in ("hashing", "decoding", "judging"):
        assert f"{what}: 16 of 16 films\n" in told
    found = json.loads(out.read_text())
    assert found["dice"]["value"] == 1.0
    assert found["net"]["name"] == "dark"
    assert found["films"] == 16
    assert found["part"] is None
    assert (found["unreadable"], found["warnings"]) == (0, [])
    assert main([*command, "--net", str(net), "--part", "nosuch"]) == 2
    assert "use train or val" in capsys.readouterr().err


def test_lists_of_one_patient_have_no_interval(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    for path in sorted((films / "PNEUMONIA").iterdir())[1:]:
        path.unlink()
    net, masks, out = dark_is_lung(tmp_path / "net"), tmp_path / "masks", tmp_path / "dice.json"
    assert main(["lungs", "draw", str(films), "--out", str(masks), "--net", str(net)]) == 0
    command = ["lungs", "evaluate", "--data", str(films), "--masks", str(masks)]
    assert main([*command, "--net", str(net), "--json", str(out)]) == 0
    assert "no interval: too few patients" in capsys.readouterr().out
    assert json.loads(out.read_text())["by"]["pneumonia"]["dice"]["low"] is None


@pytest.mark.usefixtures("at_once")
def test_a_film_without_lungs_is_told_and_the_rest_goes_on(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = np.random.default_rng(0).integers(130, 255, (99, 99)).astype(np.uint8)
    Image.fromarray(blank).save(films / "NORMAL" / "blank.png")
    net = dark_is_lung(tmp_path / "net")
    out = tmp_path / "masks"
    assert main(["lungs", "draw", str(films), "--out", str(out), "--net", str(net)]) == 1
    told = capsys.readouterr()
    said = told.out
    assert told.err.endswith("drawing: 17 of 17 films\n")
    assert "drawing" not in said
    assert "blank.png: no mask: lungs were found on only" in said
    assert "16 of 17 masks" in said
    assert not (out / "NORMAL" / "blank.png").exists()


def test_a_mask_of_other_size_is_read(tmp_path: Path) -> None:
    from firstread.evaluate.masks import load_mask

    path = tmp_path / "m.png"
    path.write_bytes(mask_png(two_lungs(100)))
    assert (load_mask(path, 224) != two_lungs()).mean() < 0.02


def test_films_of_the_training_and_unreadable_ones_are_told(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    masks, out = tmp_path / "masks", tmp_path / "dice.json"
    assert main(["lungs", "draw", str(films), "--out", str(masks), "--net",
                 str(dark_is_lung(tmp_path / "net"))]) == 0  # fmt: skip
    (films / "NORMAL" / "broken.png").write_bytes(b"broken")
    net = dark_is_lung(tmp_path / "net", data={"sha256": load_cohort(films).data_hash()})
    command = ["lungs", "evaluate", "--data", str(films), "--masks", str(masks)]
    assert main([*command, "--net", str(net), "--json", str(out)]) == 1
    found = json.loads(out.read_text())
    assert (found["films"], found["unreadable"]) == (16, 1)
    assert "the very films" in found["warnings"][0]
    said = capsys.readouterr().out
    assert "broken.png: left out" in said
    assert "warning: these are the very films" in said


def test_the_masks_of_a_stranger_have_no_licence_of_ours() -> None:
    from firstread.cli.main import _parser

    given = _parser("lungs").parse_args(["lungs", "train", "--data", "films", "--out", "run"])
    assert (given.licence, given.source, given.net_licence) == ("not stated",) * 3


def test_masks_of_black_lungs_are_told(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    net, masks = dark_is_lung(tmp_path / "net"), tmp_path / "masks"
    for film in films.rglob("*.png"):
        place = masks / film.relative_to(films)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(mask_png(~two_lungs()))
    command = ["lungs", "evaluate", "--data", str(films), "--masks", str(masks)]
    assert main([*command, "--net", str(net)]) == 0
    assert "warning: 16 of 16 lung masks look like no pair of lungs" in capsys.readouterr().out


def test_masks_that_are_there_are_kept_and_counted(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["lungs", "draw", str(films), "--out", str(tmp_path / "masks")]
    command += ["--net", str(dark_is_lung(tmp_path / "net"))]
    assert main(command) == 0
    (tmp_path / "masks/NORMAL/IM-0000-0001.png").unlink()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "1 of 16 masks written" in said
    assert "15 masks that were there are kept as they are; --replace" in said
    assert main([*command, "--replace"]) == 0
    assert "16 of 16 masks written" in capsys.readouterr().out
