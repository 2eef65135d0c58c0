"""Where films lie: files, folders, DICOMDIRs and zips, walked without unpacking anything.

A `Source` is a film's name and a way to its bytes. Nothing is written to disk, so that a path
inside of a zip, however unfriendly, is a name and no more; and no film is read before its turn.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from firstread.errors import (
    FilmError,
    FilmTooLarge,
    FolderNotFound,
    NoFilms,
    Shortage,
    UnreadableFilm,
)
from firstread.film.decode import FILM_SUFFIXES, MAX_BYTES, read_bytes
from firstread.film.files import DICOMDIR, is_litter, walk_films
from firstread.film.forks import Lock
from firstread.film.shortage import shortage

MOST_CONTENTS = 16 * 2**20
"""Bytes of a zip's table of contents beyond which it is refused, since it is held in memory."""

MOST_RATIO, FREE_RATIO = 250, 2**24
"""A film in a zip that unpacks to over 250 times its size is refused, beyond 16 MiB. Films pack
to a half or a third; deflate's limit, which bombs use, is 1,032."""

ZIP = ".zip"

Note = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """A film before it is read.

    `name`: as given, joined with the path below it. `path`: the file it is in. `member`: its
    entry, where that file is a zip.
    """

    name: str
    path: Path
    member: str | None = None

    def read_bytes(self) -> bytes:
        """The film's bytes, at most `MAX_BYTES`. Raises a `FilmError` or `FolderNotFound`."""
        if self.member is None:
            return read_bytes(self.path)
        return _read_member(self.path, self.member)


def iter_sources(given: Iterable[str], note: Note = lambda text: None) -> Iterator[Source]:
    """The films under the paths `given`, in their order, no film twice.

    A file is taken whatever it is called, and also if it does not exist, so that it is listed as
    rejected; unless nothing given exists (`FolderNotFound`). A folder's films are found as by
    `find_films`, zips below it are looked into, and its DICOMDIR is passed over, since what it
    lists lies there too. Raises `NoFilms` at the end where there was none; `note` is told what
    was passed over.
    """
    given = list(given)
    if not any(os.path.lexists(path) for path in given):
        raise FolderNotFound(f"{given[0]}: no such file or folder; check the path")
    seen: set[tuple[str, str | None]] = set()
    for path in given:
        for source in _under(path, note):
            film = os.path.abspath(source.path), source.member  # noqa: PTH100 links stay links
            if film not in seen:
                seen.add(film)
                yield source
    if not seen:
        raise NoFilms(
            f"{given[0]}: no films found; give JPEG, PNG, TIFF, BMP or DICOM files, a folder or "
            "a zip that holds some"
        )


def _under(given: str, note: Note) -> Iterator[Source]:
    path = Path(given)
    if not os.path.isdir(path):  # noqa: PTH112 a Path's own method raises where it may not look
        yield from _file(given, path, note)
        return
    empty = True
    links: list[str] = []

    def passed(link: Path) -> None:
        if os.path.exists(link) and _below(link, path):  # noqa: PTH110 walked anyway
            return
        links.append(os.path.join(given, os.path.relpath(link, path)))  # noqa: PTH118

    for film in walk_films(path, (ZIP,), passed):
        if film.name.upper() == DICOMDIR:
            continue
        name = os.path.join(given, os.path.relpath(film, path))  # noqa: PTH118 keeps "./"
        for source in _file(name, film, note):
            empty = False
            yield source
    if links:
        few = "1 link is" if len(links) == 1 else f"{len(links):,} links are"
        note(f"{given}: {few} not followed (first: {links[0]}); name what is to be read")
    if empty:
        note(f"{given}: no films in this folder")


def _file(name: str, path: Path, note: Note) -> Iterator[Source]:
    if path.name.upper() == DICOMDIR and os.path.isfile(path):  # noqa: PTH113
        yield from _listed(name, path, note)
    elif path.suffix.lower() == ZIP and os.path.isfile(path):  # noqa: PTH113
        yield from _members(name, path, note)
    else:
        yield Source(name, path)


def _listed(name: str, path: Path, note: Note) -> Iterator[Source]:
    """The images that a DICOMDIR lists (PS3.10), those of them that lie below its folder."""
    from firstread.film.dicom import read_dataset
    from firstread.film.guard import MOST_READS_OF_LIST
    from firstread.film.quiet import quiet

    try:
        with quiet:
            listed = read_dataset(read_bytes(path), most_reads=MOST_READS_OF_LIST)
            records = listed.DirectoryRecordSequence
            files = [
                [record.ReferencedFileID]
                if isinstance(record.ReferencedFileID, str)
                else [str(part) for part in record.ReferencedFileID]
                for record in records
                if record.get("DirectoryRecordType") == "IMAGE" and record.get("ReferencedFileID")
            ]
    except Exception:  # pydicom raises nearly anything on broken bytes
        yield Source(name, path)  # read as a film it is rejected, and listed with the others
        return
    for parts in files:
        film = path.parent.joinpath(*parts)
        if not os.path.exists(film):  # noqa: PTH110 CDs are often shown in lower case
            lower = [part.lower() for part in parts]
            if os.path.exists(path.parent.joinpath(*lower)):  # noqa: PTH110
                parts, film = lower, path.parent.joinpath(*lower)
        if not _below(film, path.parent):
            note(f"{name}: lists a file outside of its folder, which is passed over")
            continue
        yield Source(os.path.join(os.path.dirname(name), *parts), film)  # noqa: PTH118, PTH120


