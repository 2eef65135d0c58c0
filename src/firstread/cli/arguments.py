"""Kinds of arguments that several verbs have."""

from __future__ import annotations

import argparse

MOST_SEED = 2**32 - 1
"""The largest seed that every generator takes (numpy's, torch's, Optuna's)."""


def seed(text: str) -> int:
    """A whole number from 0 to `MOST_SEED`."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {MOST_SEED}")
    return value
