"""Zones of the lungs in an opinion, in words and on the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.film.lungs import LungFinder
from firstread.read import reader as module
from firstread.read.dicom_out.sr import sentences
from firstread.read.entry import entry_of
from firstread.read.gate import MIRRORED, TURNED
from firstread.read.outputs import Table, csv_parts, json_parts
from firstread.read.overlay import outline
from firstread.read.page import page_parts, place_in_words
from firstread.read.reader import Reader
from firstread.read.regions import OUTSIDE, in_words, regions
from lung_nets import dark_is_lung, film_of, two_lungs


def heat_at(row: int, column: int) -> np.ndarray:
    heat = np.full((28, 28), -0.1, np.float32)
    heat[row, column] = 1.0
    return heat


def lying(pixels: np.ndarray, told: str) -> bytes:
    """A DICOM film with this PatientOrientation."""
    rows, columns = pixels.shape
    depth = {"Rows": rows, "Columns": columns, "PixelData": pixels.tobytes()}
    return dicom_film(PatientOrientation=told.split("\\"), **depth)


def test_the_zone_of_the_strongest_evidence_comes_first() -> None:
    mask = two_lungs()
    assert regions(heat_at(20, 8), mask)[0].zone == "right lower"
    assert regions(heat_at(7, 19), mask)[0].zone == "left upper"
    assert regions(heat_at(0, 0), mask)[0].zone == OUTSIDE
    assert regions(np.full((7, 7), -1, np.float32), mask) == ()
    found = regions(np.ones((7, 7), np.float32), mask)
    assert sum(r.share for r in found) <= 1 + 1e-9
    assert "right lower zone" in in_words(regions(heat_at(20, 8), mask))
    assert "No part" in in_words(())


def test_sides_of_a_mirrored_film_are_the_patients() -> None:
    mask, heat = two_lungs(), heat_at(20, 8)
    plain = regions(heat, mask)
    assert regions(heat, mask, mirrored=True)[0].zone == "left lower"
    assert regions(heat[:, ::-1], mask[:, ::-1], mirrored=True)[0].zone == plain[0].zone
    assert regions(heat_at(0, 0), mask, mirrored=True)[0].zone == OUTSIDE


@pytest.mark.parametrize(("told", "zone"), [("L\\F", "right"), ("R\\F", "left")])
def test_an_opinion_names_sides_by_the_files_orientation(
    reader: Reader, told: str, zone: str
) -> None:
    pixels = film_of(two_lungs())
    pixels[pixels.shape[0] // 3 :, : pixels.shape[1] // 2] += 20  # evidence in one lung
    opinion = reader.read(lying(pixels, told))
    assert opinion.regions
    zones = {r.zone.split()[0]: r.share for r in opinion.regions}
    assert (MIRRORED in opinion.notes) is (told == "R\\F")
    assert zones.get(zone, 0) >= max(zones.get("left", 0), zones.get("right", 0))


@pytest.mark.parametrize(("told", "side"), [("L\\F", "left"), ("R\\F", "right")])
def test_every_form_names_sides_by_the_files_orientation(
    tmp_path: Path, told: str, side: str
) -> None:
    """Without zones too: no sentence may take for granted what the note beside it denies."""
    pixels = film_of(two_lungs())
    pixels[-20:, -20:] = 255  # the strongest evidence: at the right of the picture
    opinion = Reader(tiny_bundle(tmp_path / "tiny")).read(lying(pixels, told))
    assert opinion.regions is None
    page, report = place_in_words(opinion), " ".join(sentences(opinion))
    for said in (page or "", report):
        assert f"on the patient's {side} (right in the picture)" in said
        assert ("hung as usual" in said) is (told == "L\\F")


def test_zones_of_a_mirrored_film_do_not_take_its_hanging_for_granted(reader: Reader) -> None:
    opinion = reader.read(lying(film_of(two_lungs()), "R\\F"))
    said = " ".join(sentences(opinion))
    assert "Sides are the patient's, by the orientation that the file tells" in said
    assert "hung as usual" not in said


def test_a_film_told_to_lie_otherwise_gets_no_zones(reader: Reader) -> None:
    opinion = reader.read(lying(film_of(two_lungs()), "L\\H"))
    assert (opinion.regions, opinion.regions_doubt) == (None, TURNED)
    assert opinion.decision == "refer"
    assert TURNED in opinion.reasons


def test_the_outline_is_thin_and_inside() -> None:
    mask = two_lungs()
    line = outline(mask)
    assert (line <= mask).all()
    assert 0 < line.sum() < 0.2 * mask.sum()
    assert not outline(np.ones((5, 5), bool)).any()


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    finder = LungFinder(dark_is_lung(tmp_path / "net"))
    monkeypatch.setattr(module, "shipped", lambda: finder)
    return Reader(tiny_bundle(tmp_path / "tiny"), lungs=True)


def test_an_opinion_names_them_where_lungs_were_found(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(film_of(two_lungs())).save(path)
    opinion = reader.read(path)
    assert opinion.lungs is not None
    assert opinion.lungs.shape == (32, 32)
    assert opinion.regions
    text = b"".join(json_parts([entry_of(opinion)])).decode()
    assert '"zone": "outside the lungs"' in text
    assert "outside the lungs 0." in b"".join(csv_parts([entry_of(opinion)])).decode()
    assert "Evidence for pneumonia by place" in "".join(
        page_parts([entry_of(opinion, pictured=True)], {}, reader.bundle)
    )
    assert reader.read(path, heat=False).regions == opinion.regions
    assert [o.regions for o in reader.read_many([path])] == [opinion.regions]
    noise = np.random.default_rng(0).integers(140, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    doubted = reader.read(path)
    assert doubted.regions is None
    text = b"".join(json_parts([entry_of(doubted)])).decode()
    assert '"regions_doubt": "lungs were found on' in text
    assert "No zones are named: lungs were found on" in "".join(
        page_parts([entry_of(doubted, pictured=True)], {}, reader.bundle)
    )


def test_the_terminal_names_them_where_they_were_asked_for(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    Image.fromarray(film_of(two_lungs())).save(path)
    table = Table(["film.png"])
    opinion = reader.read(path)
    zones = table.row(opinion).splitlines()[1]
    assert zones.strip().startswith("evidence for pneumonia: ")
    assert "outside the lungs" in zones
    assert "evidence" not in table.row(replace(opinion, decision="rejected"))
    assert "the lungs" not in table.row(Reader(reader.bundle).read(path))
    noise = np.random.default_rng(0).integers(140, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    assert "no zones: lungs were found on" in table.row(reader.read(path)).splitlines()[1]
