"""Films of one content under several names."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from firstread.cohort.copies import copies_warning, without_copies
from firstread.cohort.hashes import file_sha256
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import DataError


def cohort(root: Path, **films: str) -> Cohort:
    """Films by name, each with its content; n: normal, p: pneumonia, by the first letter."""
    lines = []
    for name, content in films.items():
        (root / name).write_text(content)
        lines.append(f"{name},{int(name[0] == 'p')}\n")
    (root / "t.csv").write_text("file,label\n" + "".join(lines))
    return load_cohort(root / "t.csv")


def test_the_first_of_copies_stays(tmp_path: Path) -> None:
    films = cohort(tmp_path, n1="a", n2="b", n3="a", p1="c", p2="c")
    kept, said = without_copies(films)
    assert [r.file for r in kept.rows] == ["n1", "n2", "p1"]
    assert said == ["2 of 5 films are copies of others among them and left out"]
    (warning,) = copies_warning(films)
    assert "2 of 5 films are copies" in warning


def test_without_copies_nothing_is_said(tmp_path: Path) -> None:
    films = cohort(tmp_path, n1="a", p1="b")
    assert without_copies(films) == (films, [])
    assert copies_warning(films) == []


def test_a_film_of_both_labels_is_named(tmp_path: Path) -> None:
    films = cohort(tmp_path, n1="a", p1="a", p2="b")
    with pytest.raises(DataError, match="both labels: n1 and p1"):
        without_copies(films)
    assert "both labels" in copies_warning(films)[0]


def test_missing_films_are_no_copies_of_one_another(tmp_path: Path) -> None:
    films = cohort(tmp_path, n1="a", n2="b", p1="c")
    (tmp_path / "n1").unlink()
    (tmp_path / "n2").unlink()
    films = load_cohort(tmp_path / "t.csv")
    assert films.readable_hashes == ("", "", file_sha256(tmp_path / "p1"))
    assert len(without_copies(films)[0]) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    films = cohort(tmp_path, n="1", p="2")
    os.mkfifo(tmp_path / "pipe.png")
    pipe = replace(films.rows[0], path=tmp_path / "pipe.png")
    assert Cohort(tmp_path, (*films.rows, pipe)).readable_hashes[2:] == ("",)


def test_a_name_that_no_file_can_have_has_no_hash(tmp_path: Path) -> None:
    films = cohort(tmp_path, n="1", p="2")
    bad = replace(films.rows[0], path=tmp_path / "b\0.png")
    assert Cohort(tmp_path, (*films.rows, bad)).readable_hashes[2:] == ("",)
