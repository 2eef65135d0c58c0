"""`firstread export`: a run's bundle, checked, in a folder of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from firstread.errors import RunError

HELP = "turn a finished run into a bundle: model, card, checksums, ready for `firstread read`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a folder made by `firstread train`")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to make")
    parser.add_argument("--name", help="the bundle's name, instead of the run's")


def run(args: argparse.Namespace) -> int:
    """Verify the run's bundle and write it to its new place."""
    from firstread.read.bundle import Bundle, write_bundle

    if not (args.run / "run.json").is_file():
        raise RunError(f"{args.run}: not a training run; name a folder made by `firstread train`")
    if not (args.run / "bundle").is_dir():
        raise RunError(f"{args.run}: not finished; run the same `firstread train` again to resume")
    made = Bundle.load(args.run / "bundle")
    card = dict(made.card.raw)
    if args.name:
        card["name"] = args.name
    bundle = write_bundle(args.out, made.onnx_path.read_bytes(), card)
    print(f"{bundle.name} written to {args.out}")
    return 0
