"""Folders, DICOMDIRs and zips: what is found, lazily, and what hostile ones cannot do."""

import gc
import os
import shutil
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from test_dicom import RAMP, dicom

from firstread.errors import FilmError, FilmTooLarge, FolderNotFound, NoFilms, UnreadableFilm
from firstread.film import decode, walk
from firstread.film import dicom as dicom_room
from firstread.film.walk import Source, iter_sources
from forked import in_child

FILM = dicom(RAMP, 12)


def touch(path: Path, data: bytes = FILM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def found(*given: Path | str) -> tuple[list[str], list[str]]:
    """Names below the first path, and the remarks."""
    notes: list[str] = []
    sources = list(iter_sources([str(g) for g in given], notes.append))
    return [s.name.removeprefix(f"{given[0]}/") for s in sources], notes


def test_a_study_folder_with_all_that_lies_in_one(tmp_path: Path) -> None:
    for name in ("ST1/SE1/IM1", "ST1/SE1/1.2.840.7", "b.dcm", "ST1/c.PNG"):
        touch(tmp_path / name)
    for name in ("README", ".DS_Store", "notes.txt", "DICOMDIR", "ST1/dicomdir"):
        touch(tmp_path / name, FILM if name.upper().endswith("DICOMDIR") else b"x" * 200)
    zipped(tmp_path / "more.zip", {"x/IM2": FILM, "readme.txt": b"x"})
    names, notes = found(tmp_path)
    assert names == ["ST1/SE1/1.2.840.7", "ST1/SE1/IM1", "ST1/c.PNG", "b.dcm", "more.zip/x/IM2"]
    assert notes == []


def test_named_files_are_taken_whatever_they_are(tmp_path: Path) -> None:
    odd = touch(tmp_path / "README", b"hello")
    names, _ = found(odd, tmp_path / "gone.png", odd)
    assert names == [str(odd), str(tmp_path / "gone.png")]
    with pytest.raises(FolderNotFound):
        found(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoFilms):
        found(tmp_path / "empty")


def test_a_path_that_may_not_be_looked_at_stops_no_other(tmp_path: Path) -> None:
    """Python raises for some, where it says False of others."""
    good = touch(tmp_path / "a.dcm")
    names, _ = found(tmp_path / ("x" * 300), good)
    assert names == [str(tmp_path / ("x" * 300)), str(good)]
    with pytest.raises(FilmError):
        Source(names[0], Path(names[0])).read_bytes()


def test_names_keep_the_path_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "in" / "a.dcm")
    monkeypatch.chdir(tmp_path)
    assert [s.name for s in iter_sources(["./in", "in/a.dcm"])] == ["./in/a.dcm"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path / "d" / "a.dcm")
    (tmp_path / "d" / "loop").symlink_to(tmp_path)
    (tmp_path / "self.dcm").symlink_to(tmp_path / "self.dcm")
    assert found(tmp_path)[0] == ["d/a.dcm"]


