"""Archives as they come: with litter, with a second copy, damaged, or out to do harm."""

import errno
import shutil
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from firstread.cohort import unpack
from firstread.cohort.sources import GUANGZHOU
from firstread.cohort.unpack import Entry, list_folder, list_zip, plan, unpack_zip
from firstread.errors import DownloadError, OutputError

FILMS = {
    "train/NORMAL/IM-0001-0001.jpeg": b"normal one",
    "train/PNEUMONIA/person1_virus_1.jpeg": b"viral one",
    "test/NORMAL/NORMAL2-IM-0001-0001.jpeg": b"normal two",
    "test/PNEUMONIA/person1_bacteria_1.jpeg": b"bacterial one",
}


def pack(path: Path, files: dict[str, bytes], above: str = "chest_xray/") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(above + name, data)
    return path


def add(path: Path, name: str, data: bytes = b"x", mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        info = zipfile.ZipInfo(name)
        info.filename = info.orig_filename = name  # as written by a hostile packer
        info.external_attr = mode << 16
        packed.writestr(info, data)
    return path


def unpacked(archive: Path, into: Path) -> dict[str, bytes]:
    unpack_zip(archive, plan(list_zip(archive), GUANGZHOU, archive), into)
    return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}


@pytest.mark.parametrize("above", ["", "chest_xray/", "CellData/chest_xray/"])
def test_films_come_out_whatever_stands_above(tmp_path: Path, above: str) -> None:
    archive = pack(tmp_path / "a.zip", FILMS, above)
    chosen = plan(list_zip(archive), GUANGZHOU, archive)
    assert chosen.counts == dict.fromkeys(
        ("test/NORMAL", "test/PNEUMONIA", "train/NORMAL", "train/PNEUMONIA"), 1
    )
    assert chosen.n_bytes == sum(map(len, FILMS.values()))
    assert unpacked(archive, tmp_path / "out") == FILMS


def test_litter_and_other_files_are_left_out(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", FILMS)
    for name in (
        "chest_xray/.DS_Store",
        "chest_xray/train/NORMAL/.DS_Store",
        "chest_xray/train/NORMAL/._IM-0001-0001.jpeg",
        "__MACOSX/chest_xray/train/NORMAL/IM-0002-0001.jpeg",
        "chest_xray/__MACOSX/train/NORMAL/IM-0003-0001.jpeg",
        "chest_xray/train/NORMAL/notes.txt",
        "chest_xray/train/NORMAL/run.exe",
        "chest_xray/train/OTHER/IM-0004-0001.jpeg",
        "chest_xray/IM-0005-0001.jpeg",
        "OCT2017/train/CNV/CNV-1.jpeg",
    ):
        add(archive, name)
    chosen = plan(list_zip(archive), GUANGZHOU, archive)
    assert chosen.left_out == 10
    assert unpacked(archive, tmp_path / "out") == FILMS


def test_nested_second_copy_is_dropped(tmp_path: Path) -> None:
    archive = pack(
        tmp_path / "a.zip", {**FILMS, **{f"chest_xray/{n}": d for n, d in FILMS.items()}}
    )
    assert plan(list_zip(archive), GUANGZHOU, archive).second_copies == len(FILMS)
    assert unpacked(archive, tmp_path / "out") == FILMS


@pytest.mark.parametrize("name", ["IM-0001-0001.jpeg", "IM-0009-0001.jpeg"])
def test_nested_set_that_differs_is_not_dropped(tmp_path: Path, name: str) -> None:
    """One of the same length but other content, and one that the upper set lacks."""
    archive = pack(tmp_path / "a.zip", FILMS)
    add(archive, f"chest_xray/chest_xray/train/NORMAL/{name}", b"NORMAL ONE")
    with pytest.raises(DownloadError, match="two sets that differ"):
        plan(list_zip(archive), GUANGZHOU, archive)


@pytest.mark.parametrize(
    "name",
    [
        "../../train/NORMAL/IM-0002-0001.jpeg",
        "chest_xray/../../../train/NORMAL/IM-0002-0001.jpeg",
        "/etc/train/NORMAL/IM-0002-0001.jpeg",
        "C:/train/NORMAL/IM-0002-0001.jpeg",
        "chest_xray\\..\\train\\NORMAL\\IM-0002-0001.jpeg",
        "../evil.txt",
    ],
)
def test_names_that_lead_outside_condemn_the_archive(tmp_path: Path, name: str) -> None:
    archive = add(pack(tmp_path / "a.zip", FILMS), name)
    with pytest.raises(DownloadError, match="do not unpack this archive"):
        list_zip(archive)


def test_links_and_devices_condemn_the_archive(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        archive = pack(tmp_path / f"{kind}.zip", FILMS)
        add(archive, "chest_xray/train/NORMAL/IM-0002-0001.jpeg", b"/etc/passwd", kind | 0o777)
        with pytest.raises(DownloadError, match="is a link or a device"):
            list_zip(archive)


def test_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {**FILMS, "train/NORMAL/IM-2-1.jpeg": b"\0" * (3 << 20)})
    with pytest.raises(DownloadError, match="unpacks to 3,145,728 bytes from"):
        list_zip(archive)


def test_bomb_is_refused_by_its_size_and_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "a.zip", FILMS)
    monkeypatch.setattr(unpack, "MAX_TOTAL", 10)
    with pytest.raises(DownloadError, match="would unpack to 42 bytes"):
        plan(list_zip(archive), GUANGZHOU, archive)
    monkeypatch.setattr(unpack, "MAX_ENTRIES", 3)
    with pytest.raises(DownloadError, match="holds 4 entries"):
        list_zip(archive)


