"""`firstread data`: sets of films. Each sub-verb is a file `data_<name>.py` beside this one."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from pathlib import Path

HELP = "get, check and split sets of films"
ORDER = ("get", "check", "split")


def sub_verbs() -> list[str]:
    """Names of the sub-verbs, those of `ORDER` first."""
    there = {m.name[5:] for m in pkgutil.iter_modules([str(Path(__file__).parent)])
             if m.name.startswith("data_")}  # fmt: skip
    return [n for n in ORDER if n in there] + sorted(there - set(ORDER))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each sub-verb."""
    children = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    for name in sub_verbs():
        module = importlib.import_module(f"firstread.cli.data_{name}")
        child = children.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=parser.epilog,
            allow_abbrev=False,
        )
        module.add_arguments(child)
        child.set_defaults(data_run=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb; its exit code."""
    code: int = args.data_run(args)
    return code
