"""Films by the batch, as studies take them."""

from pathlib import Path
from typing import Any

import pytest

from firstread.cohort import cache
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import load_cohort
from firstread.errors import Shortage
from firstread.evaluate.graph import film_batches
from firstread.film.preprocess import Preprocess


def test_a_film_is_left_out_if_it_is_broken_and_not_for_a_shortage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study would be one of fewer films, and say so as if they could not be read."""
    films = load_cohort(write_folder(tmp_path / "films", 2, size=32))
    films.paths[1].write_bytes(b"no film")
    ((kept, pixels),) = film_batches(films, [0, 1, 2], Preprocess(32))
    assert kept == [0, 2]
    assert pixels.shape == (2, 32, 32)

    def short(path: Path, **how: Any) -> None:
        raise Shortage("too many files are open to read it")

    monkeypatch.setattr(cache, "decode", short)
    with pytest.raises(Shortage, match=rf"{films.paths[0].name}: too many files"):
        list(film_batches(films, [0, 1, 2], Preprocess(32)))