def test_encrypted_entry_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("train/NORMAL/IM-0001-0001.jpeg")
    info.flag_bits = 1
    assert unpack._unsafe(info) == "is encrypted"


@pytest.mark.parametrize("keep", [0, 10, 200, -5])
def test_truncated_archive(tmp_path: Path, keep: int) -> None:
    archive = pack(tmp_path / "a.zip", FILMS)
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DownloadError, match=r"not a whole zip archive.*download it again"):
        list_zip(archive)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("<html>Please log in</html>")
    with pytest.raises(DownloadError, match="not a whole zip"):
        list_zip(tmp_path / "a.zip")
    with pytest.raises(DownloadError, match="no such file"):
        list_zip(tmp_path / "none.zip")
    with pytest.raises(DownloadError, match="no such folder"):
        list_folder(tmp_path / "none")


def test_changed_byte_is_found_by_the_crc(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in FILMS.items():
            packed.writestr(name, data)
    archive.write_bytes(archive.read_bytes().replace(b"viral one", b"viral 0ne"))
    with pytest.raises(DownloadError, match=r"person1_virus_1\.jpeg is damaged; download it again"):
        unpacked(archive, tmp_path / "out")
    assert not (tmp_path / "out/train/PNEUMONIA/person1_virus_1.jpeg").exists()


def test_second_run_writes_only_what_is_missing(tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "a.zip", FILMS), tmp_path / "out"
    unpacked(archive, out)
    kept = out / "train/NORMAL/IM-0001-0001.jpeg"
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    (out / "test/NORMAL/NORMAL2-IM-0001-0001.jpeg").write_bytes(b"normal TWO")  # same length
    (out / "test/PNEUMONIA/person1_bacteria_1.jpeg").unlink()
    (out / "test/PNEUMONIA/person1_bacteria_1.jpeg.part").write_bytes(b"bac")
    (out / "test/PNEUMONIA/person9_bacteria_1.jpeg").write_bytes(b"of another set")
    assert unpacked(archive, out) == FILMS
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before


def test_ticks_count_to_the_end(tmp_path: Path) -> None:
    archive, seen = pack(tmp_path / "a.zip", FILMS), []
    chosen = plan(list_zip(archive), GUANGZHOU, archive)
    unpack_zip(archive, chosen, tmp_path / "out", lambda done, total: seen.append((done, total)))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_archive_without_films_of_the_set(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", {"a.txt": b"x", "NORMAL/IM-1-1.jpeg": b"x"})
    with pytest.raises(DownloadError, match=r"no film of chest-xray-pneumonia.*train/NORMAL"):
        plan(list_zip(archive), GUANGZHOU, archive)


def test_empty_film_is_refused() -> None:
    entries = [Entry("train/NORMAL/IM-1-1.jpeg", 0, 0)]
    with pytest.raises(DownloadError, match="1 film is empty"):
        plan(entries, GUANGZHOU, Path("a.zip"))


def test_same_name_twice_is_refused() -> None:
    twice = [Entry("train/NORMAL/IM-1-1.jpeg", 1, 5), Entry("train/NORMAL/IM-1-1.jpeg", 1, 6)]
    with pytest.raises(DownloadError, match="twice"):
        plan(twice, GUANGZHOU, Path("a.zip"))
    folded = [Entry("train/NORMAL/IM-1-1.jpeg", 1, 5), Entry("train/NORMAL/im-1-1.jpeg", 1, 6)]
    with pytest.raises(DownloadError, match="differ in case only"):
        plan(folded, GUANGZHOU, Path("a.zip"))


def test_folder_is_copied_without_its_links(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name, data in FILMS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "train/NORMAL/IM-0002-0001.jpeg").symlink_to("/etc/passwd")
    chosen = plan(list_folder(folder), GUANGZHOU, folder)
    unpack.copy_folder(folder, chosen, tmp_path / "out")
    out = tmp_path / "out"
    assert {
        p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()
    } == FILMS
    assert unpack.count_films(out, ["train/NORMAL", "val/NORMAL"]) == {
        "train/NORMAL": 1,
        "val/NORMAL": 0,
    }


def test_too_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path / "a.zip", FILMS)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(OutputError, match="are needed"):
        unpacked(archive, tmp_path / "out")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_zipfile_would_unpack_without_a_bound_is_refused(tmp_path: Path, packing: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", packing) as packed:
        packed.writestr("train/NORMAL/a.jpeg", b"x" * 3000)
    with pytest.raises(DownloadError, match=r"is packed by (bzip2|LZMA), not by deflate"):
        list_zip(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("mark", "at", "value", "said"),
    [
        (b"PK\1\2", 6, 99, "not a whole zip archive"),  # wants a zip program of version 9.9
        (b"PK\5\6", 16, 200, "is damaged"),  # the table of contents is said to lie elsewhere
        (b"PK\3\4", 30, 0x8B, "is damaged"),  # a name that is no UTF-8, and says it is
    ],
)
def test_a_spoilt_byte_is_the_archives_fault_and_not_the_disks(
    tmp_path: Path, mark: bytes, at: int, value: int, said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("train/NORMAL/ä.jpeg", b"x" * 3000)
    spoilt = bytearray((tmp_path / "a.zip").read_bytes())
    spoilt[spoilt.index(mark) + at] = value
    (tmp_path / "a.zip").write_bytes(spoilt)
    with pytest.raises(DownloadError, match=said):
        unpacked(tmp_path / "a.zip", tmp_path / "out")


def test_full_disk_is_not_called_a_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: object, out: object, damaged: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = pack(tmp_path / "a.zip", FILMS)
    monkeypatch.setattr(unpack, "_copy", full)
    with pytest.raises(OutputError, match=r"No space left on device.*run the same command again"):
        unpacked(archive, tmp_path / "out")


def test_put_in_place_takes_an_empty_folder_only(tmp_path: Path) -> None:
    made, to = tmp_path / "made", tmp_path / "to"
    made.mkdir()
    (made / "film").write_bytes(b"x")
    to.mkdir()
    unpack.put_in_place(made, to)
    assert (to / "film").exists()
    made.mkdir()
    with pytest.raises(OutputError, match="name a folder that is not there yet"):
        unpack.put_in_place(made, to)


def test_a_film_that_may_not_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    """In a folder that was given; said by the system, since root may open all."""

    def source(entry: Entry) -> IO[bytes]:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(DownloadError, match=r"a\.jpeg cannot be opened; check its permissions"):
        unpack._write(tmp_path / "out" / "a.jpeg", Entry("a.jpeg", 1), source, tmp_path)
