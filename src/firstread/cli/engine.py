"""The argument by which verbs that read films let the engine be set."""

from __future__ import annotations

import argparse

NAMES = ("auto", "onnxruntime", "openvino", "openvino-bf16")
"""`firstread.read.engine.AUTO` and its `ENGINES`, without that room's libraries."""


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Declare `--engine`."""
    parser.add_argument(
        "--engine",
        choices=NAMES,
        default=NAMES[0],
        help="what runs the network; auto: the fastest that reads alike on this machine",
    )
