"""Patients and ages that stand in DICOM files."""

from pathlib import Path
from typing import Any

import pytest

from dicom_films import dicom_film
from firstread.cohort import tags
from firstread.cohort.audit import audit, load_for_audit
from firstread.cohort.split import SplitPlan, make_split
from firstread.cohort.table import load_cohort
from firstread.cohort.tags import Told, crowded, told_by_files
from firstread.errors import SplitError
from firstread.film.decode import read_bytes


def export(root: Path, *films: tuple[str, dict[str, Any]]) -> list[Path]:
    """Files by name, each with its tags."""
    for seed, (name, told) in enumerate(films):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(dicom_film(seed, size=32, **told))
    return [root / name for name, _ in films]


def test_films_of_one_id_are_one_patients(tmp_path: Path) -> None:
    films = export(
        tmp_path,
        ("a.dcm", {"PatientID": "4711", "PatientAge": "018M"}),
        ("1.2.840.1", {"PatientID": "4711 ", "PatientAge": None, "PatientBirthDate": ""}),
        ("c.dcm", {"PatientID": "4712", "PatientAge": None, "PatientBirthDate": "19950601"}),
    )
    first, same, other = told_by_files(films)
    assert first.patient == same.patient != other.patient
    assert (first.age, same.age, other.age) == (1.5, None, 30.0)
    assert "4711" not in first.patient


def test_another_hospitals_number_is_another_patient(tmp_path: Path) -> None:
    a, b = told_by_files(
        export(
            tmp_path,
            ("a.dcm", {"IssuerOfPatientID": "A"}),
            ("b.dcm", {"IssuerOfPatientID": "B"}),
        )
    )
    assert a.patient != b.patient


@pytest.mark.parametrize("who", ["ANON", "", None])
def test_an_id_that_all_bear_tells_nobody_apart(tmp_path: Path, who: str | None) -> None:
    films = export(tmp_path, *((f"{i}.dcm", {"PatientID": who}) for i in range(3)))
    assert [t.patient for t in told_by_files(films)] == [""] * 3


def test_other_files_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom_film(size=32)[:200])
    (tmp_path / "b.png").write_bytes(dicom_film(size=32))
    (tmp_path / "c.dcm").write_text("no film")
    names = ("a.dcm", "b.png", "c.dcm", "missing.dcm")
    assert told_by_files([tmp_path / name for name in names]) == [Told()] * 4


def test_a_folder_of_an_archive(tmp_path: Path) -> None:
    """Names without an ending, a viewer's name, and a child with films of both classes."""
    export(
        tmp_path,
        ("NORMAL/1.2.840.1", {"PatientID": "1", "PatientAge": "002Y"}),
        ("NORMAL/1.2.840.2", {"PatientID": "2", "PatientAge": "007Y"}),
        ("NORMAL/IM-0001-0001.dcm", {"PatientID": "3", "PatientAge": "003Y"}),
        ("PNEUMONIA/1.2.840.3", {"PatientID": "1", "PatientAge": "002Y"}),
        ("PNEUMONIA/IM-0001-0002.dcm", {"PatientID": "4", "PatientAge": "011M"}),
    )
    cohort = load_cohort(tmp_path)
    assert len(cohort) == 5
    assert len(set(cohort.patients)) == 4
    assert cohort.patients[0] == cohort.patients[3]
    assert {r.series for r in cohort.rows} == {""}
    assert cohort.ages == (0.0, 7.0)
    split = make_split(cohort, SplitPlan(by="patient", fraction=0.5))
    parts = {r.file: r.part for r in split.rows}
    assert parts["NORMAL/1.2.840.1"] == parts["PNEUMONIA/1.2.840.3"]


def test_a_table_is_believed_before_the_files(tmp_path: Path) -> None:
    export(tmp_path, *((f"{i}.dcm", {"PatientID": f"P{i}"}) for i in range(3)))
    (tmp_path / "films.csv").write_text(
        "file,label,patient,age\n0.dcm,0,A,3\n1.dcm,1,A,\n2.dcm,1,,5\n"
    )
    cohort = load_cohort(tmp_path / "films.csv")
    assert cohort.patients[:2] == ["A", "A"]
    assert cohort.patients[2].startswith("dicom-")
    assert [r.extra["age"] for r in cohort.rows] == ["3", "4", "5"]


