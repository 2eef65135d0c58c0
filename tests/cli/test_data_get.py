"""`firstread data get` as a user types it, from a loopback server to the summary."""

import argparse
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstread.cli import data
from firstread.cohort.sources import GUANGZHOU, SOURCES
from firstread.cohort.synthetic import write_folder
from firstread.errors import DownloadError, OutputError


def firstread_data(*words: str) -> int:
    parser = argparse.ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args(words))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The Guangzhou record, but with eight drawn films on a loopback server; its archive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = tmp_path / "served"
    made = write_folder(tmp_path / "made", 2, size=32, part="train")
    write_folder(made, 2, size=32, part="test")
    served.mkdir()
    with zipfile.ZipFile(served / "Set.zip", "w") as packed:
        for film in sorted(made.rglob("*.jpeg")):
            packed.write(film, Path("chest_xray") / film.relative_to(made))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    way = replace(
        GUANGZHOU.ways[0],
        archive="Set.zip",
        url=f"http://127.0.0.1:{httpd.server_address[1]}/Set.zip",
        counts={f"{p}/{c}": 2 for p in ("train", "test") for c in ("NORMAL", "PNEUMONIA")},
        archive_bytes=0,
    )
    monkeypatch.setitem(SOURCES, GUANGZHOU.name, replace(GUANGZHOU, ways=(way,)))
    yield served / "Set.zip"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.mark.usefixtures("at_once")
def test_download_to_summary_and_again(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = str(tmp_path / "set")
    assert firstread_data("get", "chest-xray-pneumonia", "--to", to) == 0
    shown = capsys.readouterr()
    assert "is ready (via mendeley): 8 films" in shown.out
    assert "train/PNEUMONIA: 2" in shown.out
    assert "licence: CC BY 4.0" in shown.out
    assert "cite: Kermany" in shown.out
    assert f"firstread data check {to}" in shown.out
    assert "(100 %)" in shown.err
    assert "unpacking 8 films" in shown.err
    assert "unpacking: 8 of 8 films" in shown.err
    assert firstread_data("get", "chest-xray-pneumonia", "--to", to) == 0
    assert "is complete already, nothing done: 8 films" in capsys.readouterr().out


def test_an_archive_that_was_mended_since_is_fetched_again(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = published.read_bytes()
    with zipfile.ZipFile(published, "a") as packed:
        packed.writestr("chest_xray/train/NORMAL/IM-0999-0001.jpeg", b"one too many")
    get = ("get", "chest-xray-pneumonia", "--to", str(tmp_path / "set"))
    with pytest.raises(DownloadError, match=r"NORMAL 3 instead of 2.*\(removed: the same command"):
        firstread_data(*get)
    assert not (tmp_path / "set.part").exists()
    published.write_bytes(good)
    assert firstread_data(*get) == 0
    assert "8 films" in capsys.readouterr().out


def test_a_wrong_archive_in_hand_is_kept(published: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(published, "w") as packed:
        packed.writestr("notes.txt", b"no film")
    with pytest.raises(DownloadError, match=r"check that it is the right archive$"):
        firstread_data(
            "get", "chest-xray-pneumonia", "--from", str(published), "--to", str(tmp_path / "set")
        )
    assert published.exists()


def test_archive_in_hand(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = str(tmp_path / "set")
    code = firstread_data("get", "chest-xray-pneumonia", "--from", str(published), "--to", to)
    assert code == 0
    assert "8 films" in capsys.readouterr().out
    assert published.exists()


def test_without_a_name_the_sets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert firstread_data("get") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in SOURCES)
    assert "(via mendeley or kaggle)" in shown


@pytest.mark.parametrize("name", ["nih-chestxray14", "rsna-pneumonia"])
def test_manual_sets_say_how_and_that_nothing_was_done(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert firstread_data("get", name, "--to", "anywhere") == 2
    shown = capsys.readouterr().out
    assert "  1. open https://" in shown
    assert "firstread data check films.csv" in shown


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no set called 'mnist'; known are chest-xray"):
        firstread_data("get", "mnist", "--to", str(tmp_path))
    with pytest.raises(OutputError, match="say where with --to DIR"):
        firstread_data("get", "chest-xray-pneumonia")
