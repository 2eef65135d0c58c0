"""`evaluate` and `onboard` go on where they were killed, and end as if they never had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from clinics import write_films
from dicom_films import dicom_film
from firstread.cli.main import main
from firstread.read.entry import Entry
from firstread.read.journal import Journal, Key
from firstread.read.reader import Reader
from fuzzing.seeds import PATIENT
from fuzzing.worker import leaked

FILMS, SOUND = 50, 49
"""One cannot be read: it is tried again each time."""

VERBS = {
    "evaluate": ("evaluate bundle --data films --json out/m.json --html out/m.html", "out/m.json"),
    "onboard": ("onboard films --bundle bundle --out out", "out/onboard.json"),
    "drift": (
        "onboard films --bundle bundle --drift base/onboard.json --out out",
        "out/drift.json",
    ),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundle/ and films/, and in base/ what onboarding says of them."""
    root = tmp_path_factory.mktemp("films")
    tiny_bundle(root / "bundle")
    write_films(root / "films", FILMS // 2)
    (root / "films/PNEUMONIA/7.png").write_bytes(b"no film")
    words = ["onboard", root / "films", "--bundle", root / "bundle", "--out", root / "base"]
    assert main([str(word) for word in words]) == 1
    return root


@pytest.fixture
def place(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which the three lie."""
    for name in ("bundle", "films", "base"):
        (tmp_path / name).symlink_to(films / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(path: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    del found["date"]
    return found


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What a kill behind each film would leave of the journal, as commands run."""
    left: list[bytes] = []
    add = Journal.add

    def adding(self: Journal, key: Key, entry: Entry) -> int:
        at = add(self, key, entry)
        assert self.path is not None
        left.append(self.path.read_bytes())
        return at

    monkeypatch.setattr(Journal, "add", adding)
    return left


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The films that are really read for an opinion, as they are; maps are for the page."""
    names: list[str] = []
    judge = Reader.read

    def watched(self: Reader, source: Any, heat: bool = True, age: float | None = None) -> Any:
        if not heat:
            names.append(source.name)
        return judge(self, source, heat, age)

    monkeypatch.setattr(Reader, "read", watched)
    return names


@pytest.mark.parametrize("verb", VERBS)
def test_killed_anywhere_it_goes_on_and_tells_the_same(
    place: Path, verb: str, kills: list[bytes], read: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command, out = VERBS[verb]
    code = main(command.split())
    whole, left = result(out), kills.copy()
    assert (len(read), len(left)) == (FILMS, SOUND)
    files = sorted(place.glob("out/*"))
    journal = Path(out + ".part")
    assert journal not in files
    torn = left[29][:-9]  # killed while it wrote the thirtieth
    for before, rest in ((1, left[0]), (29, torn), (SOUND, left[-1])):
        for path in files:
            path.unlink()
        journal.write_bytes(rest)
        read.clear()
        capsys.readouterr()
        assert main(command.split()) == code
        said = capsys.readouterr().err
        assert said == f"firstread: going on: {before} of 50 films were read before\n"
        assert len(read) == FILMS - before
        assert result(out) == whole
        assert sorted(place.glob("out/*")) == files


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_process_that_is_killed_leaves_what_it_read(place: Path) -> None:
    """The signal itself, behind the twentieth film; then the same command as it is."""
    command, _ = VERBS["evaluate"]
    killing = """if True:
        import itertools, os, signal, sys
        from firstread.cli.main import main
        from firstread.read.journal import Journal
        add, count = Journal.add, itertools.count(1)
        def adding(*told):
            add(*told)
            if next(count) == 20:
                os.kill(os.getpid(), signal.SIGKILL)
        Journal.add = adding
        main(sys.argv[1:])
    """
    words = [sys.executable, "-c", killing, *command.split()]
    killed = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in place.glob("out/*")] == ["m.json.part"]
    words = [sys.executable, "-m", "firstread", *command.split()]
    again = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert again.returncode == 1, again.stderr
    assert again.stderr == "firstread: going on: 20 of 50 films were read before\n"
    assert sorted(path.name for path in place.glob("out/*")) == ["m.html", "m.json"]


def test_an_interrupt_keeps_what_was_read_until_it_is_written(
    place: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of the studies none is kept: an interrupt there comes when all else can be written."""
    command, out = VERBS["evaluate"]
    with monkeypatch.context() as m:
        m.setattr("firstread.evaluate.result.measure", interrupt)
        assert main(command.split()) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert [path.name for path in place.glob("out/*")] == ["m.json.part"]
    read.clear()
    monkeypatch.setattr("firstread.evaluate.corruptions.corruption_study", interrupt)
    assert main([*command.split(), "--corruptions"]) == 130
    assert len(read) == FILMS - SOUND
    assert "this study was interrupted" in result(out)["warnings"][-1]
    assert sorted(path.name for path in place.glob("out/*")) == ["m.html", "m.json"]


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_lies_in_the_journals_place_is_not_written_over(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "out").mkdir()
    for verb in VERBS:
        command, out = VERBS[verb]
        mine = Path(out + ".part")
        mine.write_text("mine")
        assert main(command.split()) == 2
        assert "is no journal of firstread; move it away" in capsys.readouterr().err
        assert mine.read_text() == "mine"
    table = place / "m.json.part"  # a table of films of that name
    table.write_text("file,label\nfilms/NORMAL/1.png,0\nfilms/PNEUMONIA/1.png,1\n")
    words = ["evaluate", "bundle", "--data", str(table), "--json", "m.json"]
    assert main(words) == 2
    assert table.read_text().startswith("file,label")


def test_films_that_will_not_do_leave_nothing_behind(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_films(place / "twelve", 6)
    before = sorted(place.rglob("*"))
    assert main(VERBS["drift"][0].replace("films", "twelve").split()) == 2
    assert "are too few to compare" in capsys.readouterr().err
    assert sorted(place.rglob("*")) == before


def test_without_an_output_nothing_is_kept(place: Path) -> None:
    before = sorted(place.rglob("*"))
    assert main(VERBS["evaluate"][0].split()[:4]) == 1
    assert main(VERBS["drift"][0].split()[:-2]) == 0
    assert sorted(place.rglob("*")) == before


def test_no_journal_tells_who_the_patients_are(place: Path, kills: list[bytes]) -> None:
    """Their names stand in the films and in what these are called; one of them is broken."""
    secrets = {name: PATIENT[name] for name in ("PatientName", "StudyDescription")}
    for i in range(22):
        path = place / f"films-of/{'PNEUMONIA' if i % 2 else 'NORMAL'}/{PATIENT['PatientName']}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = dicom_film(i, **secrets, PatientID=f"{PATIENT['PatientID']}-{i}")
        path.with_name(f"{path.name}-{i}.dcm").write_bytes(data[: None if i else 900])
    for command, out in VERBS.values():
        kills.clear()
        main(command.replace("films", "films-of").split())
        assert len(kills) == 21
        assert leaked(kills[-1].decode()) == []
        assert Path(out).exists()
