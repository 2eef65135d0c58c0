import os

import pytest

from firstread.read.stems import Stems, safe


@pytest.mark.parametrize(
    ("film", "stem"),
    [
        ("./films/a.png", "films_a"),
        ("/abs/a.DCM", "abs_a"),
        ("../../etc/passwd", "etc_passwd"),
        ("x.zip/inner/b.dcm", "x.zip_inner_b"),
        ("1.2.840.10008.1", "1.2.840.10008.1"),
        ("a\\b:c*?.jpeg", "a_b_c"),
        (".hidden.png", "hidden"),
        ("肺/片.dcm", "肺_片"),
        ("e\u0301.png", "\u00e9"),
        ("\udcff.png", "film"),
        ("a\0\n\x1b[2J.png", "a____2J"),
        ("", "film"),
        ("..", "film"),
        ("nul.png", "_nul"),
    ],
)
def test_a_name_is_one_plain_file(film: str, stem: str) -> None:
    assert safe(film) == stem


def test_a_long_name_keeps_its_end_and_fits_the_disk() -> None:
    for character in ("x", "肺"):
        stem = safe("a/" + character * 300 + "_end.png")
        assert stem.endswith(character + "_end")
        assert len(os.fsencode(stem)) <= 120


def test_no_name_is_given_twice_whatever_the_disk_thinks_of_case() -> None:
    stems = Stems()
    given = [stems.name(n) for n in ("a/b.png", "a_b.dcm", "A/B.png", "a/b-2.png")]
    assert given == ["a_b", "a_b-2", "A_B-3", "a_b-2-2"]


def test_taken_names_and_films_that_lie_there_are_passed_over() -> None:
    stems = Stems(["a"], free=lambda stem: stem != "a-2")
    assert stems.name("a.png") == "a-3"
