"""Arguments that several verbs have, and what is asked of them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from firstread.errors import OutputError

MOST_SEED = 2**32 - 1
"""The largest seed that every generator takes (numpy's, torch's, Optuna's)."""

ENGINES = ("auto", "onnxruntime", "openvino", "openvino-bf16")
"""`firstread.read.engine.AUTO` and its `ENGINES`, without that room's libraries."""


def seed(text: str) -> int:
    """A whole number from 0 to `MOST_SEED`."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {MOST_SEED}")
    return value


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Declare `--engine`."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="what runs the network; auto: the fastest that reads alike on this machine",
    )


def given(args: argparse.Namespace, *names: str) -> list[str | Path]:
    """Those of the options `names` that were given, for a command line that repeats them."""
    words: list[str | Path] = []
    for name in names:
        value = getattr(args, name)
        if value is not None and (name, value) != ("seed", 0):
            text = value if isinstance(value, Path) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return words


def check_output(path: Path | None) -> None:
    """Refuse a place that cannot be written to before, not after, the films are read."""
    if path is None:
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file to write to")
    there = next(p for p in path.absolute().parents if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{path}: {there} cannot be written to; choose another place")
