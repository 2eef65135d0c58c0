"""Where the lungs are on a film: the shipped lung net, the box, the zones, the doubt.

The net is a small U-Net, run by onnxruntime. It learned from masks that follow the ribs'
inner edge down to the diaphragm and count the part behind the heart as lung, as the public
masks of the Guangzhou set do; so its outline is where lung is looked for, not where air is
seen.

Sides are the patient's. A chest film is hung as if one faced the patient: the patient's right
is at the left of the picture. A film that was mirrored cannot be told from one that was not,
and its sides are then named wrongly.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from firstread.errors import BundleError
from firstread.film.components import fill_holes, largest
from firstread.film.shortage import shortage

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SHIPPED = Path(__file__).parent / "shipped"
"""Where the net lies that comes with the package."""

ONNX_FILE, RECORD_FILE = "lungs.onnx", "lungs.json"
FORMAT = 1
SIDE = 224
"""Side of the film the net reads, in pixels."""

LEAST_SIDE = SIDE // 2
"""Side that a film must have had for its lungs to be told from a mistake."""

HEIGHTS = ("upper", "mid", "lower")
"""The radiologist's zones: thirds of each lung's height."""

ZONES = tuple(f"{side} {height}" for side in ("right", "left") for height in HEIGHTS)

LEAST_AREA, MOST_AREA = 0.1, 0.65
"""Share of the film between which both lungs together are plausible. Masks: 0.19 to 0.53."""

LEAST_LUNG = 0.2
"""Share of the lung area that the smaller lung must have."""

VALLEY = 0.6
"""Height of lung between two lungs that touch, over that of the lower of them, at most."""


@dataclass(frozen=True)
class Box:
    """Rows `top` to `bottom` and columns `left` to `right` of a picture, the last not in it."""

    top: int
    left: int
    bottom: int
    right: int


class LungFinder:
    """A loaded lung net. `folder`: holds lungs.onnx and lungs.json; None for the shipped one.

    Raises `BundleError` where a file is missing, changed, or no lung net of ours, and `Shortage`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or SHIPPED
        self.record, graph = _load(self.folder)
        self._session = _session(self.folder, graph)

    @property
    def sha256(self) -> str:
        """The net's own."""
        return str(self.record["onnx"]["sha256"])

    def probability(self, film: Grey) -> Floats:
        """Of each pixel of `film` (s, s) uint8, squashed to a square, that lung is there."""
        size = (film.shape[1], film.shape[0])
        if film.shape != (SIDE, SIDE):
            squashed = Image.fromarray(film).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            film = np.asarray(squashed)
        found: Floats = self._session.run(["lungs"], {"film": film[None]})[0][0]
        if size == (SIDE, SIDE):
            return found
        return np.asarray(Image.fromarray(found).resize(size, Image.Resampling.BILINEAR))

    def mask(self, film: Grey) -> Mask:
        """The lungs of `film` (s, s) uint8 as bool (s, s): two parts at most, without holes.

        Whether to believe it is for `doubt` to say.
        """
        return fill_holes(largest(self.probability(film) > 0.5, 2))


@cache
def shipped() -> LungFinder:
    """The shipped lung net, loaded once."""
    return LungFinder()


def lung_mask(film: Grey) -> Mask:
    """The lungs of `film` (s, s) uint8 as bool (s, s), found by the shipped net."""
    return shipped().mask(film)


