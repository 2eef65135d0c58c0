"""How far a long job is, for people: one moving line on a terminal, sparse lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import IO

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes expected, None if not known."""


def in_words(n_bytes: float) -> str:
    """Bytes for a person: "512 B", "4.2 MB", "1.24 GB" (powers of 1000)."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} B"
    for unit in ("kB", "MB"):
        n_bytes /= 1000
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
    return f"{n_bytes / 1000:.2f} GB"


class ProgressLine:
    """Progress for people: one moving line on a terminal, else a line every tenth.

    Use it as a `Progress`; `close` ends the moving line. `clock` is in seconds.
    """

    def __init__(
        self, stream: IO[str], what: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._what, self._clock = stream, what, clock
        self._moving = bool(getattr(stream, "isatty", lambda: False)())
        self._start: tuple[float, int] | None = None
        self._shown_at = float("-inf")
        self._tenth = -1
        self._width = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` bytes are there, unless that was shown just now."""
        now = self._clock()
        if self._start is None or done < self._start[1]:
            self._start = (now, done)  # a resume starts the rate anew
        if self._moving:
            if now - self._shown_at < 0.1 and done != total:
                return
            line = self.text(done, total, now)
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            tenth = done * 10 // total if total else -1
            due = now - self._shown_at >= 30 if tenth < 0 else tenth > self._tenth
            if not due:
                return
            self._tenth = tenth
            self._stream.write(self.text(done, total, now) + "\n")
        self._shown_at = now
        self._stream.flush()

    def text(self, done: int, total: int | None, now: float) -> str:
        """The line: how much, how fast, how long still."""
        began, first = self._start or (now, done)
        seconds = now - began
        line = f"{self._what}: {in_words(done)}"
        if total:
            line += f" of {in_words(total)} ({100 * done // total} %)"
        if seconds > 0 and done > first:
            rate = (done - first) / seconds
            line += f", {in_words(rate)}/s"
            if total and done < total:
                left = round((total - done) / rate)
                line += f", {left // 60} min {left % 60:02d} s left"
        return line

    def say(self, text: str) -> None:
        """Show `text` on a line of its own."""
        self.close()
        self._stream.write(f"{self._what}: {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the moving line."""
        if self._moving and self._width:
            self._width = 0
            with contextlib.suppress(OSError):
                self._stream.write("\n")
                self._stream.flush()


class FilmsLine:
    """Films written so far: a moving line on a terminal, else one line at the start."""

    def __init__(self, stream: IO[str], n_films: int, n_bytes: int) -> None:
        self._stream = stream
        self._moving = stream.isatty()
        if not self._moving:
            stream.write(f"unpacking {n_films:,} films ({in_words(n_bytes)})\n")

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` films are written."""
        if self._moving and (done % 50 == 0 or done == total):
            end = "\n" if done == total else ""
            self._stream.write(f"\runpacking: {done:,} of {total:,} films{end}")
            self._stream.flush()
