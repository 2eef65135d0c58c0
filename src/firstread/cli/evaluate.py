"""`firstread evaluate`: judge a model on labelled films it has not seen."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.cli import evaluate_studies as studies
from firstread.cli.arguments import check_output, given, seed
from firstread.cli.evaluate_lines import study_lines
from firstread.errors import BundleError, FirstreadError, NoFilms
from firstread.progress import ProgressLine
from firstread.terminal import say

if TYPE_CHECKING:
    from firstread.cohort.table import Cohort
    from firstread.evaluate.kept import Kept
    from firstread.evaluate.score import Scored

HELP = "judge a model on labelled films: metrics with intervals, as JSON and an HTML report"

SHIPPED = "shipped"

SHOWN = (
    *("accuracy", "balanced_accuracy", "auc", "sensitivity", "specificity"),
    *("precision", "npv", "f1", "loss", "ece", "brier"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "model", metavar="RUN_OR_BUNDLE", help=f"a training run, a bundle, or the word {SHIPPED}"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR_OR_CSV",
        help="a folder with NORMAL/ and PNEUMONIA/ inside, or a CSV with file and label",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measures there")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument(
        "--split", type=Path, metavar="CSV", help="a split of the data; scores one part of it"
    )
    parser.add_argument(
        "--part", metavar="NAME", help="the part to score: train, val or test (with --split: val)"
    )
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="COLUMN",
        help="report within the values of this column of the CSV too; may be repeated",
    )
    parser.add_argument(
        "--prevalence",
        type=float,
        metavar="P",
        help="share of pneumonia where the model shall be used, 0 to 1: gives PPV and NPV there",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="of the bootstrap and of the studies (default 0)"
    )
    studies.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Score, measure, write and print; 1 if films were rejected or a study failed, else 0."""
    from firstread.cohort.inputs import keep_inputs
    from firstread.cohort.table import load_cohort
    from firstread.evaluate.kept import Kept
    from firstread.evaluate.result import measure
    from firstread.evaluate.score import worst_films
    from firstread.evaluate.tables import check_prevalence
    from firstread.film.files import write_atomic
    from firstread.read.wanted import Wanted

    bundle_path, run_dir = find_bundle(args.model)
    check_prevalence(args.prevalence)
    place = Wanted(json=args.json, html=args.html).journal
    outputs = [args.json, args.html, place]
    for path in outputs:
        check_output(path)
    cohort = load_cohort(args.data)
    read = [args.data, args.split, args.recalibrate_on, bundle_path, run_dir]
    keep_inputs(outputs, read, cohort.paths)
    cohort, part = _asked_for(args, cohort)
    local = studies.check(args, cohort, bundle_path)
    if local is not None:
        keep_inputs(outputs, [], local.paths)
    with studies.with_masks(args, cohort) as (masked, odd), Kept(place, say) as kept:
        scored = _scored(args, bundle_path, cohort, part, kept)
        result = measure(
            scored,
            prevalence=args.prevalence,
            seed=args.seed,
            command=_command(args),
            warnings=_warnings(scored, cohort, local, run_dir) + odd,
        )
        made, failed = studies.run_studies(args, bundle_path, masked, scored, local)
        result |= made
        result["warnings"] += [studies.why_missing(option, e) for option, e in failed]
        if args.json is not None:
            write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
        if args.html is not None:
            from firstread.evaluate.report import write_report

            write_report(args.html, result, worst_films(scored, cohort, bundle_path))
    print(table(result))
    for path in (args.json, args.html):
        if path is not None:
            print(f"wrote {path}")
    for _, e in failed:
        if not isinstance(e, FirstreadError):  # told as such, once all that was measured is safe
            raise e
    return 1 if result["n_rejected"] or failed else 0


def _scored(
    args: argparse.Namespace, bundle_path: Path | None, cohort: Cohort, part: str | None, kept: Kept
) -> Scored:
    """The films as the model reads them. Raises `NoFilms` where it rejects all."""
    from firstread.evaluate.places import portable
    from firstread.evaluate.score import score_cohort

    lines = ProgressLine("read"), ProgressLine("headers and hashes")
    scored = score_cohort(bundle_path, cohort, args.by, *lines, kept=kept)
    if scored.rejected.all():
        raise NoFilms(
            f"{args.data}: all {len(scored)} films were rejected; the first because: "
            f"{'; '.join(scored.reasons[0])}"
        )
    split = args.split and portable(args.split)
    scored.data.update(given=portable(args.data), part=part, split=split)
    return scored


def _warnings(
    scored: Scored, cohort: Cohort, local: Cohort | None, run_dir: Path | None
) -> list[str]:
    """What makes a result doubtful, by the films of `cohort` and of the table to recalibrate on."""
    from firstread.cohort.copies import copies_warning
    from firstread.evaluate.doubts import doubts
    from firstread.evaluate.seen import seen_warnings

    data, prevalence = scored.bundle["data"], scored.bundle["calibration"].get("prevalence")
    warnings = seen_warnings(cohort, data, run_dir) + copies_warning(cohort)
    warnings += doubts(cohort, prevalence, scored.bundle["ages"])
    if local is not None:
        local.read_readable_hashes(ProgressLine(f"{studies.LOCAL}: hashing"))
        seen = seen_warnings(local, data, run_dir)
        warnings += [f"{studies.LOCAL}: {said}" for said in seen]
    return warnings


