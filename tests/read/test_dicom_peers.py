"""Our DICOM against other people's programs: dciodvfy, dcmtk, and a real Orthanc."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.read.dicom_out import write_results
from firstread.read.opinion import DECISIONS
from firstread.read.reader import Reader
from peers import Orthanc, errors_of, orthanc, run

__all__ = ["orthanc"]  # a fixture


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tiny_bundle(tmp_path_factory.mktemp("b") / "bundle"))


def written(
    reader: Reader, film: bytes, folder: Path, decision: str, anonymous: bool = False
) -> list[Path]:
    opinion = replace(reader.read(film), decision=decision)
    return write_results(opinion, film, folder, anonymous)


@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("decision", DECISIONS)
def test_dciodvfy_finds_no_error(
    reader: Reader, tmp_path: Path, decision: str, anonymous: bool
) -> None:
    paths = written(reader, dicom_film(), tmp_path, decision, anonymous)
    assert len(paths) == (1 if decision == "rejected" else 2)
    assert {path.name: errors_of(path) for path in paths} == {path.name: [] for path in paths}


@pytest.mark.films
def test_dciodvfy_finds_no_error_on_results_of_real_films(
    reader: Reader, films_dir: Path, tmp_path: Path
) -> None:
    films = sorted((films_dir / "dicom").glob("*.dcm"))
    assert films
    for film in films:
        for anonymous in (False, True):
            for path in written(reader, film.read_bytes(), tmp_path, "refer", anonymous):
                assert not errors_of(path), film.name


def test_dciodvfy_would_tell_of_an_error(reader: Reader, tmp_path: Path) -> None:
    path = written(reader, dicom_film(), tmp_path, "refer")[0]
    ds = pydicom.dcmread(path)
    del ds.CompletionFlag
    ds.save_as(path)
    assert errors_of(path)


def test_dcmtk_reads_the_report(reader: Reader, tmp_path: Path) -> None:
    done = run("dsrdump", "+Pc", written(reader, dicom_film(), tmp_path, "pneumonia")[0])
    assert done.returncode == 0, done.stderr
    assert "Comprehensive SR" in done.stdout
    assert '(111012,DCM,"Certainty of Finding")' in done.stdout
    assert "UNVERIFIED" in done.stdout.upper()


def test_stored_in_orthanc_and_fetched_back_unchanged(
    reader: Reader, tmp_path: Path, orthanc: Orthanc
) -> None:
    paths = written(reader, dicom_film(), tmp_path, "pneumonia")
    paths += written(reader, dicom_film(), tmp_path, "pneumonia", anonymous=True)
    done = orthanc.store(*paths)
    assert done.returncode == 0, done.stderr
    for path in paths:
        ds = pydicom.dcmread(path)
        back = orthanc.fetch(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        assert dataset_of(back) == dataset_of(path.read_bytes())


def dataset_of(data: bytes) -> bytes:
    """A DICOM file's bytes without its file meta group, which each archive writes anew."""
    assert data[128:132] == b"DICM"
    return data[144 + int.from_bytes(data[140:144], "little") :]
