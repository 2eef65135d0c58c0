"""`firstread tune`: search for a better recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from firstread.cli.arguments import seed
from firstread.cli.train import RECIPES, add_data_arguments, job_from
from firstread.errors import RecipeError
from firstread.progress import ProgressLine
from firstread.terminal import tell

HELP = (
    "search around a recipe for a better one. Trial 0 is the recipe itself; the search resumes "
    "where it was stopped. The value it reports is optimistic, since it was chosen among many on "
    "one validation part: judge DIR/best.toml on films that took no part in the search"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("recipe", metavar="RECIPE", help=RECIPES)
    add_data_arguments(parser)
    parser.add_argument(
        "--trials",
        type=int,
        required=True,
        metavar="N",
        help="finished trials wanted in all; with those of an earlier call counted",
    )
    parser.add_argument("--seed", type=seed, help="of the search and of every trial")
    parser.add_argument("--epochs", type=int, metavar="N", help="of every trial")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")


def run(args: argparse.Namespace) -> int:
    """Search; 1 if some films could not be decoded, else 0."""
    from firstread.train.bring import bring

    if args.trials < 1:
        raise RecipeError(f"--trials {args.trials} is not possible; use 1 or more")
    bring("firstread.train.tune")
    from firstread.train.tune import Search, tune

    search = Search(job_from(args, {}), args.trials)
    result = tune(search, say=tell, show=ProgressLine)
    best = result["best"]
    if best is None:
        # The median of the others stops none before some have run to their end.
        print(
            "every trial diverged, so none has a value: give a recipe with a lower lr and another "
            "--out, or a larger --trials"
        )
    else:
        print(f"best of {len(result['trials'])}: {best['folder']}, AUC {best['val_auc']:.4f}")
        print(result["note"])
        print(f"next: firstread train {args.out / 'best.toml'} --data DIR --out RUN")
    print(f"the search in pictures: {args.out / 'search.html'}")
    return 1 if any(trial["failed_films"] for trial in result["trials"]) else 0
