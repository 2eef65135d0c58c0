"""Large films one after the other, where several threads read films."""

from __future__ import annotations

from firstread.film.forks import Lock

LARGE = 20_000_000
"""Pixels beyond which films are read one at a time, so that a folder of the largest takes hardly
more memory than one of them. The largest detector, 43 cm at 0.1 mm, has 18.5 million."""


class Turn:
    """A film's turn: it waits while another one of more than `LARGE` pixels is being read, if it
    is such a film itself."""

    _one = Lock()

    def __enter__(self) -> Turn:
        self._holds = False
        return self

    def __call__(self, pixels: int) -> None:
        """Wait, if the film is one of so many pixels."""
        if pixels > LARGE and not self._holds:
            self._holds = self._one.acquire()

    def __exit__(self, *_: object) -> None:
        if self._holds:
            self._one.release()
