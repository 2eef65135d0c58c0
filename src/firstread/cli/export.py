"""`firstread export`: take the bundle out of a training run, or make one of several."""

from __future__ import annotations

import argparse
from pathlib import Path

from firstread.errors import RunError
from firstread.progress import ProgressLine
from firstread.terminal import tell

HELP = "write a run's bundle to a folder of its own; of several runs, one that reads as their mean"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a folder made by `firstread train`"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to make")
    parser.add_argument("--name", help="the bundle's name, instead of the run's")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR_OR_CSV",
        help="the films trained on, to choose gate and thresholds anew; needed for several runs",
    )
    parser.add_argument(
        "--twin",
        type=Path,
        metavar="RUN",
        help="a run by the same recipe on a split by series: how it reads the films that it never "
        "saw is a third of what thresholds and calibration are chosen on (with --data)",
    )


def run(args: argparse.Namespace) -> int:
    """Verify the bundle or the bundles, and write one to its new place."""
    from firstread.evaluate.runs import without_bundle
    from firstread.read.bundle import Bundle, write_bundle

    if args.twin is not None and (args.data is None or len(args.runs) > 1):
        raise RunError("--twin goes with one run and --data, the films it was trained on")
    if len(args.runs) > 1 or args.data is not None:
        return _anew(args)
    (folder,) = args.runs
    if not (folder / "run.json").is_file():
        raise RunError(f"{folder}: not a training run; name a folder made by `firstread train`")
    if not (folder / "bundle" / "card.json").is_file():
        raise RunError(without_bundle(folder))
    made = Bundle.load(folder / "bundle")
    card = dict(made.card.raw)
    if args.name:
        card["name"] = args.name
    bundle = write_bundle(args.out, made.onnx_path.read_bytes(), card)
    print(f"{bundle.name} written to {args.out}")
    return 0


def _anew(args: argparse.Namespace) -> int:
    from firstread.train.bring import bring

    bring("firstread.train.finish")
    from firstread.cohort.table import load_cohort
    from firstread.train.ensemble import ensemble
    from firstread.train.finish import made_again

    if args.data is None:
        raise RunError("several runs want --data, the films they were trained on")
    films = load_cohort(args.data)
    if len(args.runs) == 1:
        bundle = made_again(args.runs[0], films, args.out, args.name, tell, args.twin, ProgressLine)
    else:
        name = args.name or "+".join(run.name for run in args.runs)
        bundle = ensemble(args.runs, films, args.out, name, tell, ProgressLine)
    print(f"{bundle.name} written to {args.out}")
    return 0