def test_links_that_are_not_followed_are_told(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.dcm")
    touch(tmp_path / "archive" / "b.dcm")
    (tmp_path / "in" / "link.dcm").symlink_to(tmp_path / "archive" / "b.dcm")  # a film: read
    (tmp_path / "in" / "notes.txt").symlink_to(tmp_path / "gone.txt")
    (tmp_path / "in" / "IM0001").symlink_to(tmp_path / "gone")
    (tmp_path / "in" / "monday").mkdir()
    (tmp_path / "in" / "latest").symlink_to("monday")  # is come to anyway
    names, notes = found(tmp_path / "in")
    assert (names, notes) == (["a.dcm", "link.dcm"], [])
    (tmp_path / "in" / "2024").symlink_to(tmp_path / "archive")
    (tmp_path / "in" / "lost.png").symlink_to(tmp_path / "gone.png")
    names, notes = found(tmp_path / "in")
    assert names == ["a.dcm", "link.dcm"]
    where = os.path.join(tmp_path, "in")  # noqa: PTH118
    assert notes == [
        f"{where}: 2 links are not followed (first: {where}/2024); name what is to be read"
    ]


def test_the_walk_goes_on_only_as_films_are_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.dcm")
    touch(tmp_path / "b" / "2.dcm")
    sources = iter_sources([str(tmp_path)])
    assert next(sources).name.endswith("a/1.dcm")
    touch(tmp_path / "b" / "3.dcm")  # not listed yet, so it is still found
    assert [s.path.name for s in sources] == ["2.dcm", "3.dcm"]


def test_memory_does_not_grow_with_the_films(tmp_path: Path) -> None:
    """Three thousand films, in a folder and in a zip: names, never contents."""
    first = touch(tmp_path / "s" / "0000.dcm", bytes(2**16))
    for i in range(1, 1500):
        os.link(first, tmp_path / "s" / f"{i:04}.dcm")
    data = np.random.default_rng(0).bytes(2**14)
    zipped(tmp_path / "z.zip", {f"{i:04}.dcm": data for i in range(1500)}, zipfile.ZIP_STORED)
    tracemalloc.start()
    try:
        sources = iter_sources([str(tmp_path)])
        assert sum(len(s.read_bytes()) for s in sources) == 1500 * (2**16 + 2**14)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6


def medium(folder: Path, films: int = 3) -> Path:
    """A folder with a DICOMDIR, as a CD has it."""
    files = FileSet()
    for i in range(films):
        ds = pydicom.dcmread(touch(folder.parent / f"in{i}.dcm"))
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{i + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.4", "1.2.5"
        ds.PatientID, ds.StudyDate, ds.StudyTime, ds.StudyID = "1", "20200101", "120000", "1"
        ds.SeriesNumber, ds.InstanceNumber = 1, i
        files.add(ds)
    files.write(folder)
    with warnings.catch_warnings():  # pydicom leaves its own temporary folder to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        del files, ds
        gc.collect()
    return folder / "DICOMDIR"


def test_a_dicomdir_lists_its_images(tmp_path: Path) -> None:
    table = medium(tmp_path / "cd")
    sources = list(iter_sources([str(table)]))
    assert len(sources) == 3
    assert all(s.path.is_relative_to(tmp_path / "cd") for s in sources)
    assert all(decode(s.read_bytes()).width == RAMP.shape[1] for s in sources)
    by_folder = list(iter_sources([str(tmp_path / "cd")]))
    assert {s.name for s in by_folder} == {s.name for s in sources}
    assert len(list(iter_sources([str(table), str(tmp_path / "cd")]))) == 3


def test_a_dicomdir_shown_in_lower_case(tmp_path: Path) -> None:
    table = medium(tmp_path / "cd", 1)
    (film,) = [s.path for s in iter_sources([str(table)])]
    lower = tmp_path / "lower" / str(film.relative_to(tmp_path / "cd")).lower()
    lower.parent.mkdir(parents=True)
    shutil.copy(film, lower)
    shutil.copy(table, tmp_path / "lower" / "dicomdir")
    assert [s.path for s in iter_sources([str(tmp_path / "lower" / "dicomdir")])] == [lower]


@pytest.mark.parametrize(
    "parts", [["..", "secret.dcm"], ["/etc", "passwd"], ["LINK", "secret.dcm"], [""]]
)
def test_a_dicomdir_cannot_point_outside(tmp_path: Path, parts: list[str]) -> None:
    table = medium(tmp_path / "cd", 2)
    touch(tmp_path / "secret.dcm")
    (tmp_path / "cd" / "LINK").symlink_to(tmp_path)
    ds = pydicom.dcmread(table)
    images = [r for r in ds.DirectoryRecordSequence if r.DirectoryRecordType == "IMAGE"]
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        element = pydicom.DataElement(0x00041500, "CS", parts, validation_mode=0)
        images[0][0x00041500] = element
        ds.save_as(table)
    finally:
        pydicom.config.settings.writing_validation_mode = pydicom.config.RAISE
    notes: list[str] = []
    sources = list(iter_sources([str(table)], notes.append))
    assert len(sources) == 1
    assert all(s.path.resolve().is_relative_to(tmp_path / "cd") for s in sources)
    if parts != [""]:
        assert "outside of its folder" in notes[0]


def test_a_broken_dicomdir_is_listed_as_a_film_and_rejected(tmp_path: Path) -> None:
    table = touch(tmp_path / "DICOMDIR", b"broken" * 50)
    (source,) = iter_sources([str(table)])
    with pytest.raises(UnreadableFilm):
        decode(source.read_bytes())


def test_films_in_a_zip(tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "in.zip",
        {"st/IM1": FILM, "st/a.dcm": FILM, "README": b"x" * 200, "__MACOSX/a.dcm": b"", "d/": b""},
    )
    sources = list(iter_sources([str(archive)]))
    assert [s.name for s in sources] == [f"{archive}/st/IM1", f"{archive}/st/a.dcm"]
    assert all(s.read_bytes() == FILM for s in sources)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zip"]


def test_unfriendly_names_in_a_zip_write_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    zipped(folder / "x.zip", {"../../up.dcm": FILM, "/etc/abs.dcm": FILM, "a\\..\\b.dcm": FILM})
    sources = list(iter_sources([str(folder)]))
    assert len(sources) == 3
    assert all(s.path == folder / "x.zip" and s.read_bytes() == FILM for s in sources)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "x.zip"]


def refused(path: Path) -> str:
    (source,) = iter_sources([str(path)])
    with pytest.raises((UnreadableFilm, FilmTooLarge)) as error:
        source.read_bytes()
    assert str(tmp := path.parent) not in str(error.value), tmp
    return str(error.value)


def test_a_zip_in_a_zip_is_refused_by_name(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "in.zip", {"a.dcm": FILM}).read_bytes()
    assert "zip inside of a zip" in refused(zipped(tmp_path / "out.zip", {"in.ZIP": inner}))


def test_an_encrypted_film_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.dcm": FILM, "a": b"x" * 200}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path)


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")]
)
def test_packing_that_cannot_be_bounded_is_refused(tmp_path: Path, method: int, name: str) -> None:
    said = refused(zipped(tmp_path / "x.zip", {"IM1": FILM}, method))
    assert f"packed in the zip by {name}, which is not unpacked here; unpack the zip" in said


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.dcm": bytes(2**24 + 1)})
    assert "far more than a film" in refused(path)
    assert "larger than" in refused(_lying(path, 2**30, 2**29))


