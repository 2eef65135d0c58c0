"""Large films, one after the other."""

import os

import pytest

from firstread.film.turns import LARGE, Turn
from forked import in_child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_reads_large_films_though_a_thread_of_its_parent_did() -> None:
    def waits_for_nobody() -> bool:
        with Turn() as own:
            own(LARGE + 1)
        return True

    with Turn() as turn:
        turn(LARGE + 1)
        assert in_child(waits_for_nobody)
