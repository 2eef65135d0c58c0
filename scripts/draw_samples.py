#!/usr/bin/env python3
"""Draw the sample films of the demo with a generator fitted on a folder of real films.

    scripts/draw_samples.py DATA/chest_xray --against DATA --out src/firstread/samples

No real film comes into the package: what is drawn is new (`firstread.cohort.eigenfilms`), says
SYNTHETIC in its corner and its metadata, and is thrown away where its 64 px thumbnail
correlates 0.97 or more with any film under the folders named by --against. `--keep` names the
draws of each class that are kept, so that a person can look at many (`--sheet`) and leave out
the ghostly ones. Takes about ten minutes on one core and 1 GB.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from firstread.cohort import eigenfilms
from firstread.cohort.eigenfilms import CLASSES, Eigenfilms
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import FilmError, FirstreadError
from firstread.film import Preprocess, decode, preprocess
from firstread.film.files import find_films, write_atomic

SIZE = (256, 208)
"""Width and height of a sample: the films behind it were squashed, a chest is wider than high."""
NOTE = (
    "SYNTHETIC film, drawn by firstread's eigenfilm generator. It shows no real patient. "
    "Not for diagnosis."
)
SOURCE = (
    "the train folder of the Guangzhou paediatric chest X-rays (Kermany, Zhang & Goldbaum 2018, "
    "Mendeley Data rscbjbr9sj, CC BY 4.0)"
)
SUFFIXES = (".jpeg", ".png", ".jpeg", ".dcm")
"""Formats by turns, so that the demo reads several."""


def main() -> int:
    """Fit, draw, check and write."""
    args = arguments()
    cohort = load_cohort(args.folder)
    parts = {row.part for row in cohort.rows}
    cohort = cohort.part("train") if "train" in parts else cohort
    some = one_film_a_patient(cohort, args.patients, args.seed)
    say(f"fitting on {len(some)} films, one a patient ({len(cohort)} films at hand)")
    of = {c: load(some.subset(np.flatnonzero(some.labels == i))) for i, c in enumerate(CLASSES)}
    generators = dict(zip(CLASSES, eigenfilms.fit_classes(*of.values()), strict=True))
    say(", ".join(f"{c}: {g.n} films lay well" for c, g in generators.items()))

    real = thumbnails([args.folder, *args.against])
    keep = {c: list(range(args.each)) for c in CLASSES} if not args.keep else parse_keep(args.keep)
    records = []
    for c, numbers in keep.items():
        drawn = [draw(generators[c], c, number, args.seed, real) for number in numbers]
        for place, (image, closest) in enumerate(drawn):
            if closest >= eigenfilms.LIMIT:
                say(f"{c} draw {numbers[place]} left out: {closest:.3f} to a real film")
                continue
            suffix = SUFFIXES[place % len(SUFFIXES)]
            raw = encode(image, suffix, f"{args.seed}.{numbers[place]}")
            file = f"{c}/synthetic-{numbers[place]:02d}{suffix}"
            written = eigenfilms.closest(Image.fromarray(as_grey(raw)), real)
            closest = max(closest, written)  # with and without the letters in its corner
            write_atomic(args.out / file, raw)
            records.append(
                {
                    "file": file,
                    "drawn_as": c,
                    "draw": numbers[place],
                    "synthetic": True,
                    "closest_real_film": round(closest, 4),
                    "sha256": hashlib.sha256(raw).hexdigest(),
                }
            )
            say(f"{file}: {len(raw)} bytes, {closest:.3f}")
    write_atomic(args.out / "samples.json", samples_json(args, some, generators, real, records))
    if args.sheet:
        write_sheet(args.sheet, generators, args.seed, real)
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    p.add_argument("folder", type=Path, help="real films, in NORMAL and PNEUMONIA")
    p.add_argument("--against", type=Path, nargs="*", default=[], help="more real films to avoid")
    p.add_argument("--out", type=Path, required=True, help="folder for the films and samples.json")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--each", type=int, default=4, help="films a class, where --keep is not given")
    p.add_argument("--keep", metavar="C=N,N", nargs="*", help="the draws to keep of each class")
    p.add_argument("--patients", type=int, default=1400, help="most patients a class")
    p.add_argument("--source", default=SOURCE, help="what the films are, and their licence")
    p.add_argument("--sheet", type=Path, help="also a PNG of the first 24 draws of each class")
    return p.parse_args()


def parse_keep(words: list[str]) -> dict[str, list[int]]:
    """`NORMAL=0,3 PNEUMONIA=1` as a table."""
    pairs = (word.split("=", 1) for word in words)
    return {c: [int(n) for n in numbers.split(",")] for c, numbers in pairs}


def one_film_a_patient(cohort: Cohort, most: int, seed: int) -> Cohort:
    """One film of each of at most `most` patients a class, so that no child weighs twice."""
    chosen: list[int] = []
    for label in range(len(CLASSES)):
        rng = np.random.default_rng(seed)
        films = np.flatnonzero(cohort.labels == label)
        first: dict[str, int] = {}
        for i in films[rng.permutation(len(films))]:
            first.setdefault(cohort.rows[i].patient, int(i))
        patients = np.sort(list(first.values()))
        chosen += patients[rng.permutation(len(patients))[:most]].tolist()
    return cohort.subset(sorted(chosen))


def load(cohort: Cohort) -> npt.NDArray[np.uint8]:
    """Films as (n, SIDE, SIDE)."""
    how = Preprocess(size=eigenfilms.SIDE)
    return np.stack([preprocess(decode(path, reduce_to=how.first), how) for path in cohort.paths])


def thumbnails(folders: list[Path]) -> npt.NDArray[np.float32]:
    """A thumbnail of every film under the folders that decodes."""
    out = []
    for path in find_films(folders):
        try:
            film = decode(path, reduce_to=4 * eigenfilms.THUMB)
        except FilmError:
            continue
        image = Image.fromarray(np.clip(np.rint(film.pixels), 0, 255).astype(np.uint8))
        out.append(eigenfilms.thumbnail(image))
    say(f"compared with {len(out)} real films")
    return np.stack(out)


def draw(
    generator: Eigenfilms, name: str, number: int, seed: int, real: npt.NDArray[np.float32]
) -> tuple[Image.Image, float]:
    """Draw `number` of a class, unmarked, whatever others were drawn before it."""
    rng = np.random.default_rng([seed, CLASSES.index(name), number])
    image = generator.draw(rng, SIZE, eigenfilms.TASTES[name])
    return eigenfilms.mark(image), eigenfilms.closest(image, real)


def encode(image: Image.Image, suffix: str, number: str) -> bytes:
    """The bytes of a film file, with a note in its metadata that it is synthetic."""
    if suffix == ".dcm":
        return as_dicom(image, number)
    out = io.BytesIO()
    if suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", NOTE)
        image.save(out, "PNG", pnginfo=info, optimize=True)
    else:
        image.save(out, "JPEG", quality=92, comment=NOTE)
    return out.getvalue()


def as_dicom(image: Image.Image, number: str) -> bytes:
    """An 8-bit secondary capture (PS3.3 A.8.1) of conversion type SYN, a synthetic image."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        UID,
        ExplicitVRLittleEndian,
        SecondaryCaptureImageStorage,
        generate_uid,
    )

    def uid(what: str) -> UID:  # from the content, so that the same film gives the same file
        return generate_uid(prefix=None, entropy_srcs=[what, number, NOTE])

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = uid("instance")
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, uid("instance")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study"), uid("series")
    ds.PatientName, ds.PatientID = "SYNTHETIC^FILM", "SYNTHETIC"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyDate = ds.StudyTime = ""
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.PatientOrientation = ""
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", 1, 1
    ds.Modality, ds.ConversionType, ds.BodyPartExamined = "CR", "SYN", "CHEST"
    ds.StudyDescription = "SYNTHETIC FILM, NO PATIENT"
    ds.ImageComments, ds.BurnedInAnnotation = NOTE, "YES"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = image.height, image.width
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = image.tobytes()
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def as_grey(raw: bytes) -> npt.NDArray[np.uint8]:
    """A film file as a reader sees it."""
    return np.clip(np.rint(decode(raw).pixels), 0, 255).astype(np.uint8)


