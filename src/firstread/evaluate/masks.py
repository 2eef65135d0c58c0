"""Where a film's lungs are: its mask, found beside the film or named by its table.

Two ways, as the public masks of the Guangzhou set come: a column `lung_mask` in the cohort's
CSV, relative to the CSV's folder, or a folder that mirrors the films' paths with .png in place
of their ending, or after a name that has none, as the UIDs of an archive's export. The folder
may hang lower than the films do: for chest_xray/train/NORMAL/a.jpeg it may hold
train/NORMAL/a.png, or NORMAL/a.png, or a.png, the longest path first.

A film without a mask is no error: annotators skip some. Studies leave it out and count it. One
mask for two films is: NORMAL/1.jpeg and PNEUMONIA/1.jpeg must not share a 1.png.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firstread.cohort.table import Cohort, FilmRow
from firstread.errors import DataError, FolderNotFound
from firstread.film.decode import load
from firstread.film.draw import mask_name
from firstread.film.lungs import SIDE, doubt
from firstread.film.preprocess import Preprocess
from firstread.film.shortage import named, shortage
from firstread.plural import count

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

COLUMN = "lung_mask"
"""The CSV column that names a film's mask."""

FORMATS = ("PNG", "TIFF", "BMP")
"""Pillow decoders a mask may reach: lossless ones, since a JPEG's edges are no edges."""

LABELS = 4
"""Most levels of a mask whose levels are names (no lung, right, left, both) and no brightness."""

DRAW = "`firstread lungs draw` makes such a folder"

Mask = npt.NDArray[np.bool_]


def find_masks(cohort: Cohort, masks: Path | None = None) -> list[Path | None]:
    """The mask file of each film, None where there is none.

    `masks`: a folder that mirrors the films; if not given, the column `lung_mask` is read.
    Raises `FolderNotFound` if `masks` is no folder and `DataError` if not one mask is found, two
    films have the same one, or a mask is the film itself.
    """
    if masks is not None and not masks.is_dir():
        raise FolderNotFound(f"{masks}: no such folder; give --masks the folder of the lung masks")
    found = [
        _named(row, cohort.root) if masks is None else _mirrored(row, cohort.root, masks)
        for row in cohort.rows
    ]
    if any(found):
        _check_own(cohort, found)
        return found
    if masks is not None:
        raise DataError(
            f"{masks}: holds no mask of these films; it must mirror their paths, as "
            f"NORMAL/a.png for NORMAL/a.jpeg (looked for {_relative(cohort)}); {DRAW}"
        )
    if any(row.extra.get(COLUMN) for row in cohort.rows):
        raise DataError(
            f"{cohort.root}: none of the files in the column {COLUMN} is there; "
            "get the masks or give their folder with --masks"
        )
    raise DataError(
        f"{cohort.root}: no lung masks; give their folder with --masks, or a CSV with the "
        f"column {COLUMN} as --data; {DRAW}"
    )


def check_frame(how: Preprocess) -> None:
    """Raise `DataError` where a model does not see the whole film, as masks and the box do."""
    if how.frame != "squash":
        raise DataError(
            f'this model\'s frame is "{how.frame}", and lung masks and the box are of the whole '
            "film; leave --occlude and --heat-energy away, or give a model that sees all of it"
        )


