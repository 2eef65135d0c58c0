"""Hashes that name films, and their beginnings by which a card knows them again."""

import hashlib
import os
from pathlib import Path
from threading import Barrier

import pytest

from firstread.cohort import hashes
from firstread.cohort.hashes import (
    are_among,
    combined_sha256,
    file_sha256,
    films_sha256,
    prefixes,
    readable_sha256,
)
from firstread.errors import TableError


def of(*texts: str) -> list[str]:
    return [hashlib.sha256(t.encode()).hexdigest() for t in texts]


def test_a_set_has_one_name_in_whatever_order() -> None:
    assert combined_sha256(of("a", "b")) == combined_sha256(of("b", "a"))
    assert combined_sha256(of("a", "b")) != combined_sha256(of("a"))


def test_films_are_known_again_by_the_beginning_of_their_hash() -> None:
    many = of(*map(str, range(3000)))
    told = prefixes(many)
    assert prefixes(reversed(many)) == told
    assert len(told) == 3000 * 4 * 4 // 3
    assert all(are_among(many, told))
    assert are_among([many[7], "", *of("x", "y")], told) == [True, False, False, False]
    assert are_among(many[:2], prefixes([])) == [False, False]


def test_what_is_no_film_is_told(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"1 of 1 films is no file \(first: .*\)"):
        films_sha256([tmp_path])
    with pytest.raises(TableError, match="1 of 2 films is not there"):
        films_sha256([Path(__file__), tmp_path / "a.png"])


@pytest.mark.skipif(os.sep != "/", reason="there the other sign is right")
def test_a_table_of_windows_is_told_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="with / between folders"):
        films_sha256([tmp_path / "NORMAL\\a.png"])


@pytest.mark.parametrize("hashed", [films_sha256, readable_sha256])
def test_films_are_hashed_several_at_a_time_and_told_of(
    hashed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / str(i) for i in range(8)]
    for path in paths:
        path.write_text(path.name)
    both = Barrier(2)

    def waits(path: Path) -> str:
        both.wait(30)  # for another film's turn
        return file_sha256(path)

    monkeypatch.setattr(hashes, "file_sha256", waits)
    told: list[tuple[int, int]] = []
    assert callable(hashed)
    found = hashed(paths, lambda done, total: told.append((done, total)))
    assert list(found) == of(*(path.name for path in paths))
    assert told == [(done, 8) for done in range(9)]