def lung_box(mask: Mask) -> Box:
    """The smallest box around `mask`. Raises ValueError if it is empty: ask `doubt` first."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("an empty mask has no box")
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def doubt(mask: Mask) -> str | None:
    """Why `mask` is not to be believed, in one line; None where it looks like two lungs."""
    area = float(mask.mean())
    if area < LEAST_AREA:
        return f"lungs were found on only {area:.0%} of the film"
    if area > MOST_AREA:
        return f"lungs were found on as much as {area:.0%} of the film"
    right, left = sides(mask)
    if min(right.sum(), left.sum()) < LEAST_LUNG * mask.sum():
        return "only one lung was found"
    a, b = lung_box(right), lung_box(left)
    if min(a.bottom, b.bottom) - max(a.top, b.top) < 0.5 * min(a.bottom - a.top, b.bottom - b.top):
        return "the two parts that were found do not lie side by side"
    return None


def sides(mask: Mask) -> tuple[Mask, Mask]:
    """The patient's right lung (at the left of the picture) and left lung, each (s, s) bool.

    Two parts that lie beside each other are the two lungs; lungs that touch are parted at the
    column with the least lung in the middle third of their box. A lung alone has an empty other.
    """
    if not mask.any():
        return mask.copy(), mask.copy()
    first = largest(mask, 1)
    second = mask & ~first
    if second.sum() >= LEAST_LUNG * mask.sum():
        x = np.arange(mask.shape[1])
        centres = [float((part.sum(axis=0) * x).sum() / part.sum()) for part in (first, second)]
        return (first, second) if centres[0] <= centres[1] else (second, first)
    box = lung_box(mask)
    third = (box.right - box.left) // 3
    height = mask.sum(axis=0)
    cut = box.left + third + int(height[box.left + third : box.right - third].argmin())
    columns = np.arange(mask.shape[1])
    if height[cut] > VALLEY * min(height[:cut].max(initial=0), height[cut:].max()):
        # No valley, so this is one lung: which one, its place tells.
        cut = mask.shape[1] if (height * columns).sum() < height.sum() * len(columns) / 2 else 0
    return mask & (columns < cut), mask & (columns >= cut)


def zones(mask: Mask) -> dict[str, Mask]:
    """The six zones of `mask` (s, s) by name (`ZONES`): the patient's side and a third of height.

    Together they are the mask. Each lung has thirds of its own, from its apex to its base.
    """
    found: dict[str, Mask] = {}
    rows = np.arange(mask.shape[0])[:, None]
    for side, lung in zip(("right", "left"), sides(mask), strict=True):
        box = lung_box(lung) if lung.any() else Box(0, 0, 0, 0)
        third = (box.bottom - box.top) / 3
        for i, height in enumerate(HEIGHTS):
            inside = (rows >= box.top + i * third) & (rows < box.top + (i + 1) * third)
            found[f"{side} {height}"] = lung & inside
    return found


def seal(record: dict[str, Any]) -> str:
    """The record as JSON text, with the sha256 of its own text, taken with that field empty."""
    open_record = {**record, "sha256": ""}
    return _text({**open_record, "sha256": hashlib.sha256(_text(open_record).encode()).hexdigest()})


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2) + "\n"


def _load(folder: Path) -> tuple[dict[str, Any], bytes]:
    paths = folder / RECORD_FILE, folder / ONNX_FILE
    try:
        text, graph = paths[0].read_bytes(), paths[1].read_bytes()
    except OSError as e:
        if short := shortage(e):
            raise short from None
        if (folder / "net" / RECORD_FILE).is_file():
            inside = folder / "net"
            raise BundleError(f"{folder}: a training run, no net; name its net, {inside}") from None
        raise BundleError(
            f"{e.filename}: the lung net cannot be read ({e.strerror}); give a folder with "
            f"{RECORD_FILE} and {ONNX_FILE}, or install firstread again"
        ) from None
    try:
        record = json.loads(text)
        sound = record["format"] == FORMAT and text.decode() == seal(record)
        sha256 = record["onnx"]["sha256"]
    except (ValueError, KeyError, TypeError):
        sound, sha256 = False, ""
    if not sound:
        raise BundleError(f"{paths[0]}: damaged or changed; restore it or train the net again")
    if hashlib.sha256(graph).hexdigest() != sha256:
        raise BundleError(f"{paths[1]}: not the net its record names; restore it or train again")
    return record, graph


def _session(folder: Path, graph: bytes) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("n", 1)  # films come one by one
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime has no base class of its own for these
        raise BundleError(
            f"{folder / ONNX_FILE}: onnxruntime cannot load it ({type(e).__name__}); "
            "update onnxruntime or train the lung net again"
        ) from e
    film = {i.name: (i.type, list(i.shape)[1:]) for i in session.get_inputs()}
    if film != {"film": ("tensor(uint8)", [SIDE, SIDE])} or "lungs" not in {
        o.name for o in session.get_outputs()
    }:
        raise BundleError(f"{folder / ONNX_FILE}: no lung net of ours; train it again")
    return session
