"""What is read is never written over, and no output by another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firstread.errors import OutputError

PARTS = (
    *("card.json", "model.onnx", "run.json", "recipe.json", "metrics.csv", "val.csv"),
    *("split.csv", "start.csv"),
)
"""Files that make a run or a bundle. Reports beside them may be written anew."""


def keep_inputs(
    outputs: Iterable[Path | None], given: Iterable[Path | None], films: Iterable[Path] = ()
) -> None:
    """Raise `OutputError` where an output would replace a file that is read, or another output.

    `given`: tables, splits, runs and bundles, None for those that were not. `films`: paths.
    """
    wanted = [out for out in outputs if out is not None]
    files = [out.resolve() for out in wanted if out.is_file() or not out.exists()]
    for out in files:
        if files.count(out) > 1:
            raise OutputError(f"{out}: named for two outputs; give each a file of its own")
    there = [out for out in wanted if out.is_file()]
    if not there:
        return
    names = {out.name for out in there}
    told = [path for path in given if path is not None]
    read = [path for path in told if path.is_file()]
    read += [path for folder in told for path in _parts(folder) if path.is_file()]
    read += [path for path in films if path.name in names and path.is_file()]
    for out in there:
        if any(out.samefile(path) for path in read):
            raise OutputError(f"{out}: is read here and would be written over; name another file")


def _parts(folder: Path) -> list[Path]:
    """Where the parts of a run or bundle would be."""
    return [place / name for place in (folder, folder / "bundle") for name in PARTS]
