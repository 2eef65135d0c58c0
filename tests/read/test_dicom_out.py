"""Results as DICOM: what they say, whose they are, that they are the same each time."""

from __future__ import annotations

import builtins
import errno
import io
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import firstread
import firstread.read.dicom_out as dicom_out
from bundles import tiny_bundle
from dicom_films import ID, NAME, dicom_film
from firstread.errors import MissingExtra, OutputError, Shortage, UnreadableFilm
from firstread.film.quiet import quiet
from firstread.read.dicom_out import is_anonymous, results, write_results
from firstread.read.dicom_out.sr import NOTICE
from firstread.read.opinion import Opinion
from firstread.read.reader import Reader
from firstread.read.regions import Region


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tiny_bundle(tmp_path_factory.mktemp("b") / "bundle", notices=["Research only."]))


def opined(reader: Reader, film: bytes, decision: str = "pneumonia") -> Opinion:
    return replace(reader.read(film), decision=decision, reasons=())


def reread(ds: pydicom.Dataset) -> pydicom.Dataset:
    """As another program would meet it."""
    return pydicom.dcmread(io.BytesIO(dicom_out._to_bytes(ds)))


def items(ds: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Every content item of a report, depth first."""
    found = []
    for item in ds.get("ContentSequence", ()):
        found += [item, *items(item)]
    return found


def named(ds: pydicom.Dataset, code: str) -> list[pydicom.Dataset]:
    return [i for i in items(ds) if i.ConceptNameCodeSequence[0].CodeValue == code]


@pytest.mark.parametrize(
    ("decision", "presence"),
    [("pneumonia", "52101004"), ("no pneumonia", "272519000"), ("refer", "82334004")],
)
def test_the_report_tells_finding_numbers_and_words(
    reader: Reader, decision: str, presence: str
) -> None:
    film = dicom_film()
    opinion = replace(opined(reader, film, decision), reasons=("It is dim.",))
    report, _ = results(opinion, film)
    assert report.VerificationFlag == "UNVERIFIED"
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert report.CompletionFlag == "COMPLETE"
    assert named(report, "121071")[0].ConceptCodeSequence[0].CodeValue == "233604007"
    assert named(report, "705057003")[0].ConceptCodeSequence[0].CodeValue == presence
    value = named(report, "111012")[0].MeasuredValueSequence[0]
    assert opinion.probability is not None
    assert float(value.NumericValue) == pytest.approx(100 * opinion.probability, abs=0.006)
    assert value.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
    assert float(named(report, "122411")[0].MeasuredValueSequence[0].NumericValue) == 50
    texts = [i.TextValue for i in named(report, "121106")]
    for text in (f"Decision: {decision}.", "It is dim.", NOTICE, "Research only."):
        assert text in texts
    parameters = [i.TextValue for i in named(report, "111002")]
    assert parameters == ["bundle tiny", f"bundle sha256 {opinion.bundle_sha256}"]
    assert named(report, "121005")[0].ConceptCodeSequence[0].CodeMeaning == "Device"
    points = named(report, "111010")
    assert len(points) == (decision != "no pneumonia")
    if points:
        column, row = points[0].GraphicData
        assert 0 < column < 96
        assert 0 < row < 72


def test_a_rejected_film_gets_a_report_without_numbers(reader: Reader) -> None:
    film = dicom_film()
    opinion = replace(opined(reader, film, "rejected"), reasons=("a lateral film",))
    (report,) = results(opinion, film)
    assert report.CompletionFlag == "PARTIAL"
    assert named(report, "705057003")[0].ConceptCodeSequence[0].CodeValue == "121059"
    assert not [i for i in items(report) if i.ValueType in {"NUM", "SCOORD"}]
    assert "a lateral film" in [i.TextValue for i in named(report, "121106")]


def test_both_stand_in_the_films_study_and_refer_to_it(reader: Reader) -> None:
    film = dicom_film()
    report, capture = map(reread, results(opined(reader, film), film))
    source = pydicom.dcmread(io.BytesIO(film))
    for ds in (report, capture):
        assert ds.StudyInstanceUID == source.StudyInstanceUID
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
        assert (str(ds.PatientName), ds.PatientID) == (NAME, ID)
        assert (ds.PatientBirthDate, ds.PatientAge) == ("20210304", "004Y")
        assert (ds.StudyDate, ds.ContentDate, ds.ContentTime) == ("20250601", "20250602", "101500")
        assert (ds.AccessionNumber, ds.InstanceNumber) == ("A1", 3)
    assert report.SeriesInstanceUID != capture.SeriesInstanceUID
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_a_number_that_is_too_long_is_left_out_and_not_cut(reader: Reader) -> None:
    """Cut to what the standard allows, it may be another order's."""
    with quiet:
        film = dicom_film(AccessionNumber="2024000000001234A7", PatientID="9" * 65)
    for ds in results(opined(reader, film), film):
        assert (ds.AccessionNumber, ds.PatientID) == ("", "")


def test_a_model_of_the_middle_marks_the_middle(tmp_path: Path) -> None:
    """The film is wider than high; what is bright lies right of its middle."""
    seen = tiny_bundle(tmp_path / "bundle", preprocess={"size": 32, "frame": "centre"})
    reader = Reader(seen)
    pixels = np.full((60, 180), 90, np.uint8)
    pixels[20:40, 100:115] = 250
    film = dicom_film(Rows=60, Columns=180, PixelData=pixels.tobytes())
    opinion = reader.read(film)
    assert opinion.seen == pytest.approx((1 / 3, 0, 2 / 3, 1))
    assert opinion.picture_aspect == 1.0
    report, capture = results(replace(opinion, decision="pneumonia"), film)
    (point,) = [i for i in items(report) if i.ValueType == "SCOORD"]
    assert 100 <= point.GraphicData[0] <= 115
    assert 20 <= point.GraphicData[1] <= 40
    picture = capture.pixel_array.astype(int)
    coloured = np.ptp(picture[-picture.shape[1] // 3 :], axis=2).max(axis=0) > 20
    across = np.flatnonzero(coloured) / picture.shape[1]
    assert 1 / 3 - 0.01 <= across.min() < across.max() <= 2 / 3 + 0.01


def test_the_capture_is_a_picture_of_the_films_shape_below_a_banner(reader: Reader) -> None:
    film = dicom_film(BurnedInAnnotation="NO", LossyImageCompression="01")
    _, capture = results(opined(reader, film), film)
    pixels = capture.pixel_array
    assert pixels.shape[1:] == (512, 3)
    banner = pixels.shape[0] - 384  # the film is 96 x 72
    assert 60 < banner < 140
    assert (pixels[:banner] == (255, 220, 0)).all(axis=2).any()
    assert (pixels[banner:, :, 0] > pixels[banner:, :, 2]).any()  # warm colours: the map
    assert (capture.BurnedInAnnotation, capture.LossyImageCompression) == ("NO", "01")
    assert list(capture.ImageType) == ["DERIVED", "SECONDARY"]
    _, unknown = results(opined(reader, dicom_film()), dicom_film())
    assert "BurnedInAnnotation" not in unknown


def test_a_result_of_ours_is_not_read_as_a_film(reader: Reader) -> None:
    film = dicom_film()
    for result in results(opined(reader, film), film):
        again = reader.read(dicom_out._to_bytes(result))
        assert again.decision == "rejected"
        assert again.reasons == ("a result of firstread, and no film; read the film that it is of",)


def test_read_again_the_bytes_are_the_same(reader: Reader, tmp_path: Path) -> None:
    film = dicom_film()
    first = write_results(opined(reader, film), film, tmp_path / "a")
    time.sleep(1.1)  # DICOM tells time to the second
    again = write_results(opined(reader, film), film, tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in again]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_another_reading_has_uids_of_its_own(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = dicom_film()
    opinion = opined(reader, film)
    readings = [
        results(opinion, film),
        results(replace(opinion, threshold=0.4), film),
        results(replace(opinion, decision="refer"), film),
        results(replace(opinion, bundle_sha256="0" * 12), film),
        results(opinion, film, anonymous=True),
        results(opined(reader, dicom_film(seed=1)), dicom_film(seed=1)),
        results(replace(opinion, regions=(Region("right upper", 0.5),)), film),
        results(replace(opinion, notices=("Research only, still.",)), film),
    ]
    monkeypatch.setattr(firstread, "__version__", "99.0")
    readings.append(results(opinion, film))
    uids = [str(ds.SOPInstanceUID) for made in readings for ds in made]
    assert len(set(uids)) == len(uids) == 18
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientID": "OTHER"},
        {"PatientName": "Other"},
        {"StudyInstanceUID": "1.2.3"},
        {"SeriesInstanceUID": "1.2.3"},
        {"AccessionNumber": "B2"},
        {"StudyDate": "20250101"},
        {"InstanceNumber": 4},
        {"BurnedInAnnotation": "NO"},
        {"LossyImageCompression": "01"},
    ],
)
def test_a_corrected_film_gives_results_that_no_archive_takes_for_the_former(
    reader: Reader, changes: dict[str, Any]
) -> None:
    """One UID never stands for two contents; an archive would keep the first."""
    film, corrected = dicom_film(), dicom_film(**changes)
    opinion = opined(reader, film)
    for a, b in zip(results(opinion, film), results(opinion, corrected), strict=True):
        same = a.SOPInstanceUID == b.SOPInstanceUID
        assert same == (dicom_out._to_bytes(a) == dicom_out._to_bytes(b))
    assert not same  # the capture's


def test_anonymous_results_tell_nothing_of_the_patient(reader: Reader, tmp_path: Path) -> None:
    film = dicom_film(StudyDescription="Frau Geheim", IssuerOfPatientID="KLINIK")
    paths = write_results(opined(reader, film), film, tmp_path, anonymous=True)
    for path in paths:
        data = path.read_bytes()
        secrets = ["Müller", "李", ID, "20210304", "004Y", "20250601", "20250602", "101500"]
        secrets += ["Weiß", "Geheim", "KLINIK", "1.2.826.0.1.3680043.8.498.7"]
        assert not [s for s in secrets if s.encode() in data]
        ds = pydicom.dcmread(path)
        assert ds.PatientIdentityRemoved == "YES"
        assert (ds.PatientName, ds.PatientID, ds.PatientBirthDate) == ("", "", "")
    other = dicom_film(seed=1)
    report = results(opined(reader, other), other, anonymous=True)[0]
    assert report.StudyInstanceUID == pydicom.dcmread(paths[0]).StudyInstanceUID


def test_an_anonymous_report_tells_that_the_age_is_another_and_not_which(reader: Reader) -> None:
    film = dicom_film(PatientAge="095Y")
    opinion = reader.read(film)
    said = {}
    for hide in (True, False):
        report = results(opinion, film, hide)[0]
        said[hide] = " ".join(i.TextValue for i in named(report, "121106"))
    assert "95 years old" in said[False]
    assert "the patient's age lies outside of 1 to 5 years" in said[True]
    assert "95" not in said[True]
    uids = {results(reader.read(film, age=age), film, True)[0].SOPInstanceUID for age in (94, 95)}
    assert len(uids) == 1


def test_an_anonymous_result_shows_no_pixels_that_name_the_patient(reader: Reader) -> None:
    film = dicom_film(BurnedInAnnotation="YES")
    (report,) = results(opined(reader, film), film, anonymous=True)
    assert any("No picture was made" in i.TextValue for i in named(report, "121106"))
    assert len(results(opined(reader, film), film)) == 2


def test_no_file_name_gets_into_a_result(reader: Reader) -> None:
    film = dicom_film()
    opinion = replace(opined(reader, film), file="in/Meier.dcm", reasons=("in/Meier.dcm: too dim",))
    report = results(opinion, film)[0]
    texts = [i.TextValue for i in named(report, "121106")]
    assert "too dim" in texts
    assert not [t for t in texts if "Meier" in t]


def test_a_film_called_by_a_number_leaves_the_numbers_as_they_are(reader: Reader) -> None:
    film = dicom_film()
    opinion = replace(reader.read(film, age=61), file="1")
    texts = [i.TextValue for i in named(results(opinion, film)[0], "121106")]
    assert opinion.reasons[0].startswith("the patient is 61 years old")
    assert set(opinion.reasons) <= set(texts)


@pytest.mark.parametrize(
    "changes",
    [
        {"SOPInstanceUID": "../../etc/passwd"},
        {"StudyInstanceUID": "1.2/3"},
        {"SeriesInstanceUID": "x"},
    ],
)
def test_a_broken_uid_is_refused_by_name(
    reader: Reader, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with warnings.catch_warnings(action="ignore"):  # pydicom minds, rightly
        film = dicom_film(**changes)
    with pytest.raises(UnreadableFilm, match=next(iter(changes))):
        write_results(opined(reader, dicom_film()), film, tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_uids_get_stand_ins_or_a_named_error(reader: Reader) -> None:
    film = dicom_film(StudyInstanceUID=None, SeriesInstanceUID=None, SOPInstanceUID=None)
    report = results(opined(reader, film), film)[0]  # the file's header still names it
    assert str(report.StudyInstanceUID).startswith("2.25.")
    with pytest.raises(UnreadableFilm, match="no DICOM film"):
        results(opined(reader, film), b"\xff\xd8\xff no DICOM at all")


def test_a_header_that_allows_no_results_is_named(reader: Reader, tmp_path: Path) -> None:
    """Whatever pydicom or highdicom raise on it."""
    source = dicom_film(0, SOPClassUID="1.2.840.1")
    with pytest.raises(UnreadableFilm, match=r"allows no results \(KeyError\)"):
        write_results(reader.read(source), source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("burned", ["YES", "NO"])
def test_an_opinion_without_its_map_is_refused_by_that_name(
    reader: Reader, tmp_path: Path, burned: str
) -> None:
    """Also where no picture would be made of it: the report tells the place of the evidence."""
    source = dicom_film(BurnedInAnnotation=burned)
    (opinion,) = reader.read_many([source])
    with pytest.raises(ValueError, match="no heat map; read the film with heat=True"):
        write_results(opinion, source, tmp_path / "out", anonymous=True)
    assert not (tmp_path / "out").exists()
    assert len(write_results(replace(opinion, decision="rejected"), source, tmp_path / "out")) == 1


def test_odd_and_broken_patient_fields_are_cleaned(reader: Reader) -> None:
    with warnings.catch_warnings(action="ignore"):  # pydicom minds, rightly
        film = dicom_film(
            PatientName="A" * 90 + "^B\x1b\n", PatientSex="X", PatientAge="62",
            PatientBirthDate="1.4.21", StudyDate=None, ContentDate=None, InstanceNumber=None,
        )  # fmt: skip
    report = reread(results(opined(reader, film), film)[0])
    assert str(report.PatientName) == "A" * 64
    assert (report.PatientSex, report.PatientBirthDate) == ("", "")
    assert "PatientAge" not in report
    assert (report.ContentDate, report.ContentTime, report.InstanceNumber) == (
        "19000101", "000000", 1,
    )  # fmt: skip


def test_all_files_are_written_or_none(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, real = dicom_film(), dicom_out.write_atomic
    calls = []

    def full_at_the_second(path: Path, data: bytes | str) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OutputError(f"{path}: no space left")
        real(path, data)

    monkeypatch.setattr(dicom_out, "write_atomic", full_at_the_second)
    with pytest.raises(OutputError):
        write_results(opined(reader, film), film, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_highdicom_the_extra_is_named(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("highdicom"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"firstread\[clinic\]"):
        write_results(opined(reader, dicom_film()), dicom_film(), tmp_path)


def test_a_result_names_nobody_for_want_of_memory_or_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node told a person to move results away that were anonymous."""

    def dcmread(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "x")

    monkeypatch.setattr(pydicom, "dcmread", dcmread)
    with pytest.raises(Shortage, match="too many files"):
        is_anonymous(tmp_path / "a.dcm")
