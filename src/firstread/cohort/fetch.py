"""A public set, from its source to a folder ready to train on.

Everything happens in `DIR.part` beside `DIR`: the archive, then the films. Only when each
count is the known one is the folder renamed to `DIR`, so `DIR` is the whole set or is not
there. A run that was killed goes on in `DIR.part`. In the end what we put there goes, and nothing
else. `SOURCE.json` in `DIR` says what it is, where it came from and whom to cite.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import firstread
from firstread.cohort import unpack
from firstread.cohort.download import PIECES, Retry, download
from firstread.cohort.film_names import parse_name
from firstread.cohort.sources import Source, Way
from firstread.errors import DownloadError, MissingExtra, OutputError
from firstread.film.files import real, write_atomic
from firstread.plural import count
from firstread.progress import BytesLine, ProgressLine, in_words

RECORD = "SOURCE.json"
LOCK = "lock"
NAMELESS = 0.05
"""Share of films whose name may tell no patient before we say it is another set."""


@dataclass(frozen=True)
class Fetched:
    """What lies in `root` now. `already`: it was there before. `notes`: for the user's eyes."""

    root: Path
    counts: Mapping[str, int]
    way: str
    already: bool = False
    notes: tuple[str, ...] = ()


def fetch(
    source: Source,
    to: Path,
    *,
    via: str = "",
    given: Path | None = None,
    stream: IO[str] | None = None,
    retry: Retry | None = None,
) -> Fetched:
    """Bring `source` into the folder `to`, which must be missing, empty or already whole.

    `via`: name of the way, the first if empty. `given`: an archive or an unpacked folder to
    use instead of a download. `stream`: where progress is shown (none if None). Raises
    `DownloadError`, `OutputError` or `MissingExtra`; nothing half made is left at `to`.
    """
    if source.manual:
        raise DownloadError(f"{source.name}: has to be fetched by hand: {'; '.join(source.manual)}")
    to = Path.cwd() / to
    way = _way(source, via)
    if (there := _already(source, to)) is not None:
        return there
    work = to.with_name(to.name + ".part")
    _keep_given(work / "films", given)
    with _alone(work):
        by_hand = (
            f"download {way.archive} from {way.page} in a browser, then run: firstread data get "
            f"{source.name} --from {way.archive} --to {to}"
        )
        origin = given or _fetch_archive(way, work, by_hand, stream, retry)
        ours = given is None and not origin.is_dir()
        chosen, notes = _unpack(source, way, origin, work / "films", ours, stream)
        if ours and way.archive_bytes and origin.stat().st_size != way.archive_bytes:
            notes.append(
                f"the archive has {origin.stat().st_size:,} bytes, others reported "
                f"{way.archive_bytes:,}; all films are there"
            )
        held = source.way_of(chosen.counts) or way
        record = _record(source, held, origin, chosen)
        write_atomic(work / "films" / RECORD, json.dumps(record, indent=2) + "\n")
        unpack.put_in_place(work / "films", to)
        if not _tidy(work, source, given):
            notes.append(f"{work}: stays, for it holds files that are not of this download")
    return Fetched(to, chosen.counts, held.name, notes=tuple(notes))


def _way(source: Source, via: str) -> Way:
    for way in source.ways:
        if via in ("", way.name):
            return way
    known = ", ".join(w.name for w in source.ways)
    raise DownloadError(f"{source.name}: no way called {via!r}; use {known}")


def _keep_given(films: Path, given: Path | None) -> None:
    """Raise `OutputError` where what is not of the set, and goes from `films`, is the user's."""
    inside = given is not None and real(films) in (real(given), *real(given).parents)
    if inside or films.is_symlink():
        raise OutputError(
            f"{films}: is where the set is put together and all else is taken away; move what lies "
            "there to another folder"
        )


