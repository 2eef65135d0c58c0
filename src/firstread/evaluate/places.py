"""Names of files and folders as they may stand in a result that travels.

A report or a JSON is sent on and published; where on somebody's disk the films lay is nobody's
business there and of no use. What helps to repeat a result is kept: a path relative to where
the command was given, and the two folders that every checkout finds through the environment.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

ROOTS = ("FIRSTREAD_DATA", "FIRSTREAD_WEIGHTS")
"""Environment variables that name the folders of films and of weights."""


def portable(path: str | Path) -> str:
    """A path without the machine in it.

    Below a folder of `ROOTS` it starts with that variable ("$FIRSTREAD_DATA/nih_adult.csv").
    A relative path stays as it is, one below the working folder becomes relative to it, and of
    any other absolute path only the last part is kept (".../films").
    """
    path = Path(path)
    for name in ROOTS:
        if given := os.environ.get(name):
            root = Path(given)
            # As named, or as it is once links are followed.
            for whole, folder in (
                (path.absolute(), root.absolute()),
                (path.resolve(), root.resolve()),
            ):
                if whole.is_relative_to(folder):
                    return Path(f"${name}", whole.relative_to(folder)).as_posix()
    if not path.is_absolute():
        return path.as_posix()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else f".../{path.name}"


def command_line(words: Iterable[str | Path]) -> str:
    """Words as a line for the shell; a `Path` among them is made `portable`."""
    return " ".join(_quoted(word) for word in words)


def script_line() -> str:
    """The running script's own command line: options as given, all else as places."""
    own, *words = sys.argv
    own = "/".join(Path(own).parts[-2:])
    return command_line(
        ["python", own, *(word if word.startswith("--") else Path(word) for word in words)]
    )


def _quoted(word: str | Path) -> str:
    text = portable(word) if isinstance(word, Path) else word
    for name in ROOTS:
        if isinstance(word, Path) and text.startswith(f"${name}"):
            rest = text.removeprefix(f"${name}")
            return f"${name}{shlex.quote(rest) if rest else ''}"
    return shlex.quote(text)
