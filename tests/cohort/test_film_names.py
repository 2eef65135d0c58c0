"""Names of films that tell the patient, and those that do not."""

import pytest

from firstread.cohort.film_names import parse_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("person12_virus_34.jpeg", ("virus-12", "virus", 12, "viral")),
        ("person12_bacteria_34.jpeg", ("bacteria-12", "bacteria", 12, "bacterial")),
        ("IM-0115-0001.jpeg", ("IM-115", "IM", 115, "normal")),
        ("IM-0115-0001-0002.jpeg", ("IM-115", "IM", 115, "normal")),
        ("NORMAL2-IM-0115-0001.jpeg", ("NORMAL2-IM-115", "NORMAL2-IM", 115, "normal")),
        (
            "NORMAL2-IM-0115-0001-0002.jpeg",
            ("NORMAL2-IM-115", "NORMAL2-IM", 115, "normal"),
        ),
        ("VIRUS-614452-0001.jpeg", ("mendeley-virus-614452", "mendeley-virus", 614452, "viral")),
        ("PERSON7_Virus_1.JPEG", ("virus-7", "virus", 7, "viral")),
        ("scan.of.monday.png", ("film-scan.of.monday", "", None, "")),
        ("person_virus.jpeg", ("film-person_virus", "", None, "")),
    ],
)
def test_names_tell_the_patient(name: str, expected: tuple[object, ...]) -> None:
    assert parse_name(name) == expected


def test_a_name_with_a_second_number_is_still_that_patient() -> None:
    """One film of the Guangzhou set is called like this; read wrongly, patient 447 leaks."""
    assert parse_name("person447_virus_921_1.jpeg") == ("virus-447", "virus", 447, "viral")


def test_same_number_in_another_series_is_another_patient() -> None:
    names = ("person5_virus_1", "person5_bacteria_1", "IM-0005-0001", "NORMAL2-IM-0005-0001")
    assert len({parse_name(f"{n}.jpeg")[0] for n in names}) == 4
