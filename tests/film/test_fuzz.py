"""Broken and hostile films: no crash, no hang, no gigabytes, no noise, no name.

`make fuzz` reads very many more. A film of it that is at fault is shown by
`python scripts/fuzz.py --seed SEED --only NUMBER`.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("highdicom")
pytest.importorskip("resource")

import firstread
from bundles import tiny_bundle
from firstread.film import decode
from fuzzing.cases import case
from fuzzing.drive import drive
from fuzzing.seeds import all_seeds
from fuzzing.worker import MOST_MIB, MOST_SECONDS

FILMS = 1_000
SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"


def test_a_thousand_spoilt_films(tmp_path: Path) -> None:
    films = list(drive(0, 0, FILMS, tiny_bundle(tmp_path / "bundle")))
    assert [film["index"] for film in films] == list(range(FILMS))
    at_fault = [film for film in films if film["faults"]]
    assert at_fault == [], f"{len(at_fault)} films; seed 0"
    # Films that are all refused at the door would show nothing.
    outcomes = Counter(film["outcome"] for film in films)
    assert min(outcomes["opinion"], outcomes["rejected"]) > FILMS // 5
    kinds = {film["kind"] for film in films if film["outcome"] == "opinion"}
    assert len(kinds) > len(all_seeds()) - 6


def test_the_seeds_are_films_and_the_corpus_is_always_the_same() -> None:
    for name, data in all_seeds().items():
        if not name.startswith("zip") and name != "png animated":
            assert sorted(decode(data).pixels.shape) == [84, 100], name
    for index in range(0, 400, 9):
        assert case(3, index) == case(3, index)
    assert case(3, 1) != case(4, 1)


@pytest.mark.parametrize("name", ["png 16", "dicom everything", "dicom rle", "jpeg scans"])
def test_the_largest_films_stay_within_the_limits(name: str) -> None:
    """64 million pixels: seconds of processor time and memory of a process that reads one."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--giant", name], stdout=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["decision"] != "rejected" or "frontal" in told["reasons"][0]
    assert told["mib"] < MOST_MIB
    assert told["seconds"] < MOST_SECONDS


SPOILT = """
import os, sys
import firstread.read.reader as room

read, seen = room.Reader.read, []
words = sys.orig_argv[1:]
first = words[3] if words[:2] == ["-m", "fuzzing.worker"] else ""

def spoilt(self, *told, **more):
    seen.append(1)
    if len(seen) > 2:  # the two readers read a whole film first
        if first == "5":
            os.abort()
        while first == "6":
            pass
    return read(self, *told, **more)

room.Reader.read = spoilt
"""


def test_the_worker_tells_a_crash_and_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first test rests on: a dead worker is a fault, and the next film is read."""
    (tmp_path / "sitecustomize.py").write_text(SPOILT)
    package = Path(firstread.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{package}")
    films = list(drive(0, 5, 8, tiny_bundle(tmp_path / "bundle")))
    assert [film["index"] for film in films] == [5, 6, 7]
    assert films[0]["faults"] == ["ended the process (-6)"]
    assert films[1]["faults"] == ["took over 5 s"]
    assert films[2]["faults"] == []
