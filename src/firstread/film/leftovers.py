"""Part files, in which a file is written before it gets its name, and those of killed processes.

A part file is hidden, lies beside the file it is to become, and is called::

    .<name>.<place>-<pid>-<life>.<random>.part      .<name>.<random>.part where there is no place

A process that is killed leaves its part files, and nobody but the next one that writes there can
take them away. It must not touch one that is being written. What tells them apart is the process
id in the name, and nothing that a file system has to do: locks do not reach another machine on
many network shares, hang on some, and open a gap between making a file and locking it. A process
id says something within one boot of one machine and one namespace of process ids (a container
has its own), so these are the `place`, and only there "no such process" is proof.

All else is kept for a week without a write: files of another machine or container, of a boot
before, of systems without /proc, of earlier versions. That is no proof, so it is long, longer than
any pause between two writes of a part file, a laptop shut over a weekend among them. If it was
wrong, the writer's rename fails and says so; no file is lost unseen.

A folder that is written whole has a part folder of such a name, and while it replaces another one
that one stands aside as `<part folder>.old`. Folders are taken away by none but who knows what
they hold (`firstread.read.bundle`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

WEEK = 7 * 24 * 3600.0
"""Seconds without a write after which a part file is taken for left, whoever began it."""

MOST = 4096
"""Folders remembered as looked through; a node makes a new one for each film, for years."""

ASIDE = ".old"
"""Ends the name of what steps aside for a part folder."""

_NAME = 40
"""Letters of the target's name in its part file's; the whole would be too long for some."""

_PART = re.compile(
    r"\.(?P<target>.+?)\.(?:(?P<place>[0-9a-f]{12})-(?P<pid>[0-9]{1,7})-(?P<life>[0-9a-f]{8})\.)?"
    r"[0-9a-f]{12}\.part",
    re.DOTALL,
)
_LIFE = secrets.token_hex(4)
"""Of this process: a process id is given again, in a container after each start."""

_looked: set[str] = set()


def part_of(target: Path) -> Path:
    """A new name for the part file of `target`."""
    place = _place()
    whose = "" if place is None else f"{place}-{os.getpid()}-{_LIFE}."
    return target.with_name(f".{target.name[:_NAME]}.{whose}{secrets.token_hex(6)}.part")


@contextlib.contextmanager
def part_file(target: Path) -> Iterator[BinaryIO]:
    """A part file to write to: in the end it becomes `target`, or goes where it does not come to
    that. Raises `OSError`."""
    part = part_of(target)
    try:
        with part.open("xb") as out:
            # Before the bytes: what was left may be what they need room for.
            clear(target.parent, os.fstat(out.fileno()).st_mtime)
            yield out
        part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def clear(folder: Path, now: float) -> None:
    """Take away the part files in `folder` that nobody is writing any more.

    Looks once into each folder, so that a batch of any length lists its folder once. `now`: the
    time by the clock of the folder's file system, which may not be ours. Says nothing of what
    cannot be listed or taken away: whoever writes a file is not at fault for another one.
    """
    if str(folder) in _looked:
        return
    if len(_looked) >= MOST:
        _looked.clear()
    _looked.add(str(folder))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".part") and (found := _PART.fullmatch(entry.name)):
                with contextlib.suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(about.st_mode) and _is_left(found, now - about.st_mtime):
                        Path(entry.path).unlink()


def left_folders(folder: Path, now: float) -> list[Path]:
    """The part folders in `folder`, and what steps aside for one, whose process is gone.

    `now` as for `clear`. None where `folder` cannot be listed.
    """
    left = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if found := _PART.fullmatch(entry.name.removesuffix(ASIDE)):
                with contextlib.suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    # A folder that is renamed keeps the time of its last write.
                    last = max(about.st_mtime, about.st_ctime)
                    if stat.S_ISDIR(about.st_mode) and _is_left(found, now - last):
                        left.append(Path(entry.path))
    return left


def stands_aside_for(path: Path, target: Path) -> bool:
    """Whether `path` is what stepped aside when `target` was replaced; never of a name that is cut
    short in `path`, as another's might be too."""
    found = _PART.fullmatch(path.name.removesuffix(ASIDE))
    return (
        path.name.endswith(ASIDE)
        and found is not None
        and found["target"] == target.name
        and len(target.name) < _NAME
    )


def _is_left(name: re.Match[str], age: float) -> bool:
    if name["place"] is None or name["place"] != _place():
        return age > WEEK
    pid = int(name["pid"])
    if pid == os.getpid():
        return name["life"] != _LIFE
    return not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


@functools.cache
def _place() -> str | None:
    """Where process ids mean what they mean to us; None where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().hex()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return None
    # With the host's name too, should machines be copies of one that was running.
    return hashlib.sha256(f"{os.uname().nodename} {boot} {space}".encode()).hexdigest()[:12]
