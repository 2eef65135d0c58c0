"""Say what is in a folder or table of films and what is wrong with it.

Every film is decoded. Exit code 0: no leak; 1: a patient or a film stands on both sides of
the split given, or of the folders train, val and test; 2: nothing could be read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "what is in a folder of films, and what is wrong with it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DIR_OR_CSV [--split split.csv] [--json F] [--html F]."""
    parser.add_argument("data", type=Path, metavar="DIR_OR_CSV", help="folder or CSV of films")
    parser.add_argument(
        "--split", type=Path, metavar="CSV", help="split to judge, made by `firstread data split`"
    )
    parser.add_argument("--json", type=Path, metavar="F", help="write the whole report as JSON")
    parser.add_argument("--html", type=Path, metavar="F", help="write it as a page for a browser")


def run(args: argparse.Namespace) -> int:
    """Check, print a summary, write what was asked for; 1 if it leaks."""
    import json

    from firstread.cohort.audit import audit, load_for_audit
    from firstread.cohort.audit_page import write_audit_page
    from firstread.cohort.inputs import keep_inputs
    from firstread.film.files import write_atomic
    from firstread.progress import ProgressLine

    cohort = load_for_audit(args.data)
    keep_inputs([args.json, args.html], [args.data, args.split], cohort.paths)
    show = ProgressLine("looking at")
    report = audit(cohort, args.split, progress=show, walk=args.data.is_dir())
    print(summary(report, args.data))
    if args.json is not None:
        write_atomic(args.json, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        print(f"report: {args.json}")
    if args.html is not None:
        write_audit_page(report, args.html)
        print(f"page: {args.html}")
    return 1 if report["leaks_found"] else 0


def summary(report: dict[str, Any], source: Path) -> str:
    """The report in a few lines for a terminal."""
    from firstread.plural import count

    patients = report["patients"]
    films_each = patients["films_a_patient"]
    mean = films_each["mean"]
    lines = [
        f"{source}: {count(report['films'], 'film')} ({report['readable']:,} readable), "
        f"{count(patients['patients'], 'patient')} ({mean:g} {'film' if mean == 1 else 'films'} "
        f"each, at most {films_each['most']})"
    ]
    for by in ("class", "part", "series", "etiology"):
        counts = report["counts"][by]
        if set(counts) != {"-"}:
            named = (f"{'not known' if k == '-' else k} {n:,}" for k, n in counts.items())
            lines.append(f"  {by + ':':<10} {', '.join(named)}")
    for name, c in report["pictures"].items():
        lines.append(
            f"  {name}: {_range(c['width'])} x {_range(c['height'])} px, "
            f"{c['bytes']['median'] / 1000:,.0f} kB in the middle, {', '.join(c['mode'])}"
        )
    findings = report["findings"]
    for finding, following in zip(findings, [*findings[1:], None], strict=True):
        lines.append(f"{finding['severity']}: {finding['text']}")
        if following is None or following["do"] != finding["do"]:
            lines.append(f"    -> {finding['do']}")
    leaks = sum(f["severity"] == "leak" for f in report["findings"])
    judged = [c for c in report["between"] if c["judged"]]
    verdict = "it leaks" if leaks else "no leak found" if judged else "one part, no split to judge"
    lines.append(f"{verdict} ({report['seconds']:.0f} s)")
    return "\n".join(lines)


def _range(spread: dict[str, float]) -> str:
    low, high = spread["min"], spread["max"]
    return f"{low:.0f}" if low == high else f"{low:.0f}-{high:.0f}"