def _asked_for(args: argparse.Namespace, films: Cohort) -> tuple[Cohort, str | None]:
    """The films to score, and the part that they are if one was asked for."""
    from firstread.cohort.split import load_split

    part = args.part
    if args.split is not None:
        films = load_split(args.split, films, ProgressLine("hashing"))
        part = part or "val"
    if part is None:
        return films, None
    there = sorted({r.part for r in films.rows} - {""})
    if not there:
        raise NoFilms(f"{args.data}: in no parts; give --split, or leave --part away")
    if part not in there:
        raise NoFilms(f"no part {part!r}; there are {', '.join(there)}")
    films = films.part(part)
    if {r.label for r in films.rows} != {0, 1}:
        raise NoFilms(
            f"part {part!r} does not hold films of both classes; the parts are {', '.join(there)}"
        )
    return films, part


def _command(args: argparse.Namespace) -> str:
    """The command line that makes the same result again."""
    from firstread.evaluate.places import command_line

    model = args.model if args.model == SHIPPED else Path(args.model)
    words: list[str | Path] = ["firstread", "evaluate", model]
    words += given(args, "data", "split", "part", "prevalence", "seed", "json", "html")
    for column in args.by:
        words += ["--by", column]
    return command_line(words + studies.words(args))


def find_bundle(model: str) -> tuple[Path | None, Path | None]:
    """The bundle folder (None: the shipped one) and the run folder, if it is a run.

    Raises `BundleError` where there is neither.
    """
    path = Path(model)
    if (path / "card.json").is_file():
        # A run's own bundle, named directly, still belongs to its run.
        return path, path.parent if (path.parent / "recipe.json").is_file() else None
    if (path / "bundle" / "card.json").is_file():
        return path / "bundle", path
    if model == SHIPPED:
        return None, None
    if path.is_dir() and (path / "recipe.json").is_file():
        from firstread.evaluate.runs import without_bundle

        raise BundleError(without_bundle(path))
    raise BundleError(
        f"{path}: neither a run nor a bundle; name a folder that holds card.json or bundle/, "
        f"or the word {SHIPPED}"
    )


def table(result: dict[str, Any]) -> str:
    """The main measures as plain text."""
    from firstread.evaluate.page import places
    from firstread.read.digits import limits_in_digits

    bundle, matrix = result["bundle"], result["confusion"]["matrix"]
    threshold = limits_in_digits(result["threshold"], least=4)[0]
    lines = [
        f"{bundle['name']} ({bundle['sha256'][:12]}) on {result['n']} films of "
        f"{result['n_patients']} patients: {result['n_normal']} normal, "
        f"{result['n_pneumonia']} pneumonia",
        f"called pneumonia at a probability of {threshold} or more; "
        f"{result['n_refer']} referred ({result['n_band']} in the band), "
        f"{result['n_rejected']} rejected",
        "",
        f"{'':18}  {'value':>7}  95 % interval",
    ]
    for name in SHOWN:
        e = result[name]
        d = places(e, 4, 1)
        interval = f"{_number(e['low'], d)} to {_number(e['high'], d)}  {e['method']}"
        lines.append(f"{name.replace('_', ' '):18}  {_number(e['value'], d):>7}  {interval}")
    names = result["confusion"]["labels"]
    lines += ["", f"{'truth / decision':18}" + "".join(f"  {name:>12}" for name in names)]
    for name, row in zip(names, matrix, strict=True):
        lines.append(f"{name:18}" + "".join(f"  {count:>12}" for count in row))
    lines += _second_look(result)
    lines += study_lines(result)
    for film in result["rejected"][:10]:
        lines.append(f"rejected: {film['file']}: {'; '.join(film['reasons'])}")
    if len(result["rejected"]) > 10:
        lines.append(f"rejected: {len(result['rejected']) - 10} more, see the JSON")
    lines += [f"warning: {w}" for w in result["warnings"]]
    lines += list(result["notices"])
    return "\n".join(lines)


def _second_look(result: dict[str, Any]) -> list[str]:
    """What stands below the main measures: of the films decided, of chance, of shortcuts, and of
    the share of pneumonia that was given."""
    kept = result["selective"]
    lines = [
        "",
        f"decided, so neither referred nor rejected: {kept['n_kept']} films, "
        f"error {_number(kept['error']['value'])} "
        f"(all films: {_number(kept['error_all']['value'])})",
        "the 80 % of films furthest from the threshold: "
        f"error {_number(kept['at_80']['error']['value'])}",
    ]
    chance = result["ece"]["by_chance"]
    lines.append(
        f"ece of as many films, were they calibrated: {_number(chance['low'])} to "
        f"{_number(chance['high'])}"
    )
    shortcuts = [s for s in result["shortcuts"] if s["auc"] is not None]
    if shortcuts:
        found = ", ".join(f"{s['name']} {_number(s['auc']['value'])}" for s in shortcuts)
        lines.append(f"AUC without a look at the lungs: {found}")
    for row in result["prevalence"]:
        if row["given"]:
            lines.append(
                f"where {row['prevalence']:.1%} have pneumonia: "
                f"PPV {_share(row['ppv']['value'])}, NPV {_share(row['npv']['value'])}"
            )
    return lines


def _number(x: float | None, digits: int = 4) -> str:
    return "-" if x is None else f"{x:.{digits}f}"


def _share(x: float | None) -> str:
    """A share of 1 that looks like neither 0 nor 1 unless it is."""
    from firstread.evaluate.page import places

    return _number(x, places(x, 4, 1))
