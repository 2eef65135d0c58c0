"""The studies that `firstread evaluate` makes on request: does the opinion hold, and why?

Each reads the films again in some other way, which takes from seconds to minutes, so none is
made unasked. Their results are further keys of the JSON, absent where not asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from firstread.cli.arguments import given
from firstread.errors import DataError
from firstread.progress import ProgressLine, end_line

if TYPE_CHECKING:
    from firstread.cohort.table import Cohort
    from firstread.evaluate.score import Scored

LOCAL = "--recalibrate-on"
"""What is told of the films of that option begins with it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that ask for a study."""
    group = parser.add_argument_group("studies, each of which reads the films again")
    group.add_argument(
        "--corruptions",
        action="store_true",
        help="the error under 13 corruptions of 5 strengths (reads each film 65 times more)",
    )
    group.add_argument(
        "--occlude",
        action="append",
        default=[],
        choices=("box", "silhouette"),
        help="the AUC that remains with the lungs painted over: in one fixed box, or in each "
        "film's own outline; may be repeated",
    )
    group.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="lung masks, laid out as the films; else the column lung_mask of the CSV, or masks "
        "that the lung net draws",
    )
    group.add_argument(
        "--heat-energy",
        action="store_true",
        help="how much of the heat map lies inside the lungs, and whether it heeds the weights",
    )
    group.add_argument(
        "--map-curves",
        type=_films_wanted,
        nargs="?",
        const=100,
        metavar="N",
        help="whether the answer hangs on the heat map: deletion and insertion curves over N films "
        "called pneumonia (default 100; reads each film 120 times more)",
    )
    group.add_argument(
        "--recalibrate-on",
        type=Path,
        metavar="CSV",
        help="what a new calibration on 100 films of this table would mend; the table given as "
        "--data draws them from the films evaluated",
    )


def _films_wanted(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a number of films, 1 or more")
    return int(text)


def words(args: argparse.Namespace) -> list[str | Path]:
    """The options of `add_arguments` as they were given, for the command line to repeat."""
    said: list[str | Path] = ["--corruptions"] if args.corruptions else []
    for how in _ways(args):
        said += ["--occlude", how]
    said += given(args, "masks")
    if args.heat_energy:
        said.append("--heat-energy")
    return said + given(args, "map_curves", "recalibrate_on")


def check(args: argparse.Namespace, cohort: Cohort, bundle_path: Path | None) -> Cohort | None:
    """Raise before any film is read where a study lacks what it needs.

    Returns the table of --recalibrate-on; None where there is none, or where it holds the very
    films of `cohort`.
    """
    from firstread.cohort.table import load_cohort

    if args.masks is not None and not (args.occlude or args.heat_energy):
        raise DataError("--masks is for --occlude and --heat-energy; ask for one of these as well")
    if args.occlude or args.heat_energy:
        from firstread.evaluate.masks import check_frame
        from firstread.read.bundle import Bundle

        check_frame(Bundle.load(bundle_path).card.preprocess)
    if _wants_masks(args) and not _to_draw(args, cohort):
        from firstread.evaluate.masks import check_usable, find_masks

        check_usable(cohort, find_masks(cohort, args.masks), "silhouette" in args.occlude)
    if args.recalibrate_on is None:
        return None
    local = load_cohort(args.recalibrate_on)
    # The same table may be named in two ways; of a split, only the part evaluated is drawn from.
    same = args.recalibrate_on.resolve() == args.data.resolve()
    other = None if same or _paths(local) == _paths(cohort) else local
    from firstread.evaluate.recalibrate import check_draws

    check_draws(cohort, other)
    return other


@contextmanager
def with_masks(args: argparse.Namespace, cohort: Cohort) -> Iterator[tuple[Cohort, list[str]]]:
    """`cohort` with the masks that the studies asked for need, and what is odd about these, in
    sentences. The lung net draws them where none are given; they are gone afterwards."""
    if not _wants_masks(args):
        yield cohort, []
        return
    with TemporaryDirectory(prefix="firstread-masks-") as folder:
        said = []
        if _to_draw(args, cohort):
            from firstread.evaluate.drawn import with_drawn_masks
            from firstread.evaluate.masks import check_usable, find_masks
            from firstread.read.engine import default_threads

            show = ProgressLine("drawing lung masks")
            cohort, whose = with_drawn_masks(
                cohort, Path(folder), threads=default_threads(), progress=show
            )
            check_usable(cohort, find_masks(cohort), "silhouette" in args.occlude)
            said.append(whose)
        yield cohort, said + _mask_warnings(args, cohort)


def _wants_masks(args: argparse.Namespace) -> bool:
    return bool(args.heat_energy or "silhouette" in args.occlude)


def _to_draw(args: argparse.Namespace, cohort: Cohort) -> bool:
    from firstread.evaluate.drawn import has_masks

    return args.masks is None and not has_masks(cohort)


def _mask_warnings(args: argparse.Namespace, cohort: Cohort) -> list[str]:
    from firstread.evaluate import masks
    from firstread.film.lungs import SIDE

    found = (path for path in masks.find_masks(cohort, args.masks) if path is not None)
    return masks.study_warnings((path, masks.load_mask_if_sound(path, SIDE)) for path in found)


def _paths(cohort: Cohort) -> set[Path]:
    return {path.resolve() for path in cohort.paths}


def run_studies(
    args: argparse.Namespace,
    bundle_path: Path | None,
    cohort: Cohort,
    scored: Scored,
    local: Cohort | None,
) -> tuple[dict[str, Any], list[tuple[str, BaseException]]]:
    """The keys asked for: corruptions, occlusion, heat_energy, map_curves, recalibration; and which
    option failed with what. Films have been read for hours before, so that no study takes the
    others with it; nor does Ctrl-C, after which no other study begins.

    `scored`: the films of `cohort` as evaluated; `local`: what `check` returned.
    """
    found: dict[str, Any] = {}
    failed: list[tuple[str, BaseException]] = []
    for option, key, make in _asked(args, bundle_path, cohort, scored, local):
        try:
            study = make()
        except KeyboardInterrupt as e:
            failed.append((option, e))
            break
        except Exception as e:
            failed.append((option, e))
        else:
            found[key] = [*found.get(key, ()), study] if key == "occlusion" else study
        finally:
            end_line()  # where it came to no end
    return found, failed


def why_missing(option: str, fault: BaseException) -> str:
    """What a warning says of a study that came to no end."""
    if isinstance(fault, KeyboardInterrupt):
        return f"{option}: this study was interrupted, and those after it were not made"
    return f"{option}: this study failed: {fault}"


def _asked(
    args: argparse.Namespace,
    bundle_path: Path | None,
    cohort: Cohort,
    scored: Scored,
    local: Cohort | None,
) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """(option, key of the result, what makes the study) of each study asked for."""
    make: Callable[[], dict[str, Any]]
    if args.recalibrate_on is not None:
        make = partial(_recalibrated, args, bundle_path, scored, local)
        yield "--recalibrate-on", "recalibration", make
    for how in _ways(args):
        from firstread.evaluate.occlusion import occlusion_study

        show = ProgressLine(f"{how} painted over")
        make = partial(
            occlusion_study, bundle_path, cohort, how, args.masks, seed=args.seed, progress=show
        )
        yield f"--occlude {how}", "occlusion", make
    if args.heat_energy:
        from firstread.evaluate.heat import heat_energy_study

        show = ProgressLine("heat maps")
        make = partial(
            heat_energy_study, bundle_path, cohort, args.masks, seed=args.seed, progress=show
        )
        yield "--heat-energy", "heat_energy", make
    if args.map_curves is not None:
        from firstread.evaluate.map_curves import map_curve_study

        called = scored.calls(scored.threshold) & ~scored.rejected
        make = partial(
            map_curve_study,
            bundle_path,
            cohort,
            called.nonzero()[0].tolist(),
            films=args.map_curves,
            seed=args.seed,
            progress=ProgressLine("map curves"),
        )
        yield "--map-curves", "map_curves", make
    if args.corruptions:
        from firstread.evaluate.corruptions import corruption_study

        show = ProgressLine("corruptions")
        make = partial(corruption_study, bundle_path, cohort, seed=args.seed, progress=show)
        yield "--corruptions", "corruptions", make


def _recalibrated(
    args: argparse.Namespace, bundle_path: Path | None, scored: Scored, local: Cohort | None
) -> dict[str, Any]:
    from firstread.evaluate.places import portable
    from firstread.evaluate.recalibrate import recalibration_study
    from firstread.evaluate.score import score_cohort

    drawn_from = None
    if local is not None:
        show, after = ProgressLine(f"{LOCAL}: read"), ProgressLine(f"{LOCAL}: headers")
        drawn_from = score_cohort(bundle_path, local, (), show, after)
        drawn_from.data["given"] = portable(args.recalibrate_on)
    show = ProgressLine("recalibrating", "draws")
    return recalibration_study(scored, drawn_from, seed=args.seed, progress=show)


def _ways(args: argparse.Namespace) -> list[Any]:
    """What to paint over, each once, in the order given."""
    return list(dict.fromkeys(args.occlude))