@pytest.mark.parametrize(("second", "joined"), [("A", True), ("B", False)])
def test_a_patient_named_in_one_row_is_the_same_in_a_blank_one(
    tmp_path: Path, second: str, joined: bool
) -> None:
    """Half a column of patients put one on both sides: by the table's name and by the file's id.
    An id that the table gives two patients names neither."""
    export(tmp_path, *((f"{i}.dcm", {"PatientID": who}) for i, who in enumerate("PPPQ")))
    rows = f"0.dcm,0,A\n1.dcm,1,{second}\n2.dcm,1,\n3.dcm,0,\n"
    (tmp_path / "films.csv").write_text(f"file,label,patient\n{rows}")
    patients = load_cohort(tmp_path / "films.csv").patients
    assert (patients[2] == "A") == joined
    assert patients[3].startswith("dicom-")


def test_an_id_of_a_crowd_is_named(tmp_path: Path) -> None:
    """Two tools have written over the true ids, each with another word."""
    who = ["ANON"] * 16 + [f"P{i}" for i in range(4)]
    names = [f"{c}/{i}.dcm" for i, c in enumerate(["NORMAL"] * 8 + ["PNEUMONIA"] * 12)]
    told = ({"PatientID": w, "PatientAge": "003Y"} for w in who)
    export(tmp_path, *zip(names, told, strict=True))
    cohort = load_for_audit(tmp_path)
    assert crowded(cohort.patients) == (16, 20)
    report = audit(cohort)
    [finding] = [f for f in report["findings"] if f["code"] == "one-id"]
    assert finding["severity"] == "warning"
    assert "one PatientID stands in 16 of the 20 films" in finding["text"]
    assert "column `patient`" in finding["do"]
    with pytest.raises(SplitError, match="PatientID stands in 16 of 20 files: if that is no"):
        make_split(cohort, SplitPlan())


def test_an_id_of_few_films_or_of_some_is_nobodys_crowd() -> None:
    assert crowded(["dicom-a"] * 19) is None
    assert crowded(["dicom-a"] * 5 + [f"dicom-{i}" for i in range(15)]) is None
    assert crowded(["P1"] * 30 + ["dicom-a"]) is None


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened for their tags."""
    names: list[str] = []

    def noting(path: Path) -> bytes:
        names.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(tags, "_head", noting)
    return names


def test_files_that_a_table_tells_all_of_are_not_opened(tmp_path: Path, opened: list[str]) -> None:
    export(tmp_path, *((f"{i}.dcm", {"PatientID": f"P{i}"}) for i in range(3)))
    table = tmp_path / "films.csv"
    table.write_text("file,label,patient,age\n0.dcm,0,A,3\n1.dcm,1,A,\n2.dcm,1,B,5\n")
    assert [r.extra["age"] for r in load_cohort(table).rows] == ["3", "4", "5"]
    assert opened == ["1.dcm"]


@pytest.mark.parametrize("folders", [("NORMAL", "PNEUMONIA"), ("a", "b")])
def test_a_check_opens_each_file_for_its_tags_once(
    tmp_path: Path, opened: list[str], folders: tuple[str, str]
) -> None:
    export(tmp_path, *((f"{f}/{f}.dcm", {"PatientID": f}) for f in folders))
    audit(load_for_audit(tmp_path))
    assert sorted(opened) == [f"{f}.dcm" for f in folders]


def test_a_header_longer_than_most_is_read_whole(tmp_path: Path) -> None:
    """And of a film of whatever size no more than its beginning, where that holds the header."""
    about: dict[str, Any] = {"ImageComments": "x" * 9000, "PatientID": "4711"}
    (long,) = export(tmp_path, ("a.dcm", about))
    (same,) = export(tmp_path, ("b.dcm", {"PatientID": "4711"}))
    whole = told_by_files([long])[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tags, "HEAD", 4000)
        assert told_by_files([long])[0] == whole == told_by_files([same])[0]


def test_a_name_that_is_too_long_is_a_film_that_tells_nothing(tmp_path: Path) -> None:
    """`check` names it among the unreadable, and stops at none of them."""
    assert told_by_files([tmp_path / f"{'x' * 300}.dcm"]) == [Told()]
