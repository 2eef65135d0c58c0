"""Ages that DICOM films tell, and those that their dates do."""

import pydicom
import pytest

from dicom_films import dicom_film
from firstread.film import decode
from firstread.film.age import age_of, told_age
from firstread.film.quiet import quiet


@pytest.mark.parametrize(
    ("text", "years"),
    [
        *[("034Y", 34.0), ("006M", 0.5), ("052W", 0.997), ("003D", 0.008), ("", None)],
        # Against the standard, and in real files: an adult must not pass for want of a letter.
        *[("34", 34.0), ("077", 77.0), ("1500D", 4.107), ("ADULT", None)],
        *[("3 years", 3.0), ("034 Y", 34.0), ("34.0", 34.0), ("6 months", 0.5)],
        *[("4 HOURS", None), ("3 SEMANAS", None), ("34YR", 34.0)],
    ],
)
def test_ages(text: str, years: float | None) -> None:
    found = age_of({"PatientAge": text})
    assert found == (None if years is None else pytest.approx(years, abs=2e-3))


def tags(**told: str | None) -> pydicom.Dataset:
    ds = pydicom.Dataset()
    with quiet:  # pydicom minds, rightly
        for name, value in told.items():
            setattr(ds, name, value)
    return ds


@pytest.mark.parametrize(
    ("born", "taken", "age"),
    [
        ("19410704", "20250704", "084Y"),
        ("19410704", "20250703", "083Y"),
        ("20230601", "20250601", "002Y"),
        ("20230601", "20250531", "023M"),
        ("20240229", "20250228", "011M"),
        ("20240229", "20250301", "012M"),
        ("20250601", "20250601", "000M"),
        ("1941.07.04", "2025.07.04", "084Y"),
        ("20250602", "20250601", ""),
        ("18930101", "20250601", ""),
        ("19410231", "20250601", ""),
        ("19410704", "20251301", ""),
        ("1941", "20250601", ""),
        ("", "20250601", ""),
        ("19410704", "", ""),
        ("Grey^Ada", "tomorrow", ""),
    ],
)
def test_dates_tell_the_age_as_dicom_would(born: str, taken: str, age: str) -> None:
    assert told_age(tags(PatientBirthDate=born, StudyDate=taken)) == age


def test_the_day_is_that_of_the_film_before_that_of_the_study() -> None:
    days = {"StudyDate": "20250101", "ContentDate": "20240101", "AcquisitionDate": "20230101"}
    found = []
    while days:
        found.append(told_age(tags(PatientBirthDate="20000101", **days)))
        days.popitem()
    assert found == ["023Y", "024Y", "025Y"]
    spoilt = {"AcquisitionDate": "20239999", "ContentDate": "19000101", "StudyDate": "20250101"}
    assert told_age(tags(PatientBirthDate="20000101", **spoilt)) == "025Y"


@pytest.mark.parametrize(
    "day", [{"AcquisitionDateTime": "20250704101500.5+0200"}, {"SeriesDate": "20250704"}]
)
def test_an_adult_is_none_of_whom_no_age_is_known_for_want_of_a_study_date(
    day: dict[str, str],
) -> None:
    assert told_age(tags(PatientBirthDate="19410704", StudyDate="", **day)) == "084Y"
    assert told_age(tags(PatientBirthDate="19410704", AcquisitionDateTime="2025")) == ""


def test_an_age_that_is_told_goes_before_dates_and_one_that_is_none_does_not() -> None:
    dates = {"PatientBirthDate": "20000101", "StudyDate": "20250101"}
    assert told_age(tags(PatientAge="004Y", **dates)) == "004Y"
    for none in ("", None, "ADULT", "Grey^Ada"):
        assert told_age(tags(PatientAge=none, **dates)) == "025Y"
    assert told_age(tags(PatientAge="Grey^Ada")) == ""


def test_a_decoded_film_has_the_age_and_not_the_dates() -> None:
    film = decode(dicom_film(PatientAge=None, PatientBirthDate="19410704"))
    assert film.tags["PatientAge"] == "083Y"
    assert "1941" not in repr(film.tags)
    with quiet:
        odd = dicom_film(PatientAge=None, PatientBirthDate="x" * 60)
    assert "PatientAge" not in decode(odd).tags
