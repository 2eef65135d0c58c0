"""Finding films and writing whole files."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from firstread.errors import FolderNotFound, OutputError
from firstread.film import files
from firstread.film.files import as_written, find_films, walk_films, write_atomic


def touch(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_is_walked_and_litter_skipped(tmp_path: Path) -> None:
    dicom = bytes(128) + b"DICM"
    wanted = [
        touch(tmp_path / "a" / "IM-1.JPEG"),
        touch(tmp_path / "a" / "b" / "film.dcm"),
        touch(tmp_path / "c.tiff"),
        touch(tmp_path / "c" / "1.2.840.77", dicom),
        touch(tmp_path / "c" / "IM000001", dicom),
    ]
    touch(tmp_path / "notes.txt", dicom)
    touch(tmp_path / "c" / "README")
    touch(tmp_path / "c" / "empty", b"")
    touch(tmp_path / ".hidden.png")
    touch(tmp_path / "._IM-1.jpeg")
    touch(tmp_path / ".cache" / "x.png")
    touch(tmp_path / "__MACOSX" / "a" / "IM-1.jpeg")
    touch(tmp_path / "c" / "DICOMDIR", dicom)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert find_films([tmp_path]) == sorted(wanted)


def test_what_systems_keep_on_a_disk_is_no_folder_of_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = touch(tmp_path / "a.png")
    for thrown_away in ("$RECYCLE.BIN/S-1/$R1.png", "#recycle/b.png", "@eaDir/a.png/XL.png"):
        touch(tmp_path / thrown_away)
    scandir = os.scandir

    def refusing(folder: Path) -> object:
        if folder.name in {"lost+found", "System Volume Information"}:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    for locked in ("lost+found", "System Volume Information"):
        (tmp_path / locked).mkdir()
    monkeypatch.setattr(files.os, "scandir", refusing)
    assert find_films([tmp_path]) == [film]
    # Named by themselves they are looked into.
    assert [p.name for p in find_films([tmp_path / "#recycle"])] == ["b.png"]


def test_junctions_of_windows_are_links_to_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Entry:
        """A folder's entry as Python 3.12 and later give it on Windows."""

        def __init__(self, entry: os.DirEntry[str]):
            self.name, self.path, self.is_dir = entry.name, entry.path, entry.is_dir

        def is_junction(self) -> bool:
            return self.name == "junction"

    film = touch(tmp_path / "real" / "x.png")
    touch(tmp_path / "junction" / "x.png")
    entries = files._entries
    monkeypatch.setattr(files, "_entries", lambda *given, **how: map(Entry, entries(*given, **how)))
    assert find_films([tmp_path]) == [film]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    film = touch(tmp_path / "real" / "x.png")
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "again").symlink_to(tmp_path / "real")
    (tmp_path / "walk" / "loop").symlink_to(tmp_path / "walk")
    (tmp_path / "walk" / "gone.png").symlink_to(tmp_path / "nowhere")
    link = tmp_path / "walk" / "link.png"
    link.symlink_to(film)
    assert find_films([tmp_path / "walk"]) == [link]


def test_named_files_come_as_they_are_in_order_and_once(tmp_path: Path) -> None:
    odd = touch(tmp_path / "z.odd")
    film = touch(tmp_path / "d" / "a.png")
    assert find_films([odd, film, tmp_path / "d", odd]) == [odd, film]
    assert find_films([]) == []


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(FolderNotFound, match="nowhere"):
        find_films([tmp_path / "nowhere"])


def test_write_replaces_whole_and_keeps_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.json"
    write_atomic(path, "grey é")
    assert path.read_bytes() == "grey é".encode()
    plain = touch(tmp_path / "plain")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    write_atomic(link, b"two")
    assert link.is_symlink()
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["out.json"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = touch(tmp_path / "out.html", b"old")

    def full(_: int) -> None:
        raise error

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_atomic(path, "new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.html"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"):
        write_atomic(tmp_path, "x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(touch(tmp_path / "file") / "out.json", "x")
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / ("long" * 100), "x")
    write_atomic(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write and list anything")
def test_folders_without_permission(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    try:
        with pytest.raises(FolderNotFound, match="permissions"):
            find_films([tmp_path])
        with pytest.raises(OutputError):
            write_atomic(locked / "out.json", "x")
    finally:
        locked.chmod(0o700)


def test_text_with_a_name_that_is_no_utf8_is_written_in_utf8(tmp_path: Path) -> None:
    name = os.fsdecode("Mü".encode() + b"\xfcller.jpeg")
    write_atomic(tmp_path / "a.csv", f"{name},1\n")
    assert (tmp_path / "a.csv").read_text("utf-8") == "Mü\\udcfcller.jpeg,1\n"
    assert as_written(name) == "Mü\\udcfcller.jpeg"
    write_atomic(tmp_path / "a.json", json.dumps({"file": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"file": name}


def test_a_film_that_may_not_be_looked_at_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    touch = [tmp_path / name for name in ("a.png", "sub/b.png")]
    for path in touch:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"film")
    (tmp_path / "long.png").symlink_to("x" * 300 + ".png")
    assert [p.name for p in find_films([tmp_path])] == ["a.png", "long.png", "b.png"]


def test_a_folder_that_goes_while_it_is_walked_ends_nothing(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"film")
    found = walk_films(tmp_path)
    assert next(found).name == "1.png"
    shutil.rmtree(tmp_path / "b")
    assert [p.name for p in found] == ["3.png"]