def _lying(path: Path, size: int, packed: int) -> Path:
    """The zip with other sizes told in its table of contents."""
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = packed.to_bytes(4, "little") + size.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def test_a_size_told_too_small_is_no_way_in(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.dcm": bytes(2**24 + 1)})
    assert "damaged" in refused(_lying(path, 1000, 1000))


def test_damage(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.dcm": FILM, "b.dcm": FILM}, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(FILM[1000:1100], bytes(100), 1))
    first, second = iter_sources([str(path)])
    with pytest.raises(UnreadableFilm, match="damaged inside"):
        first.read_bytes()
    assert second.read_bytes() == FILM
    path.write_bytes(whole[:-100])
    assert "damaged zip" in refused(path)
    path.unlink()
    with pytest.raises(UnreadableFilm, match="cannot be opened"):
        second.read_bytes()


def test_a_zip_changed_meanwhile(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.dcm": FILM})
    (source,) = iter_sources([str(path)])
    zipped(path, {"other.dcm": FILM, "b.dcm": FILM})
    with pytest.raises(UnreadableFilm, match="no longer in the zip"):
        source.read_bytes()


def test_a_table_of_contents_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_CONTENTS", 1000)
    path = zipped(tmp_path / "x.zip", {f"{i}.dcm": b"" for i in range(100)})
    assert "too many files" in refused(path)


def test_the_same_name_twice_in_a_zip_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.dcm", b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.dcm", FILM)
    names, notes = found(path)
    assert names == ["a.dcm"]
    assert "twice" in notes[0]
    assert Source("", path, "a.dcm").read_bytes() == FILM


def test_a_zip_without_films_says_so(tmp_path: Path) -> None:
    film = touch(tmp_path / "a.dcm")
    path = zipped(tmp_path / "x.zip", {"readme.txt": b"x"})
    assert found(film, path)[1] == [f"{path}: no films in this zip"]
    with pytest.raises(NoFilms):
        found(path)


def test_a_deflated_bomb_behind_a_long_header_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transfer syntax stands where a glance at the first bytes would not see it."""
    monkeypatch.setattr(dicom_room, "MOST_INFLATED", 10_000)
    syntax = dicom_room.DEFLATED
    private = b"\x02\x00\x02\x01OB\x00\x00" + (5000).to_bytes(4, "little") + bytes(5000)
    head = b"\x02\x00\x10\x00UI" + (len(syntax)).to_bytes(2, "little") + syntax
    packer = zlib.compressobj(wbits=-15)
    body = packer.compress(bytes(1_000_000)) + packer.flush()
    marked = bytes(128) + b"DICM"
    for start in (marked + private + head, marked + head + private, head + private):
        with pytest.raises(FilmTooLarge, match="unpacks to more"):
            decode(start + body)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_opens_a_zip_of_its_own(tmp_path: Path) -> None:
    """With the parent's, each would move the other's place in the file."""
    path = zipped(tmp_path / "z.zip", {"a.dcm": FILM})
    (source,) = iter_sources([str(path)])
    here = walk._opened(path)
    with walk._opening:  # as a thread may that is not there in the child
        assert in_child(
            lambda: source.read_bytes() == FILM and walk._opened(path) is not here,
        )
    assert walk._opened(path) is here
