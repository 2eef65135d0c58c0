"""`firstread train`: from a folder of films to a bundle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.cli.arguments import seed
from firstread.progress import ProgressLine
from firstread.terminal import tell

if TYPE_CHECKING:
    from firstread.train.run import Job

HELP = "train a model from a recipe: fit, choose the operating point on validation, export"
RECIPES = "default, scratch, resnet10, cnn, vgg19, or a .toml file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help=f"{RECIPES}; with --start also settle or vgg19-last-block",
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--start",
        type=Path,
        metavar="RUN",
        help="go on from the network of this finished run, its head as well, instead of --weights",
    )
    parser.add_argument("--seed", type=seed, help="instead of the recipe's")
    parser.add_argument("--size", type=int, metavar="PX", help="instead of the recipe's")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's")
    parser.add_argument(
        "--no-gate",
        action="store_true",
        help="leave out the gate, which knows bad films: sooner done, for models to be compared",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that training and tuning share."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR_OR_CSV",
        help="NORMAL/ and PNEUMONIA/, or these below train/; val/ and test/ are left alone",
    )
    parser.add_argument(
        "--split",
        type=Path,
        metavar="CSV",
        help="from `firstread data split`; else the last eighth of each series validates",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="ImageNet weights (.safetensors or torchvision's .pth), or `none` for from scratch; "
        "else looked for in FIRSTREAD_WEIGHTS, then fetched",
    )
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), help="default: the best there")


def job_from(args: argparse.Namespace, changes: dict[str, int]) -> Job:
    """The job that the arguments name; `changes`, seed and epochs go over the recipe's own.

    Raises `RunError` where a second step has no run to go on from, and `OutputError` where the
    run would lie among the films.
    """
    from firstread.cohort.table import load_cohort
    from firstread.errors import OutputError, RunError
    from firstread.train.lineage import goes_on_from
    from firstread.train.recipe import load_recipe
    from firstread.train.run import Job

    start = getattr(args, "start", None)  # a search has none
    if start is None and (first := goes_on_from(args.recipe)):
        raise RunError(
            f"{args.recipe} goes on from {first}; use `firstread train {args.recipe} --start RUN`"
        )
    if args.data.is_dir() and args.out.resolve().is_relative_to(args.data.resolve()):
        raise OutputError(
            f"{args.out}: lies in {args.data}, where its curves would pass for a film; "
            "name a folder elsewhere"
        )
    given = {"seed": args.seed, "epochs": args.epochs}
    changes = {**changes, **{key: value for key, value in given.items() if value is not None}}
    recipe = load_recipe(args.recipe, **changes)
    if recipe.freeze != "nothing" and args.weights == "none":
        said = "warning: what is frozen is random, so the model will hardly tell films apart"
        print(f"firstread: {said}", file=sys.stderr)
    return Job(
        recipe=recipe,
        name=Path(args.recipe).stem,
        films=load_cohort(args.data),
        out=args.out,
        split=args.split,
        weights=args.weights,
        device=args.device,
        start=start,
        gate=not getattr(args, "no_gate", False),  # and leaves the gate out by itself
    )


def run(args: argparse.Namespace) -> int:
    """Train; 1 if some films could not be decoded, else 0."""
    from firstread.train.bring import bring

    bring("firstread.train.run")
    from firstread.train.run import train

    # A recipe's other sizes belong to its own size.
    others = {"train_size": 0, "keep_size": 0, "mirror_size": 0}
    changes = {} if args.size is None else {"size": args.size, **others}
    job = job_from(args, changes)
    state = train(job, say=tell, show=ProgressLine)
    epochs = state["epochs_run"]
    print(f"validation AUC {state['val_auc']:.4f} after {epochs} epoch{'' if epochs == 1 else 's'}")
    print(f"bundle: {args.out / 'bundle'}")
    print(f"next: firstread evaluate {args.out} --data FILMS --html report.html")
    return 1 if state["failed_films"] else 0
