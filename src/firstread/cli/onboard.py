"""`firstread onboard`: a clinic brings labelled films of its own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.cli.arguments import check_output, given, seed
from firstread.cli.onboard_lines import lines, need_lines
from firstread.errors import DataError, OutputError
from firstread.progress import ProgressLine
from firstread.terminal import say

if TYPE_CHECKING:
    from firstread.clinic.onboard import Onboarding
    from firstread.read.bundle import Bundle

HELP = (
    "judge the model on a clinic's labelled films, set thresholds and calibration for it, and "
    "make a local bundle once somebody signs; later, compare new films with those"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="?",
        metavar="DIR_OR_CSV",
        help="a folder with NORMAL/ and PNEUMONIA/ inside, or a CSV with file and label (and "
        "patient); with --drift any folder of films, or a CSV without labels; left out, only how "
        "many films are needed is told",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder for onboard.html, .json and bundle/"
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="the bundle to begin with (default: shipped)"
    )
    parser.add_argument(
        "--sensitivity",
        type=float,
        default=0.95,
        metavar="S",
        help="wanted of the local threshold, 0.5 to below 1 (default 0.95)",
    )
    parser.add_argument(
        "--prevalence",
        type=float,
        metavar="P",
        help="share of pneumonia in routine, 0 to 1 (default: that of the films)",
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=0.1,
        metavar="W",
        help="width of the 95 %% intervals wanted, from low to high (default 0.1)",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of bootstrap and parts (default 0)")
    parser.add_argument("--signed-by", metavar="NAME", help="who signs the local bundle off")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="the day of the sign-off")
    parser.add_argument(
        "--drift",
        type=Path,
        metavar="JSON",
        help="compare these films with the baseline in an earlier onboard.json; exit code 1 if "
        "something changed",
    )


def run(args: argparse.Namespace) -> int:
    """Onboard or compare; 1 if films were rejected, too few to sign, or something changed."""
    if args.drift is not None:
        from firstread.cli.onboard_drift import drift

        return drift(args, _command(args))
    if args.data is None:
        return _plan(args)
    from firstread.clinic.bundle import check_signature
    from firstread.clinic.films import age_warning, score_and_look
    from firstread.clinic.onboard import check_asked, onboard
    from firstread.clinic.page import onboard_page
    from firstread.cohort.copies import without_copies
    from firstread.cohort.table import load_cohort
    from firstread.evaluate.kept import Kept
    from firstread.evaluate.places import portable
    from firstread.evaluate.seen import seen_warnings
    from firstread.film.files import write_atomic
    from firstread.read.bundle import Bundle

    check_asked(args.sensitivity, args.interval, args.prevalence)
    signed = check_signature(args.signed_by, args.date)
    bundle = Bundle.load(args.bundle)
    local, pages, place = _places(args, signed is not None)
    cohort, copies = without_copies(load_cohort(args.data), ProgressLine("hashing"))
    with Kept(place, say) as kept:
        shown = ProgressLine("read"), ProgressLine("headers")
        scored, look = score_and_look(bundle, cohort, *shown, kept)
        scored.data["given"] = portable(args.data)
        found = onboard(
            scored,
            look,
            bundle,
            sensitivity=args.sensitivity,
            width=args.interval,
            prevalence=args.prevalence,
            seed=args.seed,
            command=_command(args),
            warnings=[
                *copies,
                *age_warning(cohort, bundle.card),
                *seen_warnings(cohort, scored.bundle["data"], None),
            ],
        )
        result = found.result
        if signed is not None:
            _sign(args.out, local, bundle, found, signed)
        text = json.dumps(result, indent=1, allow_nan=False) + "\n"
        write_atomic(pages["json"], text)
        write_atomic(pages["html"], onboard_page(result))
    print("\n".join(lines(result)))
    print(f"wrote {pages['html']} and {pages['json']}")
    if result["local_bundle"] is not None:
        print(f"wrote {local}; read with it: firstread read FILMS --bundle {local}")
    elif found.point is None:
        print("too few films for a local bundle: nothing can be signed off")
        return 1
    else:
        print("a proposal: to sign it off, run again with --signed-by NAME --date YYYY-MM-DD")
    return 1 if result["n_rejected"] else 0


def _sign(
    out: Path, local: Path, bundle: Bundle, found: Onboarding, signed: dict[str, str]
) -> None:
    """Write the bundle of one's own where the films are enough for one, and say so in the result.

    Raises `DataError` where they are not and an earlier sign-off lies in `out`.
    """
    from firstread.clinic.bundle import write_local
    from firstread.evaluate.places import portable

    if found.point is None:
        if _is_signed(out):
            raise DataError(  # of the films: no journal stays for another try
                f"{out}: holds a sign-off, and these are too few films for another; name "
                "another folder with --out for what they tell"
            )
        return
    made = write_local(local, bundle, found.point, found.result, signed)
    named = {"name": made.name, "path": portable(local), "sha256": made.sha256}
    found.result.update(status="signed", signed=signed, local_bundle=named)


def _places(args: argparse.Namespace, signs: bool) -> tuple[Path, dict[str, Path], Path | None]:
    """Where the local bundle and the pages go, and the journal until they are there; `OutputError`
    for a place that will not do, before the films are read."""
    from firstread.cohort.inputs import keep_inputs
    from firstread.read.bundle import refuse_foreign
    from firstread.read.wanted import Wanted

    if args.out is None:
        raise OutputError("name a folder for the page, the JSON and the bundle with --out FOLDER")
    if args.out.exists() and not args.out.is_dir():
        raise OutputError(f"{args.out}: is a file; name a folder with --out")
    pages = {kind: args.out / f"onboard.{kind}" for kind in ("json", "html")}
    place = Wanted(**pages).journal
    for path in (*pages.values(), place):
        check_output(path)
    keep_inputs([*pages.values(), place], [args.data])
    local = args.out / "bundle"
    if signs:
        refuse_foreign(local)
        if args.bundle is not None and local.is_dir() and local.samefile(args.bundle):
            raise OutputError(
                f"{local}: is the bundle to begin with, and would be replaced; name another folder "
                "with --out"
            )
    elif _is_signed(args.out):
        raise OutputError(
            f"{args.out}: holds a sign-off, which a proposal must not replace; name another folder "
            "with --out"
        )
    return local, pages, place


def _is_signed(folder: Path) -> bool:
    """Whether the folder holds an onboarding that somebody has signed off."""
    try:
        told = json.loads((folder / "onboard.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("status") == "signed"


def _plan(args: argparse.Namespace) -> int:
    """Say how many films are needed, before there are any."""
    from firstread.clinic.need import needs
    from firstread.clinic.onboard import check_asked

    check_asked(args.sensitivity, args.interval, args.prevalence)
    wants = needs(
        0, 0, sensitivity=args.sensitivity, specificity=None, auc=None, width=args.interval
    )
    print("\n".join(need_lines([w.to_json() for w in wants], args.interval)))
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command line that makes the same result again."""
    from firstread.evaluate.places import command_line

    names = ["out", "bundle", "drift"]
    if args.drift is None:
        names += ["sensitivity", "prevalence", "interval", "seed", "signed_by", "date"]
    return command_line(["firstread", "onboard", args.data, *given(args, *names)])