def load_mask(path: Path, size: int) -> Mask:
    """A mask as (size, size) bool, True in the lungs; squashed like the film, to the nearest.

    Of a mask of at most `LABELS` levels, all but 0 is lung, so that 1-bit masks, 0 / 1, 0 / 255
    and 0 / 1 / 2 for the two lungs are all the same; of one with more, whose edges are soft,
    whatever is brighter than half of the brightest pixel. Where transparency varies, it is the
    mask, and the opaque is lung. Raises `DataError` if the file is no picture, and `Shortage`.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            load(image, image.width * image.height)
            grey = _grey(image)
            labels = grey.getcolors(LABELS) is not None
            grey = grey.resize((size, size), Image.Resampling.NEAREST)
    except (OSError, ValueError, MemoryError, Image.DecompressionBombError) as e:
        with named(path):
            raise shortage(e) or DataError(
                f"{path}: this mask cannot be read as {', '.join(FORMATS)} ({type(e).__name__}); "
                "replace it or take it away"
            ) from None
    values = np.asarray(grey)
    return np.asarray(values > (0 if labels else values.max() / 2))


def _grey(image: Picture) -> Picture:
    if image.has_transparency_data:
        opaque = image.convert("RGBA").getchannel("A")
        if len(opaque.getcolors() or ()) > 1:
            return opaque
    return image.convert("L")


def mask_warnings(masks: Iterable[tuple[Path, Mask]]) -> list[str]:
    """One sentence if some of `masks`, each with its file, look like no pair of lungs; else []."""
    doubts = [(path, _turned(mask) or doubt(mask)) for path, mask in masks]
    bad = [(path, why) for path, why in doubts if why is not None]
    if not bad:
        return []
    of = f"of {len(doubts)} lung masks"
    return [
        count(len(bad), f"{of} looks", f"{of} look")
        + f" like no pair of lungs (the first, {bad[0][0].name}: {bad[0][1]}); they count as they "
        "are, so see that both lungs are white in them and all else is black"
    ]


def check_usable(cohort: Cohort, found: Sequence[Path | None], by_class: bool = False) -> None:
    """Raise `DataError` where no mask that was `found` for the films, a path or None each, can be
    used; with `by_class`, where none of a class can. Reads no more masks than it takes to know."""
    classes: Sequence[tuple[int | None, str]] = [(0, "normal "), (1, "pneumonia ")]
    for label, name in classes if by_class else [(None, "")]:
        paths = [p for r, p in zip(cohort.rows, found, strict=True) if label in (None, r.label)]
        there = [path for path in paths if path is not None]
        whose = f"{cohort.root}: no {name}film has a lung mask"
        if not there:
            raise DataError(f"{whose}, and films of both classes are needed; {DRAW}")
        if all(_unusable(path) for path in there):
            raise DataError(f"{whose} that can be used (the first: {_unusable(there[0])})")


def study_warnings(masks: Iterable[tuple[Path, Mask]]) -> list[str]:
    """`mask_warnings` of what studies use of `masks`, each looked at once, and a sentence if some
    are empty, as of a file that cannot be read."""
    seen: list[tuple[str, bool]] = []

    def used() -> Iterator[tuple[Path, Mask]]:
        for path, mask in masks:
            seen.append((path.name, bool(mask.any())))
            if seen[-1][1]:
                yield path, mask

    said = mask_warnings(used())
    if empty := [name for name, filled in seen if not filled]:
        of = f"of {len(seen)} lung masks"
        said.append(
            count(len(empty), f"{of} is", f"{of} are") + " empty or cannot be read as "
            f"{', '.join(FORMATS)} (the first: {empty[0]}); studies of masks leave their films out"
        )
    return said


def _unusable(path: Path) -> str | None:
    """Why the studies leave the film of this mask out; None where they do not."""
    try:
        return None if load_mask(path, SIDE).any() else f"{path}: this mask is empty"
    except DataError as e:
        return str(e)


def load_mask_if_sound(path: Path, size: int) -> Mask:
    """`load_mask`; of a file that cannot be read an empty mask, which studies leave out."""
    try:
        return load_mask(path, size)
    except DataError:
        return np.zeros((size, size), bool)


def _turned(mask: Mask) -> str | None:
    """Lungs do not reach three of a film's corners; what is around them does."""
    corners = int(mask[:: len(mask) - 1, :: mask.shape[1] - 1].sum())
    return f"{corners} of its corners are lung" if corners > 2 else None


def dilate(mask: Mask, reach: int) -> Mask:
    """A mask (h, w) grown by `reach` pixels in rows and columns: a square structuring element.

    Outside of the picture counts as no lung. Rows first and columns then, which gives the same
    as the whole square.
    """
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (reach, reach)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(mask, pad), 2 * reach + 1, axis=axis
        )
        mask = np.asarray(windows.any(axis=-1))
    return mask


def _check_own(cohort: Cohort, found: list[Path | None]) -> None:
    owner: dict[Path, FilmRow] = {}
    for row, path in zip(cohort.rows, found, strict=True):
        if path is None:
            continue
        mask = path.resolve()
        if mask == row.path.resolve():
            raise DataError(f"{path}: is the film itself and no mask; give the folder of its masks")
        other = owner.setdefault(mask, row)
        # A film that a table names twice has its one mask.
        if other is not row and other.path.resolve() != row.path.resolve():
            raise DataError(
                f"{path}: would be the mask of {other.file} and of {row.file}; "
                "lay the masks out as the films are"
            )


def _named(row: FilmRow, root: Path) -> Path | None:
    name = row.extra.get(COLUMN, "").strip()
    path = root / name
    return path if name and path.is_file() else None


def _mirrored(row: FilmRow, root: Path, masks: Path) -> Path | None:
    parts = mask_name(_below(row, root)).parts
    for i in range(len(parts)):
        path = masks.joinpath(*parts[i:])
        if path.is_file():
            return path
    return None


def _below(row: FilmRow, root: Path) -> Path:
    """The film's path below the cohort's folder; a film elsewhere counts by its whole path."""
    path = Path(row.file)
    if path.is_absolute():
        path = (
            path.relative_to(root) if path.is_relative_to(root) else path.relative_to(path.anchor)
        )
    return path


def _relative(cohort: Cohort) -> str:
    return mask_name(_below(cohort.rows[0], cohort.root)).as_posix() if cohort.rows else ""
