"""What is read is never written over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from firstread.errors import OutputError


def keep_inputs(
    outputs: Iterable[Path | None], given: Iterable[Path | None], films: Iterable[Path] = ()
) -> None:
    """Raise `OutputError` where an output would replace a file that is read.

    `given`: tables and splits, None for those that were not. `films`: paths of films.
    """
    there = [out for out in outputs if out is not None and out.is_file()]
    if not there:
        return
    names = {out.name for out in there}
    read = [path for path in given if path is not None and path.is_file()]
    read += [path for path in films if path.name in names and path.is_file()]
    for out in there:
        if any(out.samefile(path) for path in read):
            raise OutputError(f"{out}: is read here and would be written over; name another file")
