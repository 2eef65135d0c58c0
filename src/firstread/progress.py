"""How far long work is, told by every verb in one way, on stderr.

The work takes a `Progress` and knows nothing of terminals. A verb gives it a `ProgressLine`: on a
terminal one line that is written over, elsewhere, as in the log of a service, a plain line now and
then. What ends soon says nothing.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TypeVar

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is to do; first perhaps with nothing done."""

Show = Callable[[str], Progress]
"""Makes the `Progress` of a piece of work from its name: `ProgressLine`, or `unseen`."""

SOON = 2.0
"""Seconds for which work may go on without a word."""

OFTEN, SELDOM = 0.2, 10.0
"""Seconds from one line to the next at least: on a terminal, and elsewhere."""

UNKNOWN = 30.0
"""The same elsewhere, where nobody knows how much there is to do."""


Thing = TypeVar("Thing")


def counted(things: Sequence[Thing], progress: Progress | None) -> Iterator[Thing]:
    """The things, one after the other; `progress` is told of each once the next is asked for."""
    for done, thing in enumerate(things, 1):
        yield thing
        if progress is not None:
            progress(done, len(things))


def unseen(what: str) -> Progress:
    """The `Progress` of work that nobody looks at."""
    return lambda done, total: None


class ProgressLine:
    """How far `what` is, in `unit`: a `Progress` that shows it on `stream` (None: stderr).

    Elsewhere than on a terminal the first line comes after `SELDOM` seconds and then one for every
    tenth. What was shown once is shown at its end too. `clock` is in seconds.
    """

    def __init__(
        self,
        what: str,
        unit: str = "films",
        stream: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what, self.unit = what, unit
        self._stream = sys.stderr if stream is None else stream
        self._moving = bool(getattr(self._stream, "isatty", lambda: False)())
        self._clock = clock
        self._began = self._shown_at = clock()
        self._from: tuple[float, int] | None = None
        self._shown = self._ended = False
        self._tenth = 0
        self._width = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` (None: not known) is done, unless that was shown just now."""
        now, ends = self._clock(), done == total
        if self._ended and ends:
            return
        self._ended = ends
        if done == 0 and not self._shown:
            self._began = self._shown_at = now  # what was asked for early begins only now
        if self._from is None or done < self._from[1]:
            self._from = (now, done)  # what begins again has another rate
        tenth = done * 10 // total if total else 0
        if self._due(now, tenth, total, ends):
            self._write(self.text(done, total, now), ends)
            self._shown, self._shown_at, self._tenth = True, now, tenth

    def _due(self, now: float, tenth: int, total: int | None, ends: bool) -> bool:
        since = now - self._shown_at
        if self._moving:
            return now - self._began >= SOON and (ends or not self._shown or since >= OFTEN)
        if ends:
            return self._shown
        if not total:
            return since >= UNKNOWN
        return since >= SELDOM and (tenth > self._tenth or not self._shown)

    def text(self, done: int, total: int | None, now: float) -> str:
        """The line."""
        return f"{self.what}: {done:,}" + (f" of {total:,} {self.unit}" if total else "")

    def _write(self, line: str, ends: bool) -> None:
        if self._moving:
            if not self._width:
                end_line()  # of other work
            self._put("\r" + line.ljust(self._width))
            self._width = len(line)
            _open[:] = [self]
            if ends:
                self.close()
        else:
            self._put(line + "\n")

    def _put(self, text: str) -> None:
        """Write, if there is anything to write to: that nobody can be told ends no work."""
        if self._stream is not None:  # stderr may have been closed before
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()

    def say(self, text: str) -> None:
        """Show `text` on a line of its own."""
        end_line()
        self._put(f"{self.what}: {text}\n")

    def close(self) -> None:
        """End the moving line."""
        if self._width:
            self._width = 0
            self._put("\n")
        _open.clear()


_open: list[ProgressLine] = []
"""The line that moves at the moment: of one terminal it has the last line to itself."""


def end_line() -> None:
    """End the line that moves, so that what is printed next does not stand in it."""
    for line in list(_open):
        line.close()


class BytesLine(ProgressLine):
    """The same for bytes that come from afar, with how fast they come and how long it takes yet."""

    def text(self, done: int, total: int | None, now: float) -> str:
        """The line: how much, how fast, how long still."""
        began, first = self._from or (now, done)
        seconds = now - began
        line = f"{self.what}: {in_words(done)}"
        if total:
            line += f" of {in_words(total)} ({100 * done // total} %)"
        if seconds > 0 and done > first:
            rate = (done - first) / seconds
            line += f", {in_words(rate)}/s"
            if total and done < total:
                left = round((total - done) / rate)
                line += f", {left // 60} min {left % 60:02d} s left"
        return line


def in_words(n_bytes: float) -> str:
    """Bytes for a person: "512 B", "4.2 MB", "1.24 GB" (powers of 1000)."""
    if n_bytes < 1000:
        return f"{n_bytes:.0f} B"
    for unit in ("kB", "MB"):
        n_bytes /= 1000
        if n_bytes < 999.5:
            return f"{n_bytes:.3g} {unit}"
    return f"{n_bytes / 1000:.2f} GB"