def _already(source: Source, to: Path) -> Fetched | None:
    """What is at `to`, if it is this set and whole; `OutputError` if it is something else, or
    nothing that a finished folder could take the place of."""
    if to.exists() and not to.is_dir():
        raise OutputError(f"{to}: is a file; name a folder that is not there yet with --to")
    if not to.exists() or not any(to.iterdir()):
        if to.is_symlink() or os.path.ismount(to):
            what = "a link" if to.is_symlink() else "a mounted volume"
            raise OutputError(
                f"{to}: is {what}, which no folder can replace; name a folder inside it with --to"
            )
        return None
    try:
        record = json.loads((to / RECORD).read_text(encoding="utf-8"))
        name, counts, way = record["source"], dict(record["counts"]), str(record["way"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{to}: holds other files; name a folder that is not there yet with --to"
        ) from None
    if name != source.name:
        raise OutputError(f"{to}: holds {name}; name another folder with --to")
    found = unpack.count_films(to, list(counts))
    for folder, n in counts.items():
        if found[folder] != n:
            raise OutputError(
                f"{to}: {folder} holds {found[folder]} films where {n} were unpacked; move the "
                f"folder away and run this again"
            )
    return Fetched(to, counts, way, already=True)


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold `work` against a second run that would write the same files."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = (work / LOCK).open("a")
    except OSError as e:
        raise OutputError(
            f"{work}: cannot be made ({e.strerror}); name another folder with --to"
        ) from None
    with lock:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutputError(f"{work}: another run is at work there; let it end") from None
            except OSError:
                pass  # a file system without locks
        try:
            yield
        finally:
            if work.is_dir() and [p.name for p in work.iterdir()] == [LOCK]:
                _remove(work, [LOCK])  # nothing was fetched that a next run could use


def _tidy(work: Path, source: Source, given: Path | None) -> bool:
    """Remove what was downloaded into `work`, and `work` if the user keeps nothing there; whether
    it is gone. `given`, the user's own, stays even there."""
    fetched = [way.archive + end for way in source.ways if way.url for end in PIECES]
    mine = None if given is None else real(given)
    return _remove(work, [LOCK, *(name for name in fetched if real(work / name) != mine)])


def _remove(work: Path, names: Iterable[str]) -> bool:
    with contextlib.suppress(OSError):
        for name in names:
            (work / name).unlink(missing_ok=True)
        work.rmdir()
    return not work.exists()


def _fetch_archive(
    way: Way, work: Path, by_hand: str, stream: IO[str] | None, retry: Retry | None
) -> Path:
    """The archive, or for Kaggle the folder its client unpacked into its own cache."""
    if way.handle:
        return _from_kaggle(way, by_hand)
    target = work / way.archive
    if stream is None:
        return download(way.url, target, by_hand=by_hand, retry=retry)
    line = BytesLine(way.archive, stream=stream)
    try:
        return download(way.url, target, by_hand=by_hand, progress=line, say=line.say, retry=retry)
    finally:
        line.close()


def _from_kaggle(way: Way, by_hand: str) -> Path:
    try:
        import kagglehub
    except ImportError:
        raise MissingExtra(
            f"--via {way.name} needs kagglehub; install firstread[train], or {by_hand}"
        ) from None
    try:
        return Path(kagglehub.dataset_download(way.handle))
    except Exception as e:  # its own errors, those of requests and of the disk share no base
        why = " ".join(str(e).split())[:200] or type(e).__name__
        raise DownloadError(f"Kaggle: {why}; run it again, or {by_hand}") from None


def _unpack(
    source: Source, way: Way, origin: Path, into: Path, ours: bool, stream: IO[str] | None
) -> tuple[unpack.Plan, list[str]]:
    """List, check and write the films; an archive of our own that is not as it should be is
    removed, since the publisher may mend it."""
    try:
        entries = unpack.list_folder(origin) if origin.is_dir() else unpack.list_zip(origin)
        chosen = unpack.plan(entries, source, origin)
        notes = _check(source, way, chosen, origin)
        line = None
        if stream is not None:
            stream.write(f"unpacking {len(chosen.films):,} films ({in_words(chosen.n_bytes)})\n")
            line = ProgressLine("unpacking", stream=stream)
        if origin.is_dir():
            unpack.copy_folder(origin, chosen, into, line)
        else:
            unpack.unpack_zip(origin, chosen, into, line)
    except DownloadError as fault:
        if not ours:
            raise
        origin.unlink(missing_ok=True)
        raise DownloadError(f"{fault} (removed: the same command downloads it anew)") from None
    if unpack.count_films(into, list(chosen.counts)) != chosen.counts:
        raise DownloadError(f"{into}: films went missing while unpacking; run it again")
    if chosen.second_copies:
        notes.append(f"{chosen.second_copies:,} films were in it twice; one copy kept")
    if chosen.left_out:
        notes.append(f"{chosen.left_out:,} other files left out")
    return chosen, notes


def _check(source: Source, way: Way, chosen: unpack.Plan, origin: Path) -> list[str]:
    """Hold the list of films against what is known of the set, before any is written."""
    if source.way_of(chosen.counts) is None:
        near = min([way, *source.ways], key=lambda w: len(_differing(w.counts, chosen.counts)))
        wrong = ", ".join(
            f"{f} {chosen.counts.get(f, 0)} instead of {near.counts.get(f, 0)}"
            for f in _differing(near.counts, chosen.counts)
        )
        raise DownloadError(
            f"{origin}: not the films expected of {source.name} ({wrong}); get it again from "
            f"{way.page}, or unpack it by hand and run: firstread data check FOLDER"
        )
    nameless = [t for t in chosen.films if parse_name(t.rpartition("/")[2])[2] is None]
    if len(nameless) > NAMELESS * len(chosen.films):
        raise DownloadError(
            f"{origin}: {count(len(nameless), 'film is', 'films are')} not named as those of "
            f"{source.name} are (first: {nameless[0]}); get it again from {way.page}"
        )
    return [f"{t}: its name tells no patient" for t in nameless]


def _differing(known: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    return [f for f in {**known, **found} if known.get(f, 0) != found.get(f, 0)]


def _record(source: Source, way: Way, origin: Path, chosen: unpack.Plan) -> dict[str, object]:
    """SOURCE.json. The sha256 is what we saw, for a later comparison; none is published."""
    archive: dict[str, object] = {"name": origin.name}
    if origin.is_file():
        with origin.open("rb") as f:
            archive |= {
                "bytes": origin.stat().st_size,
                "sha256": hashlib.file_digest(f, "sha256").hexdigest(),
            }
    return {
        "format": 1,
        "source": source.name,
        "title": source.title,
        "way": way.name,
        "url": way.url or way.page,
        "page": way.page,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": source.licence,
        "citation": source.citation,
        "counts": chosen.counts,
        "films": len(chosen.films),
        "bytes": chosen.n_bytes,
        "archive": archive,
        "firstread": firstread.__version__,
    }
