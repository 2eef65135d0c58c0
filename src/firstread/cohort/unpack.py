"""Films out of an archive, and nothing else.

An archive is first only listed. Entries that could write outside the folder, links, and
sizes beyond reason condemn the whole archive; then the films are picked by the folders they
lie in, `.../train/NORMAL/film.jpeg`, whatever stands above. Litter of macOS is left out, and
so is a second copy of the set further down (the Kaggle archive holds one), if it is one.
The same picking works for a folder that was unpacked by hand or by Kaggle's own client.

Writing resumes: a film that is there with the right size and checksum is kept. The caller
gives a folder that is renamed into place once all is well.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from firstread.cohort.download import need_room
from firstread.cohort.sources import Source
from firstread.errors import DownloadError, OutputError
from firstread.film.decode import FILM_SUFFIXES
from firstread.film.walk import packing
from firstread.plural import count

MAX_ENTRIES = 200_000
MAX_TOTAL = 20 << 30
"""Bytes that one set may unpack to; the largest we fetch has 1.3 GB."""
MAX_RATIO = 200
"""How far one film may shrink when packed: JPEGs hardly do, a bomb reaches 1,000."""
RATIO_FROM = 1 << 20
"""Bytes below which the ratio is not looked at: a small blank picture may shrink well."""

Tick = Callable[[int, int], None]
"""Called with the films done and the films in all."""


@dataclass(frozen=True)
class Entry:
    """One file that was found. `name`: where, with `/`; `crc`: of a zip entry, else None."""

    name: str
    size: int
    crc: int | None = None


@dataclass(frozen=True)
class Plan:
    """What will be unpacked: `films` maps `part/label/name` to its entry.

    `second_copies`: films found again further down; `left_out`: other files.
    """

    films: dict[str, Entry]
    second_copies: int = 0
    left_out: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Films a folder."""
        return dict(Counter(target.rpartition("/")[0] for target in self.films))

    @property
    def n_bytes(self) -> int:
        """Bytes of all films."""
        return sum(e.size for e in self.films.values())


def list_zip(archive: Path) -> list[Entry]:
    """The files in a zip, or `DownloadError` if it is broken or unsafe."""
    with _open(archive) as packed:
        infos = packed.infolist()
        if len(infos) > MAX_ENTRIES:
            raise DownloadError(
                f"{archive}: holds {len(infos):,} entries; not the archive expected"
            )
        for info in infos:
            if why := _unsafe(info):
                raise DownloadError(
                    f"{archive}: entry {info.filename[:80]!r} {why}; do not unpack this archive, "
                    f"download it again from its publisher"
                )
    return [Entry(i.filename, i.file_size, i.CRC) for i in infos if not i.is_dir()]


def list_folder(folder: Path) -> list[Entry]:
    """The files below a folder, links left out; `DownloadError` if there is no such folder."""
    if not folder.is_dir():
        raise DownloadError(f"{folder}: no such folder; check the path given as --from")
    return [
        Entry(p.relative_to(folder).as_posix(), p.stat().st_size)
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_symlink()
    ]


