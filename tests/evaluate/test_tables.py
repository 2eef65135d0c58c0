"""The tables of the metrics object that take care of their own."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from firstread.evaluate.tables import within


class Counted(list[str]):
    """Patients that count how often they are asked for."""

    asked = 0

    def __getitem__(self, i):
        self.asked += 1
        return super().__getitem__(i)

    def __iter__(self) -> Iterator[str]:
        self.asked += len(self)
        return super().__iter__()


def test_a_column_with_a_value_a_film_is_gone_through_once():
    n = 200
    truth, p = np.arange(n) % 2 == 0, np.linspace(0, 1, n)
    scored = SimpleNamespace(
        truth=truth,
        scores=p,
        threshold=0.5,
        calls=lambda threshold: p >= threshold,
        patients=Counted(f"p{i}" for i in range(n)),
    )
    table = within(scored, tuple(f"id {i // 2:03}" for i in range(n)), 0, 10)
    assert [row["value"] for row in table] == [f"id {i:03}" for i in range(n // 2)]
    assert {(row["n"], row["n_normal"], row["n_pneumonia"]) for row in table} == {(2, 1, 1)}
    assert table[0]["sensitivity"]["value"] == 0.0
    assert table[-1]["sensitivity"]["value"] == 1.0
    assert scored.patients.asked <= 2 * n
