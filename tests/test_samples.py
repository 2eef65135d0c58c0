"""The sample films of the demo: whole, labelled as synthetic, and no real film."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from firstread.cohort.eigenfilms import LIMIT, closest, thumbnail
from firstread.film import FILM_SUFFIXES, decode
from firstread.film.files import find_films
from firstread.film.quality import plainly_no_film

SAMPLES = Path(__file__).resolve().parents[1] / "src" / "firstread" / "samples"
RECORD: dict[str, Any] = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
FILES = [film["file"] for film in RECORD["films"]]


def picture(path: Path) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(decode(path).pixels), 0, 255).astype(np.uint8))


def test_the_record_lists_every_film_there_and_no_other() -> None:
    there = {p.relative_to(SAMPLES).as_posix() for p in SAMPLES.rglob("*") if p.is_file()}
    assert {name for name in there if Path(name).suffix in FILM_SUFFIXES} == set(FILES)
    assert there - set(FILES) == {"samples.json"}
    assert len(FILES) >= 8


@pytest.mark.parametrize("film", RECORD["films"], ids=FILES)
def test_a_film_is_what_the_record_says(film: dict[str, Any]) -> None:
    raw = (SAMPLES / film["file"]).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == film["sha256"]
    assert len(raw) < 60_000
    assert film["synthetic"] is True
    assert film["file"].startswith(film["drawn_as"] + "/")
    assert film["closest_real_film"] < LIMIT


@pytest.mark.parametrize("name", FILES)
def test_a_film_reads_as_a_film_and_says_it_is_synthetic(name: str) -> None:
    path = SAMPLES / name
    film = decode(path)
    assert plainly_no_film(film) is None
    assert min(film.width, film.height) >= 200
    assert b"SYNTHETIC" in path.read_bytes()


def test_both_classes_and_several_formats_are_there() -> None:
    assert {film["drawn_as"] for film in RECORD["films"]} == {"NORMAL", "PNEUMONIA"}
    assert {Path(name).suffix for name in FILES} == {".jpeg", ".png", ".dcm"}


def test_the_record_says_how_they_were_made() -> None:
    assert RECORD["synthetic"] is True
    assert "draw_samples.py" in RECORD["command"]
    assert len(RECORD["fitted_on"]["sha256"]) == 64
    assert RECORD["closest_real_film"] == max(f["closest_real_film"] for f in RECORD["films"])


@pytest.mark.parametrize("name", [n for n in FILES if n.endswith(".dcm")])
def test_the_dicom_film_is_a_synthetic_secondary_capture(name: str) -> None:
    ds = pydicom.dcmread(SAMPLES / name)
    assert ds.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert str(ds.PatientName) == "SYNTHETIC^FILM"
    assert ds.ConversionType == "SYN"
    assert ds.PhotometricInterpretation == "MONOCHROME2"
    assert ds.pixel_array.dtype == np.uint8
    for uid in (ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID):
        assert uid.is_valid


@pytest.mark.films
def test_no_sample_is_close_to_a_real_train_film(films_dir: Path) -> None:
    real = find_films([films_dir / "chest_xray" / "train"])
    thumbnails = np.stack([thumbnail(picture(path)) for path in real])
    for film in RECORD["films"]:
        found = closest(picture(SAMPLES / film["file"]), thumbnails)
        assert found < LIMIT
        assert found <= film["closest_real_film"] + 0.01