def _open(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except FileNotFoundError:
        raise DownloadError(f"{archive}: no such file; check the path given as --from") from None
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as e:
        raise DownloadError(
            f"{archive}: not a whole zip archive ({e}); download it again, or unpack it "
            "by hand and give the folder"
        ) from None


def _unsafe(info: zipfile.ZipInfo) -> str:
    """Why this entry condemns the archive; empty if it does not."""
    name = info.orig_filename  # before zipfile cuts it at a NUL or turns separators
    path = PurePosixPath(name)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if "\\" in name or "\0" in name or path.is_absolute() or ":" in name:
        return "has a name that is no plain relative path"
    if ".." in path.parts:
        return "points outside the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    # Python's zipfile bounds what bzip2 and LZMA unpack only after it is in memory.
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return f"is packed by {packing(info)}, not by deflate as sets are"
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"unpacks to {info.file_size:,} bytes from {info.compress_size:,}"
    return ""


def plan(entries: Iterable[Entry], source: Source, origin: Path) -> Plan:
    """Pick the films of `source` from `entries`.

    `origin`: named in errors. Raises `DownloadError` where no film is found, a film is
    empty, two differ under one name, or all together are beyond reason.
    """
    by_top: dict[tuple[str, ...], dict[str, Entry]] = {}
    left_out = 0
    for entry in entries:
        placed = _place(entry.name, source)
        if placed is None:
            left_out += 1
            continue
        top, target = placed
        if target in by_top.setdefault(top, {}):
            raise DownloadError(f"{origin}: holds {entry.name} twice; download it again")
        by_top[top][target] = entry
    if not by_top:
        wanted = "/".join((source.parts[0], next(iter(source.labels)))) if source.parts else ""
        raise DownloadError(
            f"{origin}: no film of {source.name} in it (looked for folders like {wanted}); "
            f"check that it is the right archive"
        )
    tops = sorted(by_top, key=lambda top: (len(top), top))
    films = by_top[tops[0]]
    second = 0
    for top in tops[1:]:
        for target, entry in by_top[top].items():
            kept = films.get(target)
            if kept is None or (kept.size, kept.crc) != (entry.size, entry.crc):
                raise DownloadError(
                    f"{origin}: holds two sets that differ ({entry.name}); unpack the one you "
                    f"want by hand and give its folder with --from"
                )
            second += 1
    chosen = Plan(dict(sorted(films.items())), second, left_out)
    _sane(chosen, origin)
    return chosen


def _place(name: str, source: Source) -> tuple[tuple[str, ...], str] | None:
    """(folders above the set, part/label/film) of a film; None for anything else."""
    *folders, film = PurePosixPath(name).parts
    litter = any(p.startswith(".") or p == "__MACOSX" for p in (*folders, film))
    if litter or PurePosixPath(film).suffix.lower() not in FILM_SUFFIXES:
        return None
    depth = 2 if source.parts else 1
    own = folders[-depth:]
    if len(own) < depth or own[-1] not in source.labels:
        return None
    if source.parts and own[0] not in source.parts:
        return None
    return tuple(folders[:-depth]), "/".join((*own, film))


def _sane(chosen: Plan, origin: Path) -> None:
    if chosen.n_bytes > MAX_TOTAL:
        raise DownloadError(
            f"{origin}: would unpack to {chosen.n_bytes:,} bytes; not the archive expected"
        )
    empty = [e.name for e in chosen.films.values() if e.size == 0]
    if empty:
        raise DownloadError(
            f"{origin}: {count(len(empty), 'film is', 'films are')} empty (first: {empty[0]}); "
            "download it again"
        )
    # On disks that fold case, "A.jpeg" and "a.jpeg" would overwrite each other.
    folded = Counter(t.casefold() for t in chosen.films)
    twice = [t for t in chosen.films if folded[t.casefold()] > 1]
    if twice:
        raise DownloadError(f"{origin}: {twice[0]} and another differ in case only; not unpacked")


def unpack_zip(archive: Path, chosen: Plan, into: Path, tick: Tick | None = None) -> None:
    """Write the films of `chosen` below `into`, each whole and checked against its CRC.

    Raises `DownloadError` for a damaged entry, `OutputError` where `into` cannot be written.
    """
    with _open(archive) as packed:
        _write_all(chosen, into, lambda e: packed.open(e.name), archive, tick)


def copy_folder(folder: Path, chosen: Plan, into: Path, tick: Tick | None = None) -> None:
    """Copy the films of `chosen`, listed from `folder`, below `into`; else as `unpack_zip`."""
    _write_all(chosen, into, lambda e: (folder / e.name).open("rb"), folder, tick)


def _write_all(
    chosen: Plan, into: Path, source: Callable[[Entry], IO[bytes]], origin: Path, tick: Tick | None
) -> None:
    tick = tick or (lambda done, total: None)
    try:
        into.mkdir(parents=True, exist_ok=True)
        _prune(into, chosen.films)
        missing = [t for t, e in chosen.films.items() if not _is_there(into / t, e)]
        need_room(into, sum(chosen.films[t].size for t in missing))
        for done, target in enumerate(missing):
            tick(len(chosen.films) - len(missing) + done, len(chosen.films))
            _write(into / target, chosen.films[target], source, origin)
        tick(len(chosen.films), len(chosen.films))
    except OSError as e:
        raise OutputError(
            f"{into}: cannot be written ({e.strerror or e}); free space or name another folder "
            f"with --to, then run the same command again"
        ) from None


def _write(place: Path, entry: Entry, source: Callable[[Entry], IO[bytes]], origin: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    damaged = f"{origin}: {entry.name} is damaged; download it again"
    with part.open("wb") as out:
        try:
            stream = source(entry)
        except PermissionError:
            raise DownloadError(
                f"{origin}: {entry.name} cannot be opened; check its permissions"
            ) from None
        # A wrong place in the archive is an OSError as well, which is none of the disk's.
        except (zipfile.BadZipFile, RuntimeError, KeyError, ValueError, OSError):
            raise DownloadError(damaged) from None
        with stream:
            _copy(stream, out, damaged)
    if part.stat().st_size != entry.size:
        raise DownloadError(damaged)
    part.replace(place)


def _copy(stream: IO[bytes], out: IO[bytes], damaged: str) -> None:
    """Copy all bytes; a read that fails is the archive's fault, a write that fails the disk's."""
    while True:
        try:
            block = stream.read(1 << 20)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
            raise DownloadError(damaged) from None
        if not block:
            return
        out.write(block)


def _is_there(place: Path, entry: Entry) -> bool:
    """Whether an earlier run wrote this very film (where no CRC is known: its size)."""
    if not place.is_file() or place.stat().st_size != entry.size:
        return False
    return entry.crc is None or zlib.crc32(place.read_bytes()) == entry.crc


def _prune(into: Path, films: Iterable[str]) -> None:
    """Remove what an earlier run left that is no film of this one."""
    wanted = set(films)
    for path in [p for p in into.rglob("*") if p.is_symlink() or p.is_file()]:
        if path.relative_to(into).as_posix() not in wanted:
            path.unlink()


def count_films(root: Path, folders: Sequence[str]) -> dict[str, int]:
    """Films in each of `folders` ("train/NORMAL") below `root`; empty files do not count."""
    found: dict[str, int] = {}
    for folder in folders:
        place = root / folder
        files = place.iterdir() if place.is_dir() else iter(())
        found[folder] = sum(
            p.suffix.lower() in FILM_SUFFIXES and p.is_file() and p.stat().st_size > 0
            for p in files
        )
    return found


def put_in_place(made: Path, to: Path) -> None:
    """Rename the finished folder `made` to `to`, which must be missing or empty."""
    try:
        if to.is_dir():
            to.rmdir()
        made.replace(to)
    except OSError as e:
        raise OutputError(
            f"{to}: cannot be put in place ({e.strerror}); name a folder that is not there yet"
        ) from None
