"""What killed processes leave is taken away, and what others are writing is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.film import leftovers
from firstread.film.files import write_atomic, write_atomic_parts
from firstread.film.leftovers import WEEK, part_of

linux = pytest.mark.skipif(
    leftovers._place() is None, reason="the system does not tell where process ids hold"
)

HOLDS = """
import sys, time
from pathlib import Path
from firstread.film.files import write_atomic_parts

def parts():
    yield b"half"
    print("begun", flush=True)
    time.sleep(600)

write_atomic_parts(Path(sys.argv[1]), parts())
"""

WRITES = """
import sys
from pathlib import Path
from firstread.film.files import write_atomic

print("begun", flush=True)
while True:
    for i in range(5):
        write_atomic(Path(sys.argv[1]) / f"{i}.json", str(i) * 200_000)
"""

Start = Callable[[str, Path], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a script and wait until it has begun; none outlives the test."""
    started = []

    def begin(script: str, path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def parts(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.endswith(".part")]


@linux
def test_the_next_process_takes_away_what_a_killed_one_left(tmp_path: Path, start: Start) -> None:
    """The next is `firstread read` itself; a process that is still writing goes on."""
    gone, alive = start(HOLDS, tmp_path / "gone.json"), start(HOLDS, tmp_path / "alive.json")
    kill(gone)
    assert len(parts(tmp_path)) == 2
    (tmp_path / "film.dcm").write_bytes(dicom_film(1))
    bundle = str(tiny_bundle(tmp_path / "bundle"))
    command = "-m", "firstread.cli.main", "read", tmp_path / "film.dcm", "--bundle", bundle
    outputs = "--json", tmp_path / "out.json"
    done = subprocess.run([sys.executable, *map(str, (*command, *outputs))], capture_output=True)
    assert done.returncode == 0, done.stderr
    (left,) = parts(tmp_path)
    assert left.startswith(".alive.json.")
    assert names(tmp_path) == [left, "bundle", "film.dcm", "out.json"]
    kill(alive)
    again = subprocess.run([sys.executable, *map(str, (*command, *outputs))], capture_output=True)
    assert again.returncode == 0
    assert parts(tmp_path) == []


@linux
def test_killed_at_any_moment_beside_one_that_writes(tmp_path: Path, start: Start) -> None:
    """Two write the same files in one folder; one is killed and begun again, ten times."""
    other = start(WRITES, tmp_path)
    left = 0
    for i in range(10):
        process = start(WRITES, tmp_path)
        time.sleep(0.01 * i)
        kill(process)
        left += any(f"-{process.pid}-" in name for name in parts(tmp_path))
    assert left  # some kills fell into a write
    assert other.poll() is None  # and no file was taken from under the other
    kill(other)
    leftovers._looked.clear()
    write_atomic(tmp_path / "0.json", "0" * 200_000)
    assert names(tmp_path) == [f"{i}.json" for i in range(5)]
    for i in range(5):
        assert (tmp_path / f"{i}.json").read_text() == str(i) * 200_000


def aged(path: Path, seconds: float) -> Path:
    path.write_bytes(b"half")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_of_other_places_only_what_is_a_week_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's process ids say nothing here, whether or not we have such a process."""
    hours = WEEK + 3600, WEEK - 3600
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(leftovers, "_place", lambda: "0123456789ab")
        elsewhere.setattr(os, "getpid", lambda: 9_999_999)  # no such process here
        old, young = (aged(part_of(tmp_path / "there.json"), age) for age in hours)
        elsewhere.setattr(leftovers, "_place", lambda: None)
        nowhere_old, nowhere_young = (aged(part_of(tmp_path / "x.json"), age) for age in hours)
    write_atomic(tmp_path / "out.json", "here")
    assert not old.exists()
    assert not nowhere_old.exists()
    assert names(tmp_path) == sorted([young.name, nowhere_young.name, "out.json"])


@linux
def test_a_process_id_that_was_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container each start may have the same; ours now, or somebody's who is not to be asked.

    What cannot be told from a living process's file stays.
    """
    monkeypatch.setattr(leftovers, "_LIFE", "00000000")
    before = aged(part_of(tmp_path / "before.json"), 0)
    monkeypatch.setattr(leftovers, "_LIFE", "11111111")
    ours = aged(part_of(tmp_path / "ours.json"), 0)  # another thread's
    with monkeypatch.context() as somebody:
        somebody.setattr(os, "getpid", lambda: 1)
        theirs = aged(part_of(tmp_path / "theirs.json"), WEEK + 3600)
    write_atomic(tmp_path / "out.json", "x")
    assert not before.exists()
    assert names(tmp_path) == sorted([ours.name, theirs.name, "out.json"])


def test_only_our_own_pattern_goes(tmp_path: Path) -> None:
    old = WEEK * 10
    kept = [
        aged(tmp_path / name, old)
        for name in ("film.part", ".film.part", ".x.0123456789ab", "x.0123456789ab.part",
                     ".x.0123456789AB.part", ".x.0123456789abc.part", "data.npy.4711.part")
    ]  # fmt: skip
    folder = tmp_path / ".d.0123456789ab.part"
    folder.mkdir()
    link = tmp_path / ".l.0123456789ab.part"
    link.symlink_to(kept[0])
    for path in (folder, link):
        os.utime(path, (0, 0), follow_symlinks=False)
    ours = aged(tmp_path / ".x.y z\n.json.0123456789ab.part", old)
    write_atomic(tmp_path / "out.json", "x")
    assert not ours.exists()
    assert names(tmp_path) == sorted(p.name for p in (*kept, folder, link, tmp_path / "out.json"))


def test_a_folder_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(str(path)) or real(path))
    for i in range(50):
        write_atomic(tmp_path / f"{i}.json", "x")
        write_atomic(tmp_path / "below" / f"{i}.json", "x")
    write_atomic_parts(tmp_path / "more.json", (b"x" for _ in range(3)))
    assert looked == [str(tmp_path), str(tmp_path / "below")]
    monkeypatch.setattr(leftovers, "MOST", 10)
    for i in range(50):
        write_atomic(tmp_path / str(i) / "out.json", "x")
        assert len(leftovers._looked) <= max(10, leftovers.MOST)


def test_what_cannot_be_listed_stops_no_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(tmp_path / ".x.0123456789ab.part", WEEK * 2)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    write_atomic(tmp_path / "one.json", "x")
    leftovers._looked.clear()
    monkeypatch.setattr(os, "scandir", refuse)
    write_atomic(tmp_path / "two.json", "x")
    monkeypatch.undo()  # from 3.13 on we list by it too
    assert {"one.json", "two.json"} <= set(names(tmp_path))
