"""A number with its noun."""

import doctest

from firstread import plural
from firstread.plural import count


def test_one_and_more() -> None:
    assert [count(n, "film has", "films have") for n in (0, 1, 1000)] == [
        "0 films have", "1 film has", "1,000 films have",
    ]  # fmt: skip
    assert doctest.testmod(plural).failed == 0
