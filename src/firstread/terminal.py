"""What goes to the terminal beside a verb's own output: one line, and nothing that steers it.

Light, since the command line says even without numpy why it cannot go on.
"""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    """`text` without anything that would steer a terminal or break a line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def say(text: str) -> None:
    """A line on stderr. What it quotes, such as a film's name, comes from anywhere."""
    if sys.stderr is None:  # closed before; print would take stdout in its place
        return
    print("firstread: " + printable(" ".join(text.split())), file=sys.stderr)
