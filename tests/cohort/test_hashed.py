"""Hashes of a cohort's films: read once, told of, and handed on."""

from pathlib import Path

import pytest

from firstread.cohort import hashed
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort


@pytest.fixture
def films(tmp_path: Path) -> Cohort:
    return load_cohort(write_folder(tmp_path / "set", 4, size=16))


def test_reading_is_told_of_and_what_is_known_is_not_read(films: Cohort) -> None:
    told: list[tuple[int, int]] = []
    assert films.known_hashes is None
    found = films.read_hashes(lambda *done: told.append(done))
    assert told[-1] == (8, 8)
    told.clear()
    assert films.read_hashes(lambda *done: told.append(done)) == found == films.hashes
    assert films.read_readable_hashes(lambda *done: told.append(done)) == found
    assert told == []


def test_who_reads_the_films_can_tell_their_hashes(
    films: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashed, "readable_sha256", lambda *_: pytest.fail("read again"))
    names = tuple("abcdefgh")
    films.keep_readable_hashes(names)
    assert films.readable_hashes == films.known_hashes == names
    assert films.subset([3, 1]).readable_hashes == ("d", "b")
    assert films.hashes != names  # those that must be there are another matter
