"""Fetch a public set of films into a folder, checked against what is known of it.

A download goes on where it broke off: run the same command again. Without a connection,
download the archive in a browser on any machine and give it with --from.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstread.cohort.fetch import Fetched
    from firstread.cohort.sources import Source

HELP = "fetch a public set of films"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """NAME --to DIR [--via WAY] [--from FILE]."""
    parser.add_argument("name", nargs="?", help="which set; without it, the known sets are listed")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to make")
    parser.add_argument("--via", default="", metavar="WAY", help="mendeley (default) or kaggle")
    parser.add_argument(
        "--from",
        dest="given",
        type=Path,
        metavar="FILE",
        help="archive (zip) or folder that was downloaded already",
    )


def run(args: argparse.Namespace) -> int:
    """0: the set is there; 2: it has to be fetched by hand."""
    from firstread.cohort.fetch import fetch
    from firstread.cohort.sources import SOURCES
    from firstread.errors import DownloadError, OutputError

    if not args.name:
        for source in SOURCES.values():
            print(_describe(source))
        return 0
    if args.name not in SOURCES:
        raise DownloadError(f"no set called {args.name!r}; known are {', '.join(SOURCES)}")
    source = SOURCES[args.name]
    if source.manual:
        print(_by_hand(source))
        return 2
    if args.to is None:
        raise OutputError("no folder named; say where with --to DIR")
    done = fetch(source, args.to, via=args.via, given=args.given, stream=sys.stderr)
    print(_summary(source, done))
    return 0


def _describe(source: Source) -> str:
    how = "by hand" if source.manual else "via " + " or ".join(w.name for w in source.ways)
    return f"{source.name} ({how})\n  {source.title}\n  {source.licence}"


def _by_hand(source: Source) -> str:
    steps = [f"  {n}. {step}" for n, step in enumerate(source.manual, start=1)]
    return "\n".join(
        [
            f"{source.name}: {source.title}",
            f"note: {source.note}",
            "It is not fetched for you; get it by hand:",
            *steps,
            f"licence: {source.licence}",
            f"cite: {source.citation}",
        ]
    )


def _summary(source: Source, done: Fetched) -> str:
    films = sum(done.counts.values())
    what = "is complete already, nothing done" if done.already else f"is ready (via {done.way})"
    lines = [f"{done.root}: {source.name} {what}: {films:,} films"]
    lines += [f"  {folder}: {n:,}" for folder, n in done.counts.items()]
    lines += [f"note: {note}" for note in (source.note, *done.notes) if note]
    lines += [f"licence: {source.licence}", f"cite: {source.citation}"]
    lines.append(f"next: firstread data check {done.root}")
    return "\n".join(lines)
