"""Which films a reading that goes on takes as read, and that they are then as they were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from bundles import film, tiny_bundle
from firstread.evaluate.kept import Kept, Seen
from firstread.read.reader import Reader


@dataclass(frozen=True)
class Told:
    """A film with what a table tells of it."""

    path: Path
    age: float | None = None
    true_size: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return str(self.path)

    def read_bytes(self) -> bytes:
        return self.path.read_bytes()


class Stopped(BaseException):
    """Ends a reading that has read all its films, before anything is written."""


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tiny_bundle(tmp_path / "bundle"))


@pytest.fixture
def films(tmp_path: Path) -> list[Told]:
    return [Told(film(tmp_path / f"{i}.png", 40 + 50 * i)) for i in range(4)]


def stopped(place: Path | None, reader: Reader, films: Sequence[Told]) -> tuple[list[Seen], str]:
    """What is seen of the films, and what is noted, by a reading that does not end well."""
    noted: list[str] = []
    with pytest.raises(Stopped), Kept(place, noted.append) as kept:  # noqa: PT012
        found = list(kept.read(reader, films))
        raise Stopped
    return found, "; ".join(noted)


def change(films: list[Told], what: str) -> list[Told]:
    one, path = films[1], films[1].path
    if what == "bytes":
        film(path, 200)
        os.utime(path, ns=(1, 1))
    told: dict[str, dict[str, Any]] = {"age": {"age": 40.0}, "size": {"true_size": (128, 64)}}
    return [films[0], replace(one, **told.get(what, {})), *films[2:]]


@pytest.mark.parametrize("what", ["nothing", "bytes", "age", "size"])
def test_a_film_is_read_again_where_it_or_what_is_told_of_it_changed(
    reader: Reader, films: list[Told], tmp_path: Path, what: str
) -> None:
    journal = tmp_path / "o.json.part"
    first, noted = stopped(journal, reader, films)
    assert noted == ""
    films = change(films, what)
    second, noted = stopped(journal, reader, films)
    assert noted == f"going on: {4 if what == 'nothing' else 3} of 4 films were read before"
    assert second == stopped(None, reader, films)[0]
    assert (second == first) == (what in {"nothing", "size"})  # the tiny model squashes


def test_a_film_that_could_not_be_read_is_tried_again(
    reader: Reader, films: list[Told], tmp_path: Path
) -> None:
    whole = films[2].path.read_bytes()
    films[2].path.write_bytes(bytes(len(whole)))
    os.utime(films[2].path, ns=(1, 1))
    found, _ = stopped(tmp_path / "part", reader, films)
    assert found[2].decision == "rejected"
    films[2].path.write_bytes(whole)
    os.utime(films[2].path, ns=(1, 1))  # as where a codec was missing, and the film is the same
    found, noted = stopped(tmp_path / "part", reader, films)
    assert found[2].decision != "rejected"
    assert noted == "going on: 3 of 4 films were read before"


def test_another_bundle_starts_anew(reader: Reader, films: list[Told], tmp_path: Path) -> None:
    stopped(tmp_path / "part", reader, films)
    other = Reader(tiny_bundle(tmp_path / "other", name="other"))
    _, noted = stopped(tmp_path / "part", other, films)
    assert noted == f"starting anew: {tmp_path / 'part'} was made with another bundle"


def test_no_name_stands_in_the_journal_and_it_goes_when_all_is_written(
    reader: Reader, films: list[Told], tmp_path: Path
) -> None:
    place = tmp_path / "new/part"
    stopped(place, reader, films)
    assert str(tmp_path) not in place.read_text()
    assert ".png" not in place.read_text()
    with Kept(place) as kept:
        assert len(list(kept.read(reader, films))) == 4
    assert not place.exists()
