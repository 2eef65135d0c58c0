"""Paths in results: enough to repeat them, nothing of the machine."""

from pathlib import Path

import pytest

from firstread.evaluate.places import command_line, portable


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    for name in ("data", "weights", "here/runs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.setenv("FIRSTREAD_DATA", str(tmp_path / "link"))
    monkeypatch.setenv("FIRSTREAD_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path / "here")


def test_the_environment_names_its_folders(tmp_path):
    assert portable(tmp_path / "link") == "$FIRSTREAD_DATA"
    assert portable(tmp_path / "link" / "nih.csv") == "$FIRSTREAD_DATA/nih.csv"
    assert portable(tmp_path / "data" / "nih.csv") == "$FIRSTREAD_DATA/nih.csv"
    assert portable("../data/nih.csv") == "$FIRSTREAD_DATA/nih.csv"
    assert portable(tmp_path / "weights/a.pth") == "$FIRSTREAD_WEIGHTS/a.pth"


def test_other_paths_are_relative_or_cut(tmp_path, monkeypatch):
    assert portable("runs/a") == "runs/a"
    assert portable("../other") == "../other"
    assert portable(tmp_path / "here/runs/a") == "runs/a"
    assert portable(tmp_path / "other/films") == ".../films"
    monkeypatch.delenv("FIRSTREAD_DATA")
    assert portable(tmp_path / "data") == ".../data"


def test_a_command_stays_a_command(tmp_path):
    words = ["firstread", "read", tmp_path / "data/a b.png", "--by", "a b", Path("x"), "$HOME"]
    assert command_line(words) == ("firstread read $FIRSTREAD_DATA'/a b.png' --by 'a b' x '$HOME'")
    assert command_line([tmp_path / "data"]) == "$FIRSTREAD_DATA"
