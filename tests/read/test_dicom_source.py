"""What results take over from a film's header: whole values, and none that would stop them."""

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.read.dicom_out import write_results
from firstread.read.dicom_out.source import STAND_IN_DATE, read_header, source_of
from firstread.read.reader import Reader


def taken(**changes: Any) -> pydicom.Dataset:
    with warnings.catch_warnings(action="ignore"):  # pydicom minds, rightly
        film = dicom_film(**changes)
    return source_of(read_header(film))


def written(folder: Path, anonymous: bool = False, **changes: Any) -> list[pydicom.Dataset]:
    with warnings.catch_warnings(action="ignore"):
        film = dicom_film(**changes)
    opinion = Reader(tiny_bundle(folder / "tiny")).read(film)
    return [pydicom.dcmread(p) for p in write_results(opinion, film, folder / "out", anonymous)]


@pytest.mark.parametrize("name", ["PatientBirthDate", "StudyDate", "ContentDate"])
def test_a_day_that_never_was_is_left_out_and_costs_no_result(tmp_path: Path, name: str) -> None:
    report, capture = written(tmp_path, **{name: "20210431"})
    told = "20250601" if name == "ContentDate" else ""  # of type 1: the study's day
    assert report[name].value == capture[name].value == told


def test_no_day_at_all_is_told_by_a_stand_in() -> None:
    ds = taken(StudyDate="20230229", ContentDate="20230229")
    assert (ds.ContentDate, ds.StudyDate) == (STAND_IN_DATE, "")


def test_times_keep_their_zone(tmp_path: Path) -> None:
    for ds in written(tmp_path, TimezoneOffsetFromUTC="+0930"):
        assert ds.TimezoneOffsetFromUTC == "+0930"
        assert ds.ContentTime == "101500"


@pytest.mark.parametrize("zone", ["", "-0000", "+25", "GMT+1", "+1500"])
def test_what_is_no_zone_is_left_out(zone: str) -> None:
    assert "TimezoneOffsetFromUTC" not in taken(TimezoneOffsetFromUTC=zone)


def test_an_anonymous_result_does_not_tell_where_it_was(tmp_path: Path) -> None:
    for ds in written(tmp_path, anonymous=True, TimezoneOffsetFromUTC="+0930"):
        assert "TimezoneOffsetFromUTC" not in ds


def test_day_and_time_are_of_one_event() -> None:
    about = {"ContentDate": None, "AcquisitionDate": "20250601", "AcquisitionTime": "235955"}
    ds = taken(**about, ContentTime="000010")  # a day later
    assert (ds.ContentDate, ds.ContentTime) == ("20250601", "235955")
    ds = taken(ContentDate=None, AcquisitionDate="20250601", StudyTime="101500")
    assert (ds.ContentDate, ds.ContentTime) == ("20250601", "101500")


@pytest.mark.parametrize(
    ("ratio", "method", "kept"),
    [
        ("12.5", "ISO_10918_1", ("12.5", "ISO_10918_1")),
        ("12,5", "ISO_10918_1", (None, "ISO_10918_1")),
        ("12.5", "jpeg, lossy", ("12.5", None)),
    ],
)
def test_a_ratio_with_a_comma_costs_no_result(
    tmp_path: Path, ratio: str, method: str, kept: tuple[str | None, str | None]
) -> None:
    lossy = {"LossyImageCompressionRatio": "55.5", "LossyImageCompressionMethod": method}
    with warnings.catch_warnings(action="ignore"):
        film = dicom_film(LossyImageCompression="01", **lossy).replace(b"55.5", ratio.encode())
    opinion = Reader(tiny_bundle(tmp_path / "tiny")).read(film)
    paths = write_results(opinion, film, tmp_path / "out")
    capture = pydicom.dcmread(paths[1])
    assert capture.LossyImageCompression == "01"
    found = [capture.get(name) for name in lossy]
    assert tuple(None if value is None else str(value) for value in found) == kept


def test_what_was_compressed_twice_tells_of_both(tmp_path: Path) -> None:
    methods = ["ISO_10918_1", "ISO_15444_1"]
    _, capture = written(
        tmp_path,
        LossyImageCompression="01",
        LossyImageCompressionRatio=["10", "2.5"],
        LossyImageCompressionMethod=methods,
    )
    assert list(map(str, capture.LossyImageCompressionRatio)) == ["10", "2.5"]
    assert list(capture.LossyImageCompressionMethod) == methods


@pytest.mark.parametrize(
    ("told", "marked"),
    [(["YES", "NO"], "YES"), ("Y", "YES"), ("yes", "YES"), ("NO", "NO"), ("", None), ("?", None)],
)
def test_a_yes_written_otherwise_hides_the_pixels_too(
    tmp_path: Path, told: str | list[str], marked: str | None
) -> None:
    anonymous = written(tmp_path / "a", True, BurnedInAnnotation=told)
    assert len(anonymous) == (1 if marked == "YES" else 2)
    _, capture = written(tmp_path / "n", BurnedInAnnotation=told)
    assert capture.get("BurnedInAnnotation") == marked