def samples_json(
    args: argparse.Namespace,
    fitted: Cohort,
    generators: dict[str, Eigenfilms],
    real: npt.NDArray[np.float32],
    records: list[dict[str, Any]],
) -> str:
    """How the samples were made, and how far they are from any real film."""
    shown = ["draw_samples.py", "DATA", *(["--against", "FILMS"] if args.against else [])]
    shown += ["--seed", str(args.seed), "--patients", str(args.patients)]
    shown += ["--keep", *args.keep] if args.keep else ["--each", str(args.each)]
    record = {
        "what": "synthetic chest films; no real film, and no picture of one",
        "synthetic": True,
        "note": NOTE,
        "licence": "Apache-2.0",
        "command": " ".join([*shown, "--out", "OUT"]),
        "seed": args.seed,
        "fitted_on": {
            "source": args.source,
            "films": len(fitted),
            "lay_well": {c: g.n for c, g in generators.items()},
            "sha256": fitted.data_hash(),
        },
        "tastes": {c: asdict(taste) for c, taste in eigenfilms.TASTES.items()},
        "compared_with": {"real_films": len(real), "thumbnail_side": eigenfilms.THUMB},
        "limit": eigenfilms.LIMIT,
        "closest_real_film": max((r["closest_real_film"] for r in records), default=None),
        "films": records,
    }
    return json.dumps(record, indent=2) + "\n"


def write_sheet(
    path: Path, generators: dict[str, Eigenfilms], seed: int, real: npt.NDArray[np.float32]
) -> None:
    """The first 24 draws of each class, in rows of six."""
    films = [draw(g, c, i, seed, real)[0] for c, g in generators.items() for i in range(24)]
    w, h = SIZE
    sheet = Image.new("L", (6 * w, len(films) // 6 * h))
    for i, film in enumerate(films):
        sheet.paste(film, (i % 6 * w, i // 6 * h))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    write_atomic(path, out.getvalue())


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FirstreadError as e:
        sys.exit(f"draw_samples: {e}")
