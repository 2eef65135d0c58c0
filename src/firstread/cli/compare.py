"""Hold several training runs against each other on the validation films common to all.

Each RUN is a folder that firstread train wrote. The table says what each reaches (with 95 %
intervals), what it costs in training and in reading, and whether it differs from the best by
more than chance.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from firstread.cli.arguments import given

HELP = "hold several runs against each other"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN RUN ... [--html FILE] [--json FILE]."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="two run folders or more")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")


def run(args: argparse.Namespace) -> int:
    """0: compared and written."""
    from firstread.cohort.inputs import keep_inputs
    from firstread.evaluate.compare import compare_runs, write_comparison
    from firstread.film.files import write_atomic

    keep_inputs([args.json, args.html], args.runs)
    result = compare_runs(args.runs, command=_command(args))
    print(table(result))
    if args.json is not None:
        write_atomic(args.json, json.dumps(result, indent=2, allow_nan=False) + "\n")
        print(f"numbers: {args.json}", file=sys.stderr)
    if args.html is not None:
        write_comparison(args.html, result)
        print(f"page: {args.html}", file=sys.stderr)
    return 0


def _command(args: argparse.Namespace) -> str:
    from firstread.evaluate.places import command_line

    return command_line(["firstread", "compare", *args.runs, *given(args, "html", "json")])


def table(result: dict[str, Any]) -> str:
    """A comparison as a text table, the best run marked with a star."""
    from firstread.evaluate.page import duration, number, p_value

    head = "  run|px|accuracy|95 % interval|AUC|training|ms a film|p acc|p AUC"
    lines = [head.split("|")]
    for entry in result["runs"]:
        against = entry["against_best"]
        star = "* " if entry["name"] == result["best"] else "  "
        accuracy = entry["accuracy"]
        lines.append(
            [
                star + entry["name"],
                str(entry["size"]),
                number(accuracy),
                f"{number(accuracy['low'])}-{number(accuracy['high'])}",
                number(entry["auc"]),
                duration(entry["train_seconds"]),
                number(entry["read_ms"], 2),
                p_value(against["mcnemar_p_holm"]) if against else "",
                p_value(against["delong_p_holm"]) if against else "",
            ]
        )
    first, *others = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for name, *cells in lines:
        aligned = (cell.rjust(n) for cell, n in zip(cells, others, strict=True))
        text.append("  ".join([name.ljust(first), *aligned]).rstrip())
    text.append(
        f"{result['films']:,} validation films common to all, {result['positives']:,} with "
        "pneumonia. * best accuracy; p: against it (McNemar, DeLong; Holm-corrected)."
    )
    text += [
        f"left out of {name}: {films:,} films the others were not validated on"
        for name, films in result["left_out"].items()
    ]
    text += [f"warning: {said}" for said in result["warnings"]]
    return "\n".join([*text, *result["notices"]])
