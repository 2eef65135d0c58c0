"""How close `preprocess` comes to the public 224 px copies, and what the reduced decode changes.

For every original film at hand its 224 px copy from the public set is the reference:

* `copies`: mean absolute grey difference (0 to 255) between copy and preprocessed original,
  with the full and with the reduced decode;
* `reduced_against_full`: the same between the two decodes, and how much faster one is;
* `filters`: the same against the copy for each of Pillow's filters on the full decode, as it
  is and after a JPEG round trip at quality 75, which is how the copies are stored;
* `jpeg_floor`: what that round trip alone changes, so the least any filter could reach.

    FIRSTREAD_DATA=... python benchmarks/copies.py --json copies.json
"""

import argparse
import io
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from firstread.film import Film, Preprocess, decode, preprocess
from firstread.film.files import write_atomic

SIZE = 224
QUALITY = 75
FILTERS = ["BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS"]
Grey = npt.NDArray[np.uint8]


def mean_difference(a: Grey, b: Grey) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())


def through_jpeg(pixels: Grey) -> Grey:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(out))


def resized(film: Film, name: str) -> Grey:
    return np.asarray(Image.fromarray(film.pixels).resize((SIZE, SIZE), Image.Resampling[name]))


def timed(path: Path, reduce_to: int | None) -> tuple[Grey, float]:
    start = time.perf_counter()
    pixels = preprocess(decode(path, reduce_to), Preprocess(SIZE))
    return pixels, time.perf_counter() - start


def summary(values: list[float]) -> dict[str, float]:
    points = np.percentile(values, (50, 95, 100))
    named = zip(("median", "p95", "worst"), points, strict=True)
    return {"mean": round(float(np.mean(values)), 3)} | {k: round(float(v), 3) for k, v in named}


def study(data: Path) -> dict[str, object]:
    originals = sorted((data / "chest_xray_original").rglob("*.jpeg"))
    if not originals:
        raise SystemExit(f"no originals under {data / 'chest_xray_original'}")
    timed(originals[0], None)  # load the libraries before the clock runs
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for path in originals:
        copy = decode(data / "chest_xray" / "train" / path.parent.name / path.name).pixels
        full, full_s = timed(path, None)
        reduced, reduced_s = timed(path, SIZE)
        note("full_s", full_s)
        note("reduced_s", reduced_s)
        note("full", mean_difference(full, copy))
        note("reduced", mean_difference(reduced, copy))
        note("between", mean_difference(full, reduced))
        note("between_max", float(np.abs(full.astype(np.int16) - reduced).max()))
        note("floor", mean_difference(full, through_jpeg(full)))
        note("reduced jpeg", mean_difference(through_jpeg(reduced), copy))
        film = decode(path)
        for name in FILTERS:
            pixels = resized(film, name)
            note(name, mean_difference(pixels, copy))
            note(f"{name} jpeg", mean_difference(through_jpeg(pixels), copy))
    return {
        "films": len(originals),
        "size": SIZE,
        "copies": {
            "full": summary(found["full"]),
            "reduced": summary(found["reduced"]),
            "reduced_after_jpeg": summary(found["reduced jpeg"]),
        },
        "reduced_against_full": {
            "mean_difference": summary(found["between"]),
            "largest_in_a_film": summary(found["between_max"]),
            "seconds_full": round(sum(found["full_s"]), 3),
            "seconds_reduced": round(sum(found["reduced_s"]), 3),
            "times_as_fast": round(sum(found["full_s"]) / sum(found["reduced_s"]), 2),
        },
        "jpeg_floor": summary(found["floor"]),
        "filters": {
            name: {"plain": summary(found[name]), "after_jpeg": summary(found[f"{name} jpeg"])}
            for name in FILTERS
        },
        "versions": {
            "python": platform.python_version(),
            "pillow": PIL.__version__,
            "numpy": np.__version__,
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the figures go")
    args = parser.parse_args()
    if "FIRSTREAD_DATA" not in os.environ:
        raise SystemExit("set FIRSTREAD_DATA to the folder of real films")
    text = json.dumps(study(Path(os.environ["FIRSTREAD_DATA"])), indent=2)
    write_atomic(args.json, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
