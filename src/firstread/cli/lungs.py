"""`firstread lungs`: draw the lungs of films, judge the net that does it, train it again."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from firstread.cli.arguments import seed
from firstread.progress import ProgressLine
from firstread.terminal import tell

HELP = "draw lung masks of films; judge or remake the lung net"

NOT_STATED = "not stated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each sub-verb."""
    children = parser.add_subparsers(dest="lungs_verb", metavar="VERB", required=True)
    add = partial(children.add_parser, epilog=parser.epilog, allow_abbrev=False)
    draw = add("draw", help="write the lung mask of each film as a PNG")
    draw.add_argument("paths", nargs="+", metavar="FILE_OR_FOLDER", help="films, or folders")
    draw.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the masks")
    draw.add_argument("--net", type=Path, metavar="DIR", help="a net of your own")
    draw.add_argument(
        "--replace", action="store_true", help="draw masks anew that are there (else they are kept)"
    )
    draw.set_defaults(lungs_run=_draw)

    judge = add("evaluate", help="Dice of the net against drawn masks")
    _add_data(judge, "from `firstread data split`; else all films are judged")
    judge.add_argument("--part", help="the part to judge: train or val (with --split: val)")
    judge.add_argument("--net", type=Path, metavar="DIR", help="a net of your own")
    judge.add_argument("--json", type=Path, metavar="F", help="write the measures")
    judge.set_defaults(lungs_run=_evaluate)

    train = add("train", help="train the net from films and drawn masks")
    _add_data(train, "from `firstread data split`; else the last eighth of each series validates")
    train.add_argument("--seed", type=seed, default=0, help="default: 0")
    train.add_argument("--epochs", type=int, metavar="N", help="instead of the plan's")
    train.add_argument("--films", type=int, metavar="N", help="films an epoch, drawn anew")
    for name, what in (
        ("--licence", "of the masks"),
        ("--source", "of the masks"),
        ("--net-licence", "under which the net may be passed on"),
    ):
        train.add_argument(
            name,
            default=NOT_STATED,
            metavar="TEXT",
            help=f"{what}, for the net's record (default: {NOT_STATED})",
        )
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    train.set_defaults(lungs_run=_train)


def _add_data(parser: argparse.ArgumentParser, split: str) -> None:
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR_OR_CSV", help="films with labels"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="folder that mirrors the films' paths; else the CSV's column lung_mask",
    )
    parser.add_argument("--split", type=Path, metavar="CSV", help=split)


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb; its exit code."""
    code: int = args.lungs_run(args)
    return code


def _draw(args: argparse.Namespace) -> int:
    """Write the masks; 1 if a film could not be read or its mask is in doubt."""
    from firstread.film.draw import draw_masks
    from firstread.film.lungs import LungFinder
    from firstread.read.engine import default_threads
    from firstread.terminal import printable

    paths, finder = [Path(p) for p in args.paths], LungFinder(args.net)
    drawn = draw_masks(
        paths,
        args.out,
        finder,
        replace=args.replace,
        threads=default_threads(),
        progress=ProgressLine("drawing"),
    )
    total = failed = kept = 0
    for film, problem, was_there in drawn:
        total += 1
        kept += was_there
        if problem is not None:
            failed += 1
            tell(printable(f"{film}: no mask: {problem}"))
    print(f"{total - failed - kept} of {total} masks written to {args.out}")
    if kept:
        print(f"{kept} masks that were there are kept as they are; --replace draws them anew")
    return 1 if failed else 0


def _train(args: argparse.Namespace) -> int:
    """Train the net; 1 if some films could not be read."""
    from firstread.train.bring import bring

    bring("firstread.train.lungs")
    from dataclasses import replace

    from firstread.cohort.table import load_cohort
    from firstread.errors import RecipeError
    from firstread.train.lungs import LungJob, LungPlan, train_lungs

    plan = LungPlan(seed=args.seed)
    for name in ("epochs", "films"):
        given = getattr(args, name)
        if given is not None:
            if given < 1:
                raise RecipeError(f"--{name} {given}: give 1 or more")
            plan = replace(plan, **{name: given})
    job = LungJob(
        films=load_cohort(args.data),
        out=args.out,
        masks=args.masks,
        split=args.split,
        plan=plan,
        licence=args.licence,
        source=args.source,
        net_licence=args.net_licence,
    )
    state = train_lungs(job, say=tell, show=ProgressLine)
    _say_dice(state["val"])
    print(f"the net is in {args.out / 'net'}; use it with --net, or as src/firstread/film/shipped")
    return 1 if state.get("failed_films") else 0  # runs from before tell of none


def _evaluate(args: argparse.Namespace) -> int:
    """Judge the net; 1 if some films could not be read."""
    import json

    import numpy as np

    from firstread.cohort.cache import cached_films
    from firstread.cohort.inputs import keep_inputs
    from firstread.cohort.split import load_split
    from firstread.cohort.table import load_cohort
    from firstread.errors import NoFilms
    from firstread.evaluate.lungs import judge_lungs
    from firstread.evaluate.masks import find_masks, load_mask, mask_warnings
    from firstread.evaluate.seen import seen_warnings
    from firstread.film.files import write_atomic
    from firstread.film.lungs import SIDE, LungFinder
    from firstread.film.preprocess import Preprocess

    finder = LungFinder(args.net)
    films, part = load_cohort(args.data), args.part
    keep_inputs([args.json], [args.data, args.split], films.paths)
    if args.split is not None:
        films, part = load_split(args.split, films, ProgressLine("hashing")), part or "val"
    if part is not None:
        films = films.part(part)
        if not len(films):
            raise NoFilms(f"--part {part}: no film is in it; give --split, and use train or val")
    films.read_hashes(ProgressLine("hashing"))
    cached = cached_films(films, Preprocess(SIDE), progress=ProgressLine("decoding"))
    paths = find_masks(cached.films, args.masks)
    masks = [None if path is None else load_mask(path, SIDE) for path in paths]
    read = [(p, m) for p, m in zip(paths, masks, strict=True) if p is not None and m is not None]
    show, pixels = ProgressLine("judging"), np.asarray(cached.pixels)
    judged = judge_lungs(cached.films, pixels, masks, finder, show)
    # A run's net, RUN/net, lies beside the split it was trained on.
    run = args.net.parent if args.net and (args.net.parent / "split.csv").is_file() else None
    judged |= {
        "unreadable": len(cached.failed),
        "warnings": seen_warnings(films, finder.record["data"], run) + mask_warnings(read),
        "part": part,
        "net": {key: finder.record[key] for key in ("name", "onnx", "data", "training")},
        "data_sha256": films.data_hash(),
    }
    if args.json is not None:
        write_atomic(args.json, json.dumps(judged, indent=1, allow_nan=False) + "\n")
    _say_dice(judged)
    for file, why in cached.failed:
        print(f"{file}: left out: {why}")
    for warning in judged["warnings"]:
        print(f"warning: {warning}")
    if args.json is not None:
        print(f"wrote {args.json}")
    return 1 if cached.failed else 0


def _say_dice(judged: dict[str, Any]) -> None:
    for name, row in {"all": judged, **judged["by"]}.items():
        dice, span = row["dice"], "no interval: too few patients"
        if dice["low"] is not None and dice["high"] is not None:
            span = f"{dice['low']:.4f} to {dice['high']:.4f}"
        print(
            f"{name:<12} Dice {dice['value']:.4f} ({span}) on {row['films']} films, "
            f"{row['below_0.9']} below 0.9"
        )
