import csv
import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.fileset import FileSet

from bundles import film, tiny_bundle
from firstread.cli.main import main
from firstread.read.opinion import Opinion
from firstread.read.reader import Readable, Reader


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with films/ (a dark, a grey, a bright one, notes) and a bundle."""
    film(tmp_path / "films/dark.png", 40)
    film(tmp_path / "films/more/grey.jpeg", 128)
    film(tmp_path / "films/more/white.bmp", 220)
    (tmp_path / "films/notes.txt").write_text("not a film")
    tiny_bundle(tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*arguments: str) -> int:
    return main(["read", "--bundle", "bundle", *arguments])


def test_a_folder_with_every_output(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = read("./films", "--json", "o.json", "--csv", "new/o.csv", "--html", "o.html")
    assert code == 0
    listed = json.loads((place / "o.json").read_text())
    assert [(x["file"], x["decision"]) for x in listed] == [
        ("./films/dark.png", "no pneumonia"),
        ("./films/more/grey.jpeg", "refer"),
        ("./films/more/white.bmp", "pneumonia"),
    ]
    assert all(isinstance(x["probability"], float) for x in listed)
    with (place / "new/o.csv").open(newline="") as f:
        assert [r["decision"] for r in csv.DictReader(f)] == [x["decision"] for x in listed]
    assert (place / "o.html").read_text().count("data:image/png") == 6
    out = capsys.readouterr().out
    assert "3 films read: 1 pneumonia, 1 no pneumonia, 1 refer, 0 rejected" in out
    assert all(f"wrote {name}" in out for name in ("o.json", "new/o.csv", "o.html"))
    assert "Not a medical device" in out


def test_a_zip_is_looked_into_alone_and_in_a_folder(place: Path) -> None:
    with zipfile.ZipFile(place / "films/study.zip", "w") as packed:
        for name in ("dark.png", "more/white.bmp"):
            packed.write(place / "films" / name, f"ward/{name}")
    assert read("films/study.zip", "--json", "o.json", "--overlays", "pictures") == 0
    listed = json.loads((place / "o.json").read_text())
    inside = [("films/study.zip/ward/dark.png", "no pneumonia")]
    inside.append(("films/study.zip/ward/more/white.bmp", "pneumonia"))
    assert [(x["file"], x["decision"]) for x in listed] == inside
    assert len(list((place / "pictures").glob("*.png"))) == 2
    assert read("films", "--json", "all.json") == 0
    listed = json.loads((place / "all.json").read_text())
    assert [(x["file"], x["decision"]) for x in listed][3:] == inside


def test_a_dicomdir_is_read_by_its_list(place: Path) -> None:
    from dicom_films import dicom_film

    for i in (1, 2):
        (place / f"{i}.dcm").write_bytes(dicom_film(i, InstanceNumber=i, SeriesNumber=1))
    files = FileSet()
    for i in (1, 2):
        files.add(place / f"{i}.dcm")
    files.write(place / "cd")
    with warnings.catch_warnings():  # pydicom leaves its own temporary folder to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        del files
        gc.collect()
    assert read("cd/DICOMDIR", "--json", "o.json") == 0
    listed = json.loads((place / "o.json").read_text())
    assert len(listed) == 2
    assert all(x["file"].startswith("cd/") and x["probability"] is not None for x in listed)


def test_bad_films_are_listed_and_the_code_is_one(place: Path) -> None:
    (place / "films/text.png").write_text("no picture")
    code = read("films/more", "films/notes.txt", "gone.png", "films", "--json", "o.json")
    assert code == 1
    listed = {x["file"]: x for x in json.loads((place / "o.json").read_text())}
    assert list(listed) == [
        "films/more/grey.jpeg",
        "films/more/white.bmp",
        "films/notes.txt",
        "gone.png",
        "films/dark.png",
        "films/text.png",
    ]
    for name in ("films/notes.txt", "gone.png", "films/text.png"):
        assert listed[name]["decision"] == "rejected"
        assert listed[name]["probability"] is None
        assert listed[name]["reasons"]


def test_an_empty_folder_beside_a_full_one_is_only_mentioned(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "empty").mkdir()
    assert read("empty", "films") == 0
    assert "empty: no films" in capsys.readouterr().err
    assert read("empty", "--json", "o.json") == 2
    assert "no films found" in capsys.readouterr().err
    assert not (place / "o.json").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gone.png"], "gone.png: no such file"),
        (["films", "--bundle", "nowhere"], "nowhere: no such bundle"),
        (["films", "--json", "films"], "is a folder"),
        (["films", "--json", "films/dark.png"], "one of the films"),
        (["films", "--json", "films/notes.txt/o.json"], "cannot be written"),
        (["films", "--json", "same", "--csv", "./same"], "two outputs"),
        (["films", "--threads", "0"], "whole number"),
    ],
)
def test_nothing_is_done_and_one_line_says_why(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    before = sorted(place.rglob("*"))
    assert read(*arguments) == 2
    got = capsys.readouterr()
    assert says in got.err.splitlines()[-1]
    assert got.out == ""
    assert sorted(place.rglob("*")) == before


def test_a_changed_bundle_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = place / "bundle/model.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    assert read("films", "--json", "o.json") == 2
    assert "model.onnx: changed" in capsys.readouterr().err
    assert not (place / "o.json").exists()


def test_an_interrupt_writes_what_is_finished(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = Reader.read

    def stop_at_white(self: Reader, source: Readable, *told: object) -> Opinion:
        if "white" in getattr(source, "name", ""):
            raise KeyboardInterrupt
        return judge(self, source, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "read", stop_at_white)
    assert read("films", "--json", "o.json", "--html", "o.html") == 130
    assert len(json.loads((place / "o.json").read_text())) == 2
    assert "2 of 3 films" in (place / "o.html").read_text()
    assert "interrupted: 2 of 3 films were read" in capsys.readouterr().err


def test_an_interrupt_leaves_an_earlier_result_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read("films", "--json", "o.json", "--csv", "o.csv")
    before = (place / "o.json").read_bytes(), (place / "o.csv").read_bytes()

    def stop(self: Reader, source: Readable, *told: object) -> Opinion:
        if calls:
            raise KeyboardInterrupt
        calls.append(source)
        return judge(self, source, *told)  # type: ignore[arg-type]

    calls: list[Readable] = []
    judge = Reader.read
    monkeypatch.setattr(Reader, "read", stop)
    assert read("films", "--json", "o.json", "--csv", "o.csv") == 130
    assert before == ((place / "o.json").read_bytes(), (place / "o.csv").read_bytes())
    assert "o.json: left as it was" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_in_the_middle_of_a_real_process(place: Path) -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 255, (1500, 1500), dtype=np.uint8)
    Image.fromarray(large).save(place / "films/large.png", compress_level=1)
    for i in range(600):
        (place / f"films/large{i}.png").symlink_to("large.png")
    arguments = ["read", "films", "--bundle", "bundle", "--json", "o.json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "firstread.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 30
    assert "interrupted" in err
    assert "Traceback" not in err
    assert 1 <= len(json.loads((place / "o.json").read_text())) < 600


@pytest.mark.skipif(os.name == "nt", reason="homes are found otherwise there")
def test_a_user_without_a_home_finds_nothing_left_behind(place: Path) -> None:
    """matplotlib, which draws the PDF, then makes a folder in the system's temporary one."""
    (place / "tmp").mkdir()
    told = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "MPL"))}
    told |= {"HOME": str(place / "films/notes.txt"), "TMPDIR": str(place / "tmp")}
    words = ["read", "films/dark.png", "--bundle", "bundle", "--pdf", "pdf"]
    done = subprocess.run(
        [sys.executable, "-m", "firstread", *words],
        env={**told, "FIRSTREAD_ENGINE": "onnxruntime"},
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == 0
    assert [p.name for p in (place / "pdf").iterdir()] == ["films_dark.pdf"]
    assert list((place / "tmp").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a shell")
def test_a_terminal_that_was_closed_before(place: Path) -> None:
    line = f"{sys.executable} -m firstread.cli.main read films --bundle bundle --json o.json >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads((place / "o.json").read_text())) == 3


def test_a_closed_pipe_does_not_lose_the_files(place: Path) -> None:
    command = f'"{sys.executable}" -m firstread.cli.main read films --bundle bundle --json o.json'
    done = subprocess.run(["bash", "-c", f"{command} | true"], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(json.loads((place / "o.json").read_text())) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_stdout_does_not_lose_the_files(place: Path) -> None:
    command = f'"{sys.executable}" -m firstread.cli.main read films --bundle bundle --json o.json'
    for unbuffered in ("", "1"):
        env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        line = ["bash", "-c", f"{command} > /dev/full"]
        done = subprocess.run(line, capture_output=True, text=True, env=env)
        assert done.returncode == 2
        assert done.stderr == "firstread: the disk is full; free space or choose another place\n"
    assert len(json.loads((place / "o.json").read_text())) == 3
