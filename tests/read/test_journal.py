import json
import os
from pathlib import Path

import pytest

from firstread.errors import OutputError
from firstread.read.entry import Entry
from firstread.read.journal import Journal, Key

HEADER = {"bundle": "b" * 64, "options": {"age": None}}


def entry(name: str, **more: object) -> Entry:
    return Entry({"file": name, "decision": "refer", "p": 0.1}, **more)  # type: ignore[arg-type]


def keys(n: int) -> list[Key]:
    return [Key(f"\udcff{i}.png", 10 + i, 7) for i in range(n)]


def filled(path: Path, n: int = 3) -> list[Key]:
    journal = Journal(path, HEADER)
    for key in keys(n):
        journal.add(key, entry(key.name))
    journal.close(done=False)
    return keys(n)


def test_what_is_set_down_is_found_once_and_a_changed_film_is_not(tmp_path: Path) -> None:
    films = filled(tmp_path / "new/o.json.part")
    journal = Journal(tmp_path / "new/o.json.part", HEADER)
    assert journal.going_on
    assert journal.anew is None
    at = journal.find(films[0])
    assert at is not None
    assert journal.entry(at) == entry(films[0].name)
    assert journal.find(films[0]) is None
    assert journal.find(films[1]._replace(mtime_ns=8)) is None
    assert journal.find(films[1]._replace(size=8)) is None
    assert journal.find(films[1], pictured=True) is None
    journal.close(done=True)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_journal_cut_anywhere_gives_its_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "o.part"
    films = filled(path)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        lines = max(0, whole[:cut].count(b"\n") - 1)
        journal = Journal(path, HEADER)
        found = [at for key in films if (at := journal.find(key)) is not None]
        assert len(found) == lines
        for key in films[lines:]:
            journal.add(key, entry(key.name))
        assert [journal.entry(at).fields["file"] for at in found] == [f.name for f in films[:lines]]
        journal.close(done=False)
        assert path.read_bytes() == whole


def test_what_goes_on_and_what_starts_anew_is_told(tmp_path: Path) -> None:
    path, noted = tmp_path / "o.part", list[str]()
    filled(path, 1100)
    films = keys(1200)
    for header in (HEADER, HEADER | {"engine": "another"}):
        journal = Journal(path, header)
        assert sum(at is not None for at in journal.plan(films, noted.append)) in (1100, 0)
        journal.close(done=False)
    assert noted == [
        "going on: 1,100 of 1,200 films were read before",
        f"starting anew: {path} was made with another engine",
    ]


@pytest.mark.parametrize(
    "line", [b"\0" * 100, b"[" * 100_000, b'{"name": [1], "size": 1, "mtime_ns": 1}', b"{}", b"1"]
)
def test_a_senseless_line_ends_the_journal(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "o.part"
    films = filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[3:]]))
    journal = Journal(path, HEADER)
    assert [journal.find(key) is not None for key in films] == [True, False, False]
    journal.close(done=False)
    assert path.read_bytes() == b"".join(lines[:2])


def test_another_header_starts_anew_and_says_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "o.part"
    films = filled(path)
    journal = Journal(path, HEADER | {"bundle": "c" * 64})
    assert journal.anew == "another bundle"
    assert not journal.going_on
    assert journal.find(films[0]) is None
    journal.close(done=False)
    assert not path.exists()  # nothing was in it


def test_a_film_whose_files_are_gone_or_could_not_be_looked_at_is_read_again(
    tmp_path: Path,
) -> None:
    path, picture = tmp_path / "o.part", tmp_path / "a.png"
    picture.write_bytes(b"")
    unknown = Key("gone.png", None, None)
    journal = Journal(path, HEADER)
    journal.add(Key("a", 1, 1), entry("a", stem="a", files=(str(picture),)))
    journal.add(unknown, entry("gone.png"))
    journal.close(done=False)
    journal = Journal(path, HEADER)
    assert journal.stems == set()
    assert journal.find(Key("a", 1, 2)) is None
    assert journal.stems == set()  # a film that has changed takes its own name again
    assert journal.find(Key("a", 1, 1)) is not None
    assert journal.stems == {"a"}
    assert journal.find(unknown) is None
    journal.close(done=False)
    picture.unlink()
    journal = Journal(path, HEADER)
    assert journal.find(Key("a", 1, 1)) is None
    assert journal.stems == set()
    journal.close(done=False)


def test_of_two_films_of_one_name_the_later_ones_files_lie_there(tmp_path: Path) -> None:
    path = tmp_path / "o.part"
    old, new, other = Key("a", 1, 1), Key("a", 1, 2), Key("b", 1, 1)
    journal = Journal(path, HEADER)
    for key, stem in ((old, "a"), (other, "b"), (new, "a")):
        journal.add(key, entry(key.name, stem=stem))
    journal.close(done=False)
    journal = Journal(path, HEADER)
    assert [journal.find(key) is None for key in (old, other, new)] == [True, False, False]
    journal.close(done=False)


def test_a_strangers_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "o.part"
    for stranger in (b"my notes\n", json.dumps(HEADER).encode(), b"\0" * 200000):
        path.write_bytes(stranger)
        with pytest.raises(OutputError, match="no journal of firstread"):
            Journal(path, HEADER)
        assert path.read_bytes() == stranger
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="cannot be written"):
        Journal(path, HEADER)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_disk_that_is_full_from_the_first_leaves_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdopen

    class Full:
        """A file that takes no byte, as /dev/full; that one alone has noughts to read."""

        def __init__(self, fd: int) -> None:
            self.file, self.device = real(fd, "r+b"), Path("/dev/full").open("wb")  # noqa: SIM115

        def __getattr__(self, name: str) -> object:
            return getattr(self.device if name in {"write", "flush"} else self.file, name)

        def close(self) -> None:
            self.file.close()
            self.device.close()  # which tries to write once more

    monkeypatch.setattr(os, "fdopen", lambda fd, *_: Full(fd))
    with pytest.raises(OutputError, match="No space left"):
        Journal(tmp_path / "o.part", HEADER)
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_writes_it(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    first = Journal(tmp_path / "o.part", HEADER)
    with pytest.raises(OutputError, match="another firstread"):
        Journal(tmp_path / "o.part", HEADER)
    first.close(done=True)


def test_where_no_open_file_can_be_taken_away_it_goes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def as_on_windows(path: Path) -> None:
        if not journal._file.closed:
            raise PermissionError(13, "used by another process", str(path))
        unlink(path)

    journal = Journal(tmp_path / "o.part", HEADER)
    journal.add(keys(1)[0], entry("a.png"))
    monkeypatch.setattr(Path, "unlink", as_on_windows)
    journal.close(done=True)
    assert not (tmp_path / "o.part").exists()


def test_without_a_path_it_is_only_a_place_on_disk(tmp_path: Path) -> None:
    journal = Journal(None, HEADER)
    offsets = [journal.add(key, entry(key.name)) for key in keys(2)]
    assert [journal.entry(at).fields["file"] for at in offsets[::-1]] == [
        "\udcff1.png",
        "\udcff0.png",
    ]
    journal.close(done=False)
