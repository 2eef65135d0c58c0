"""Split films into train and val so that no patient is on both sides.

By `blocks` (the default) the val part is one contiguous block of patient numbers of each
series, the nearest thing to films of another day; by `patient` it is a random part of the
patients, even over bacterial, viral and normal; by `series` one series of normals stands
against the other, a hard shift for choosing between recipes. With `--test F` a third part is kept
apart from both, for one look when everything is settled: the first block of each series, or with
`--by patient` a random part. Films in parts other than train stay out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.cli.arguments import seed

if TYPE_CHECKING:
    from firstread.cohort.table import Cohort

WAYS = {
    "blocks": ("fraction", "block"),
    "patient": ("fraction", "seed"),
    "series": ("block",),
}
"""How to split, each way with the options that go with it."""

HELP = "split films into train and val, and test if asked for, no patient in two of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DIR --out split.csv [--by WAY] [--fraction F] [--test F] [--seed N] [--block K]."""
    parser.add_argument("data", type=Path, metavar="DIR_OR_CSV", help="folder or CSV of films")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="the split to write")
    parser.add_argument("--by", choices=WAYS, default="blocks", help="how (default: blocks)")
    parser.add_argument(
        "--fraction",
        type=float,
        metavar="F",
        help="for --by blocks and patient: part of the patients that goes to val (default: 0.125)",
    )
    parser.add_argument(
        "--test",
        type=float,
        default=0.0,
        metavar="F",
        help="part of the patients that is kept apart as test: the first of each series, or by "
        "patient at random; the rest is split as if there were no others (default: none)",
    )
    parser.add_argument("--seed", type=seed, metavar="N", help="for --by patient (default: 0)")
    parser.add_argument(
        "--block",
        type=int,
        metavar="K",
        help="for --by blocks: which block, counted from the last; for --by series: 0 or 1, "
        "which half is val (default: 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the split, prove it disjoint, write it, print what went where."""
    from firstread.cohort.inputs import keep_inputs
    from firstread.cohort.split import SplitPlan, make_split, save_split, unknown_patients
    from firstread.cohort.split_checks import assert_disjoint
    from firstread.cohort.table import load_cohort
    from firstread.errors import SplitError
    from firstread.progress import ProgressLine

    told = {key: getattr(args, key) for key in ("fraction", "seed", "block")}
    told = {key: value for key, value in told.items() if value is not None}
    for key in told:
        if key not in WAYS[args.by]:
            ways = " or ".join(f"--by {way}" for way, keys in WAYS.items() if key in keys)
            raise SplitError(f"--{key} has no say in a split by {args.by}; it goes with {ways}")
    if told.get("block", 0) < 0:
        raise SplitError("--block counts from 0; give no negative number")
    cohort = load_cohort(args.data)
    split = make_split(cohort, SplitPlan(args.by, test=args.test, **told), ProgressLine("hashing"))
    assert_disjoint(split)
    keep_inputs([args.out], [args.data], cohort.paths)
    save_split(split, args.out)
    print(summary(split))
    if left := len(cohort) - len(split):
        print(f"left out: {left:,} films ({_parts_left(cohort, split)})")
    if doubt := unknown_patients(split):
        print(f"warning: {doubt}")
    print(f"split: {args.out}")
    return 0


def _parts_left(cohort: Cohort, split: Cohort) -> str:
    """The parts whose films are not in the split, each with its count."""
    kept = {r.file for r in split.rows}
    count = Counter(r.part or "in no part" for r in cohort.rows if r.file not in kept)
    return ", ".join(f"{part} {n:,}" for part, n in sorted(count.items()))


def summary(split: Cohort) -> str:
    """A table of films and patients by part, class, etiology and series."""
    from firstread.cohort.table import PARTS

    there = {r.part for r in split.rows}
    parts = [p for p in PARTS if p in there]
    of = [split.part(p) for p in parts]
    rows = [
        ["", *parts],
        ["films", *(f"{len(films):,}" for films in of)],
        ["patients", *(f"{len(set(films.patients)):,}" for films in of)],
    ]
    rows += _counted(split, parts, ["pneumonia" if r.label else "normal" for r in split.rows])
    rows += _counted(split, parts, [r.etiology for r in split.rows], skip="normal")
    rows += _counted(split, parts, [f"series {r.series}" * bool(r.series) for r in split.rows])
    wide = max(len(r[0]) for r in rows)
    return "\n".join(f"{name:<{wide}}" + "".join(f"  {n:>8}" for n in ns) for name, *ns in rows)


def _counted(
    split: Cohort, parts: Sequence[str], names: Sequence[str], skip: str = ""
) -> list[list[str]]:
    count = Counter(zip(names, (r.part for r in split.rows), strict=True))
    kinds = sorted({name for name, _ in count if name and name != skip})
    return [[kind, *(f"{count[kind, part]:,}" for part in parts)] for kind in kinds]
