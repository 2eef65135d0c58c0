"""`firstread data check`: what it prints, writes and returns."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from firstread.cli.main import main
from firstread.cohort.synthetic import write_folder


def test_a_clean_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "set", 6, size=48)
    files = ["--json", str(tmp_path / "o" / "c.json"), "--html", str(tmp_path / "o" / "c.html")]
    assert main(["data", "check", str(tmp_path / "set"), *files]) == 0
    out = capsys.readouterr().out
    assert "12 films (12 readable)" in out
    assert "NORMAL 6, PNEUMONIA 6" in out
    assert "one part, no split to judge" in out
    report = json.loads((tmp_path / "o" / "c.json").read_text())
    assert report["films"] == 12
    assert "No split to judge" in (tmp_path / "o" / "c.html").read_text()


def test_one_film_is_no_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path, 1, size=48)
    table = tmp_path / "t.csv"
    film = next((tmp_path / "NORMAL").iterdir())
    table.write_text(f"file,label\n{film.relative_to(tmp_path).as_posix()},NORMAL\n")
    assert main(["data", "check", str(table)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith("1 film (1 readable), 1 patient (1 film each, at most 1)")


def test_a_leak_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "val"):
        write_folder(tmp_path, 4, size=48, part=part)
    assert main(["data", "check", str(tmp_path)]) == 0
    film = sorted((tmp_path / "train" / "NORMAL").iterdir())[0]
    shutil.copy(film, tmp_path / "val" / "NORMAL" / film.name)
    assert main(["data", "check", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "leak: 1 patient, 1 identical film on both sides of train and val" in out
    assert "it leaks" in out


def test_the_split_it_made_is_clean_and_a_broken_one_is_not(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", 16, size=48)
    split = tmp_path / "split.csv"
    where = ["data", "check", str(tmp_path / "set"), "--split", str(split)]
    assert main(["data", "split", str(tmp_path / "set"), "--out", str(split)]) == 0
    assert main(where) == 0
    lines = split.read_text().splitlines()
    i = next(i for i, line in enumerate(lines) if "IM-0001-0001" in line)
    split.write_text("\n".join([*lines[:i], lines[i].replace(",train,", ",val,"), *lines[i + 1 :]]))
    assert main(where) == 1


def test_nothing_to_read_is_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(tmp_path)]) == 2
    assert main(["data", "check", str(tmp_path / "nowhere")]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert all(line.startswith("firstread: ") for line in err)


def test_a_place_it_cannot_write(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", 3, size=32)
    (tmp_path / "file").write_text("in the way")
    where = str(tmp_path / "file" / "c.json")
    assert main(["data", "check", str(tmp_path / "set"), "--json", where]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are no bytes there")
def test_names_that_are_no_utf8_are_reported(tmp_path: Path) -> None:
    films = write_folder(tmp_path / "set", 6, size=48) / "NORMAL"
    for name in (b"M\xfcller.jpeg", b"gel\xf6scht.jpeg"):
        shutil.copy(films / "IM-0001-0001.jpeg", films / os.fsdecode(name))
    (films / os.fsdecode(b"br\xf6chig.jpeg")).write_bytes(b"no film")
    files = ["--json", str(tmp_path / "c.json"), "--html", str(tmp_path / "c.html")]
    assert main(["data", "check", str(tmp_path / "set"), *files]) == 0
    report = json.loads((tmp_path / "c.json").read_text("utf-8"))
    assert os.fsencode(report["unreadable"][0]["file"]) == b"NORMAL/br\xf6chig.jpeg"
    assert r"NORMAL/br\udcf6chig.jpeg" in (tmp_path / "c.html").read_text("utf-8")