def _below(path: Path, folder: Path) -> bool:
    """Whether `path` is in `folder`, its links and its ".." followed."""
    try:
        return folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte
        return False


def _members(name: str, path: Path, note: Note) -> Iterator[Source]:
    """The films in a zip, by their names or, without an ending, by the DICOM mark."""
    try:
        archive = _opened(path)
    except UnreadableFilm:
        yield Source(name, path, "")  # read as a film it is rejected for the same reason
        return
    taken: set[str] = set()
    for info in archive.infolist():
        inner = PurePosixPath(info.filename)
        # Not is_dir(), which some Pythons let fail on an entry without a name.
        if not info.filename or info.filename.endswith("/"):
            continue
        if any(is_litter(p) for p in inner.parts if p != ".."):
            continue
        if info.filename in taken:
            note(f"{name}/{info.filename}: is there twice; only the last is read")
        elif inner.suffix.lower() in {*FILM_SUFFIXES, ZIP} or _marked(path, info, inner):
            taken.add(info.filename)
            yield Source(f"{name}/{info.filename}", path, info.filename)
    if not taken:
        note(f"{name}: no films in this zip")


def _marked(path: Path, info: zipfile.ZipInfo, inner: PurePosixPath) -> bool:
    """Whether an entry without an ending (or with a number for one) begins as DICOM does."""
    if inner.name.upper() == DICOMDIR or (inner.suffix and not inner.suffix[1:].isdigit()):
        return False
    if _refused(info) is not None:
        return True  # listed, and then rejected with that reason
    try:
        with _opened(path).open(info) as file:
            return file.read(132)[128:] == b"DICM"
    except Exception:  # zlib, bz2 and lzma each raise their own
        return False


def _read_member(path: Path, member: str) -> bytes:
    archive = _opened(path)
    try:
        info = archive.getinfo(member)
        refused = _refused(info)
        if refused is not None:
            raise refused
        with archive.open(info) as file:
            return file.read(MAX_BYTES)  # zipfile goes no further than the size told, checked above
    except KeyError:
        raise UnreadableFilm("no longer in the zip; the zip was changed") from None
    except (FilmError, Shortage):
        raise
    except Exception as e:  # zlib, bz2 and lzma each raise their own
        raise shortage(e) or UnreadableFilm(
            f"damaged inside of the zip ({type(e).__name__}); copy the zip again"
        ) from None


def _refused(info: zipfile.ZipInfo) -> FilmError | None:
    """Why an entry is not unpacked; None where it may be."""
    if info.filename.lower().endswith(ZIP):
        return UnreadableFilm("a zip inside of a zip is not opened; unpack the outer one")
    if info.flag_bits & 1:
        return UnreadableFilm("encrypted inside of the zip; unpack it first")
    # Python's zipfile bounds what bzip2 and LZMA unpack only after it is in memory.
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return UnreadableFilm(
            f"packed in the zip by {packing(info)}, which is not unpacked here; unpack the zip and "
            "give the folder"
        )
    if info.file_size > max(FREE_RATIO, MOST_RATIO * info.compress_size):
        return FilmTooLarge("unpacks to far more than a film would; unpack the zip first")
    if info.file_size > MAX_BYTES:
        return FilmTooLarge(f"larger than {MAX_BYTES // 2**20} MiB; save the film by itself")
    return None


def packing(info: zipfile.ZipInfo) -> str:
    """What a zip's entry is packed by: `bzip2`, or a method without a name by its number."""
    return {
        8: "deflate", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz"
    }.get(info.compress_type, f"method {info.compress_type}")  # fmt: skip


_opening = Lock()


def _opened(path: Path) -> zipfile.ZipFile:
    """The zip, kept open: its table of contents is read once and not for every film."""
    try:
        info = path.stat()
        with _opening:
            return _open(path, info.st_mtime_ns, info.st_size, os.getpid())
    except OSError as e:
        raise shortage(e) or UnreadableFilm(f"the zip cannot be opened ({e.strerror})") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        raise UnreadableFilm("a damaged zip; copy it again") from None


@lru_cache(maxsize=4)
def _open(path: Path, changed: int, size: int, process: int) -> zipfile.ZipFile:
    """The zip as of that time and size. Each `process` opens its own: a fork shares the place in
    the file with its parent, and each would read on where the other one has been."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined] # as ZipFile itself finds it
    if end and end[_CONTENTS] > MOST_CONTENTS:
        raise UnreadableFilm("a zip of too many files to list; unpack it")
    return zipfile.ZipFile(path)


_CONTENTS = 5
"""Where the size of the table of contents stands in the end record (APPNOTE 4.3.16)."""
