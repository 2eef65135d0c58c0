"""What goes to the terminal beside a verb's own output: one line, and nothing that steers it.

Light, since the command line says even without numpy why it cannot go on.
"""

from __future__ import annotations

import sys

from firstread.progress import end_line


def printable(text: str) -> str:
    r"""`text` without anything that would steer a terminal or break a line.

    A byte of a name that is no UTF-8 is written as `\udcfc`, as files of ours write it.
    """
    return "".join(c if c.isprintable() else _shown(c) for c in text)


def _shown(c: str) -> str:
    return f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else "?"


def say(text: str) -> None:
    """A line on stderr. What it quotes, such as a film's name, comes from anywhere."""
    if sys.stderr is None:  # closed before; print would take stdout in its place
        return
    end_line()
    print("firstread: " + printable(" ".join(text.split())), file=sys.stderr)


def tell(text: str) -> None:
    """A line on stdout of what a long work has come to, at once."""
    end_line()
    print(text, flush=True)
