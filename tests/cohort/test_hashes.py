"""Hashes that name films, and their beginnings by which a card knows them again."""

import hashlib

from firstread.cohort.hashes import are_among, combined_sha256, prefixes


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
