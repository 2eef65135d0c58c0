"""Files on disk: finding films under the paths a user names, and writing results whole.

A result is written to a temporary file beside its place and renamed over it, so that a full
disk, a kill or a Ctrl-C leaves either the old file or the new one, never half of one. What a kill
leaves of the temporary one, the next process that writes beside it takes away
(`firstread.film.leftovers`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from firstread.errors import FolderNotFound, OutputError
from firstread.film.decode import FILM_SUFFIXES
from firstread.film.leftovers import part_file

DICOMDIR = "DICOMDIR"
"""The table of contents of a DICOM medium (PS3.10): DICOM, and no film."""

LITTER = frozenset(
    {"__MACOSX", "Thumbs.db", "DICOMDIR", "lost+found", "System Volume Information"}
    | {"$RECYCLE.BIN", "$Recycle.Bin", "#recycle", "@Recycle", "@eaDir"}
)
"""Names that unpackers and viewers leave among films, and what systems and network disks keep at
the top of a disk or in each folder: places that nobody may list, films that were thrown away, small
copies of films."""


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as `utf8`) to `path` whole or not at all; its folder is made if
    missing.

    Raises `OutputError` where the place cannot be written or the disk is full.
    """
    write_atomic_parts(path, [utf8(data) if isinstance(data, str) else data])


def write_changed(path: Path, text: str) -> None:
    """`write_atomic`, but a file that says just that already is left alone."""
    if not (path.is_file() and path.read_bytes() == utf8(text)):
        write_atomic(path, text)


def utf8(text: str) -> bytes:
    r"""Text as UTF-8. A file's name that is none, of an old archive or disc, may be in it: such a
    byte is written as `\udcfc`, as the terminal shows it and JSON spells it.
    """
    return text.encode(errors="backslashreplace")


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    r"""A table as CSV.

    >>> csv_text(("file", "label"), [("a, b.png", 1)])
    'file,label\n"a, b.png",1\n'
    """
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def as_written(name: str) -> str:
    r"""A file's name as a file of ours that `write_atomic` wrote holds it.

    >>> as_written("M\udcfcller.jpeg")
    'M\\udcfcller.jpeg'
    """
    return utf8(name).decode()


def write_atomic_parts(path: Path, parts: Iterable[bytes]) -> None:
    """`write_atomic` for what is made piece by piece and need not fit into memory.

    What `parts` raises goes on to the caller, and nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; name a file to write to")
        if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
            with path.open("wb") as out:
                out.writelines(parts)
            return
        target = real(path)  # a link stays a link, and its file is replaced
        with part_file(target) as out:
            out.writelines(parts)
            out.flush()
            os.fsync(out.fileno())
            if target.exists():
                Path(out.name).chmod(target.stat().st_mode & 0o777)
    except OSError as e:
        raise cannot_write(path, e) from None


def cannot_write(path: str | Path, e: OSError) -> OutputError:
    """What is raised in the place of `e` where a file could not be written."""
    return OutputError(
        f"{path}: cannot be written ({e.strerror}); free space or choose another place"
    )


def real(path: str | Path) -> Path:
    """Where a path leads in the end. Of links that lead in a circle, at which `Path.resolve` gives
    up with an error before 3.13, it is one of them."""
    return Path(os.path.realpath(path))


def find_films(paths: Iterable[Path]) -> list[Path]:
    """The films under `paths`, in the order given, each folder's films sorted by path.

    A file is returned as it is, whatever its ending: the user has named it. A folder is
    walked, not through links to other folders; hidden names and `LITTER` are skipped; a file
    counts as a film by its ending, or, without one, by the DICOM mark. No path is returned twice.
    Raises `FolderNotFound` for a path that does not exist.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found.update(dict.fromkeys(walk_films(path)))
        elif path.exists():
            found[path] = None
        else:
            raise FolderNotFound(f"{path}: no such file or folder; check the path")
    return list(found)


def walk_films(
    folder: Path,
    also: tuple[str, ...] = (),
    passed: Callable[[Path], object] = lambda link: None,
) -> Iterator[Path]:
    """The films below `folder` as `find_films` has them, sorted, while they are being found.

    Only the entries of the folders on the way down are held. `also`: endings that count as
    well, lower case. `passed` is told each link that may lead to films and is not followed: to a
    folder, or by its name a film that is not there. Raises `FolderNotFound` for a folder that
    cannot be listed.
    """
    ways = [_entries(folder, top=True)]
    while ways:
        entry = next(ways[-1], None)
        if entry is None:
            ways.pop()
        elif is_litter(entry.name):
            continue
        elif entry.is_dir(follow_symlinks=False):
            if not is_junction(entry):  # one into a folder above it would never end
                ways.append(_entries(Path(entry.path)))
            else:
                passed(Path(entry.path))
        elif _is_film(Path(entry.path), also):
            yield Path(entry.path)
        elif entry.is_symlink() and _may_hold_films(Path(entry.path), also):
            passed(Path(entry.path))


def _entries(folder: Path, top: bool = False) -> Iterator[os.DirEntry[str]]:
    """A folder's entries by name, so that going down at each gives its films sorted by path.

    None of a folder below the `top` one that was taken away while it was come to.
    """
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=lambda entry: entry.name))
    except OSError as e:  # a folder that cannot be listed must not pass for an empty one
        if isinstance(e, FileNotFoundError) and not top:
            return iter(())
        raise FolderNotFound(
            f"{folder}: cannot be listed ({e.strerror}); check its permissions"
        ) from None


def is_litter(name: str) -> bool:
    """Whether a file or folder of that name is a hidden one, or `LITTER`."""
    return name.startswith(".") or name in LITTER


def is_junction(place: Path | os.DirEntry[str]) -> bool:
    """Whether it is a link of Windows that passes for a folder; never before Python 3.12."""
    return bool(getattr(place, "is_junction", bool)())


def _may_hold_films(link: Path, also: tuple[str, ...]) -> bool:
    """Whether a link that is no film leads to a folder, or to nothing and is called as a film."""
    named = link.suffix.lower() in {*FILM_SUFFIXES, *also}
    try:
        return link.is_dir() or (named and not link.exists())
    except (OSError, RuntimeError):  # links in a circle, before 3.13
        return named


def _is_film(path: Path, also: tuple[str, ...]) -> bool:
    suffix = path.suffix.lower()
    if suffix in FILM_SUFFIXES or suffix in also:
        try:
            return path.is_file()
        except OSError:  # it may not be looked at: to be listed, as one that cannot be read
            return True
    # PACS exports name files by number or UID (1.2.840.1): what looks like an ending is none.
    if suffix and not suffix[1:].isdigit():
        return False
    try:
        if not path.is_file():  # a pipe would block
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
