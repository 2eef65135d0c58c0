"""Does a JPEG 2000 film read the same when only its small picture is decoded?

Originals of the public set, enlarged to 2,048 px on their shorter side, 12 bits, stored without
loss as DICOM: decoded whole and with the detail left out that a reading does not need. Of each, the
mean grey difference (0 to 255) at the network's size, and the shift of the calibrated logit.

    FIRSTREAD_DATA=... python benchmarks/jpeg2000.py --out NAME.json
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from dicom_films import DX, SIDE
from firstread import Reader
from firstread.film import decode, preprocess
from firstread.film.files import find_films, write_atomic
from measure import versions


def as_dicom(path: Path) -> bytes:
    with Image.open(path) as film:
        grey = film.convert("L")
    scale = SIDE / min(grey.size)
    size = (round(grey.width * scale), round(grey.height * scale))
    values = np.asarray(grey.resize(size, Image.Resampling.BICUBIC)).astype(np.uint16) * 16
    code = io.BytesIO()
    Image.fromarray(values).save(code, "JPEG2000", no_jp2=True)
    ds = pydicom.Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = DX, "1.2.826.0.1.3680043.8.498.1", "DX"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 2048, 4096
    ds.PixelData = encapsulate([code.getvalue()])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def summary(values: list[float]) -> dict[str, float]:
    points = np.percentile(values, (50, 95, 100))
    named = zip(("median", "p95", "worst"), points, strict=True)
    return {"mean": round(float(np.mean(values)), 4)} | {k: round(float(v), 4) for k, v in named}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("FIRSTREAD_DATA")
    add = parser.add_argument
    add("--films", type=Path, default=Path(data, "chest_xray_original") if data else None)
    add("--bundle", type=Path, help="another bundle than the shipped one")
    add("--every", type=int, default=5, help="every so many films; whole ones decode slowly")
    add("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    if args.films is None:
        parser.error("set FIRSTREAD_DATA, or name --films")
    reader = Reader(args.bundle)
    card = reader.bundle.card
    grey: list[float] = []
    odds: list[float] = []
    reduced = changed = 0
    for path in find_films([args.films])[:: args.every]:
        file = as_dicom(path)
        films = [decode(file), decode(file, reduce_to=card.preprocess.first)]
        reduced += films[0].pixels.size != films[1].pixels.size
        whole, small = (preprocess(film, card.preprocess) for film in films)
        grey.append(float(np.abs(whole.astype(np.int16) - small).mean()))
        said: list[Any] = [_read(reader, film) for film in (whole, small)]
        odds.append(abs(_log_odds(said[0]) - _log_odds(said[1])))
        changed += (said[0] >= card.threshold) != (said[1] >= card.threshold)
    report = {
        "date": datetime.date.today().isoformat(),
        "versions": versions(["firstread", "onnxruntime", "numpy", "pillow", "pydicom"]),
        "bundle": {"name": reader.bundle.name, "sha256": reader.bundle.sha256[:12]},
        "films": len(grey),
        "decoded_small": reduced,
        "grey_difference": summary(grey),
        "calibrated_logit": summary(odds),
        "changed_calls": changed,
    }
    write_atomic(args.out, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def _read(reader: Reader, pixels: Any) -> float:
    """Probability of a film (s, s)."""
    logit = reader.session.run(["logit"], {"film": pixels[None]})[0][0]
    return reader.bundle.card.probability(float(logit))


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))


if __name__ == "__main__":
    main()
