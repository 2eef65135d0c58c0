"""Films whose bytes are those that were judged."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from firstread.errors import FolderNotFound, UnreadableFilm
from firstread.film.walk import Source
from firstread.read.judged import Judged


def test_a_file_gives_its_bytes_as_often_as_they_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    film = Judged(Source("a.png", path))
    assert film.name == "a.png"
    assert film.read_bytes() == film.read_bytes() == film.again() == b"one"
    path.write_bytes(b"two")
    for read in (film.again, film.read_bytes):
        with pytest.raises(UnreadableFilm, match="changed or taken away"):
            read()
    path.write_bytes(b"one")
    assert film.again() == b"one"
    path.unlink()
    with pytest.raises(UnreadableFilm, match="changed or taken away"):
        film.again()


def test_what_could_not_be_read_is_nothing_also_when_it_is_there_later(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    film = Judged(Source("a.png", path))
    with pytest.raises(FolderNotFound):
        film.read_bytes()
    path.write_bytes(b"later")
    assert film.again() is None


def test_of_a_zip_the_member_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"

    def pack(**members: bytes) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    pack(a=b"one", b=b"two")
    film = Judged(Source("a.zip/a", path, "a"))
    assert film.read_bytes() == b"one"
    pack(a=b"one", b=b"three")
    assert film.again() == b"one"
    pack(a=b"another", b=b"two")
    with pytest.raises(UnreadableFilm, match="changed or taken away"):
        film.again()


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["sh", "-c", 'printf one > "$0"', str(path)]):
        film = Judged(Source("pipe", path))
        assert film.read_bytes() == b"one"
    assert film.read_bytes() == film.again() == b"one"
