"""Columns are known however they are spelt; a patient's that is not would leak in silence."""

from pathlib import Path

import pytest

from firstread.cohort.headers import as_known, spelt
from firstread.errors import TableError

TABLE = Path("t.csv")


@pytest.mark.parametrize(
    "name", ["Patient ID", "patientId", "PatientID", "Patient.ID", " patient-id ", "PATIENT_ID"]
)
def test_a_patients_column_as_others_write_it(name: str) -> None:
    assert as_known(TABLE, ["file", name, "label"]) == ["file", "patient_id", "label"]


def test_what_is_not_known_stays_as_it_is() -> None:
    names = ["File", "View Position", "Patient Name", "OriginalImage[Width", ""]
    assert as_known(TABLE, names) == ["file", *names[1:]]


def test_a_column_of_the_known_name_goes_before_one_spelt_otherwise() -> None:
    assert as_known(TABLE, ["patient_id", "Patient ID"]) == ["patient_id", "Patient ID"]
    with pytest.raises(TableError, match="`patient_id` twice"):
        as_known(TABLE, ["PatientID", "Patient ID"])


def test_an_age_as_nih_writes_it() -> None:
    assert as_known(TABLE, ["file", "Patient Age"]) == ["file", "age"]
    assert as_known(TABLE, ["PatientAge", "Age"]) == ["PatientAge", "age"]
    assert as_known(TABLE, ["Patient Age", "Patient.Age"]) == ["age", "Patient.Age"]


def test_a_column_is_found_by_the_name_that_its_table_has_for_it() -> None:
    there = {"patient_id": "", "age": "", "Patient ID": "", "View Position": ""}
    assert spelt("Patient ID", there) == "Patient ID"
    assert spelt("patientId", there) == "patient_id"
    assert spelt("Patient Age", there) == spelt("Age", there) == "age"
    assert spelt("view position", there) == "view position"
