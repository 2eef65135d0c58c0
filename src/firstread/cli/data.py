"""`firstread data`: sets of films. Each sub-verb is a file `data_<name>.py` beside this one."""

from __future__ import annotations

import argparse
import importlib

HELP = "get, check and split sets of films"
SUB_VERBS = ("get", "check", "split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each sub-verb."""
    children = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    for name in SUB_VERBS:
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
