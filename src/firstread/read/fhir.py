"""An opinion as a FHIR R4 (4.0.1) Bundle: a DiagnosticReport, two Observations and the Device.

R4 and not R5, since R4 is what servers and national profiles speak. Nothing is asked of the
receiver but the resources themselves: no profile, no extension. What the film is about is named
by identifiers (patient, order, study, film), never by the address of a resource, since those are
the receiver's to give.

What a machine said and nobody verified is `partial` as a report ("data in the report may be
incomplete or unverified"), `preliminary` as an observation ("data may be incomplete or
unverified"). A DiagnosticReport's own `preliminary` would say too much: "Verified early results".
A film that was rejected gives a report that is `cancelled`, and observations without a value.

The codes are those of the DICOM report (`dicom_out.sr`). Ids are name-based UUIDs over what was
read and what came of it, and the only date is the study's: the same film read again by the same
bundle gives the same bytes, and sent twice it is one report. So it is where a later one tells more,
of regions or of a patient who was corrected: a server puts it in the former one's place.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import firstread
from firstread.film.decode import looks_like_dicom
from firstread.read.bundle import Bundle
from firstread.read.dicom_out.source import STAND_IN_DATE, read_header, source_of
from firstread.read.dicom_out.sr import NOTICE, PRESENCE, sentences
from firstread.read.dicom_out.uids import derive, name_based, result_key
from firstread.read.digits import in_percent
from firstread.read.opinion import REJECTED, Opinion

if TYPE_CHECKING:
    import pydicom

Json = dict[str, Any]

SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
}
"""Code systems by DICOM's names for them."""

HL7 = "http://terminology.hl7.org/CodeSystem/"
URI, DICOM_UID = "urn:ietf:rfc:3986", "urn:dicom:uid"


def opinion_fhir(opinion: Opinion, bundle: Bundle, source: bytes, anonymous: bool = False) -> bytes:
    """The Bundle (type collection) of one opinion, as JSON in ASCII with a line end.

    `bundle`: the one that gave the opinion. `source`: the bytes of the film's file. With
    `anonymous`, patient, age, order number and date are left out, and the study and the film of
    a DICOM file are named by UIDs derived from theirs. Raises `UnreadableFilm` where a DICOM film
    has no UID that a result could refer to it by.
    """
    about = _about(source, anonymous)
    if anonymous:
        opinion = opinion.anonymous()
    key = result_key(opinion, about.film, anonymous)
    device = _device(opinion, bundle)
    common = about.common | {"device": _link(device), "derivedFrom": about.sources}
    decision = _decision(opinion, key) | common
    probability = _probability(opinion, key) | common
    report = _report(opinion, key, about) | {"result": [_link(decision), _link(probability)]}
    made = _resource("Bundle", *key) | {
        "type": "collection",
        "entry": [
            {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            for resource in (report, decision, probability, device)
        ],
    }
    return json.dumps(_clean(made), indent=1, allow_nan=False).encode() + b"\n"


@dataclass(frozen=True)
class _About:
    """What an opinion is about. `film`: a URI that names the film. `common`: subject and date, as
    far as they are known. `sources`: study and film, as references. `order`: by its number.
    """

    film: str
    sources: list[Json]
    common: Json = field(default_factory=dict)
    order: Json = field(default_factory=dict)


def _about(source: bytes, anonymous: bool) -> _About:
    if not looks_like_dicom(source):
        # RFC 6920: a name for these very bytes, for whoever holds them.
        digest = base64.urlsafe_b64encode(hashlib.sha256(source).digest()).decode().rstrip("=")
        film = f"ni:///sha-256;{digest}"
        return _About(film, [_named("Media", URI, film)])
    told = source_of(read_header(source), anonymous)
    study, film = (f"urn:oid:{uid}" for uid in (told.StudyInstanceUID, told.SOPInstanceUID))
    sources = [_named("ImagingStudy", DICOM_UID, study), _named("Media", DICOM_UID, film)]
    common: Json = {}
    if told.PatientID:
        issuer = str(told.get("IssuerOfPatientID") or "")
        who = {"value": str(told.PatientID)} | ({"assigner": {"display": issuer}} if issuer else {})
        common["subject"] = {"type": "Patient", "identifier": who}
    if (day := _day(told)) is not None:
        common["effectiveDateTime"] = day
    order: Json = {}
    if told.AccessionNumber:
        kind = {"coding": [_coding("ACSN", "v2-0203", "Accession ID")]}
        number = {"type": kind, "value": str(told.AccessionNumber)}
        order = {"basedOn": [{"type": "ServiceRequest", "identifier": number}]}
    return _About(film, sources, common, order)


def _day(told: pydicom.Dataset) -> str | None:
    """The day of the study, else of the film. FHIR lets no time stand without a time zone."""
    content = str(told.ContentDate)
    text = str(told.StudyDate) or ("" if content == STAND_IN_DATE else content)
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat()
    except ValueError:
        return None


def _report(opinion: Opinion, key: tuple[str, ...], about: _About) -> Json:
    words = sentences(opinion)
    if opinion.decision != REJECTED and opinion.probability is not None:
        p, threshold = in_percent(opinion.probability, opinion.threshold)
        words.insert(1, f"Probability of pneumonia {p} %, threshold {threshold} %.")
    studies = [s for s in about.sources if s["type"] == "ImagingStudy"]
    return (
        _resource("DiagnosticReport", *key)
        | about.order
        | {
            "status": "cancelled" if opinion.decision == REJECTED else "partial",
            "category": [{"coding": [_coding("RAD", "v2-0074", "Radiology")]}],
            "code": _concept("30745-4", "LN", "XR Chest Views"),
            "conclusion": "\n".join(words),
        }
        | about.common
        | ({"imagingStudy": studies} if studies else {})
    )


def _decision(opinion: Opinion, key: tuple[str, ...]) -> Json:
    """Whether there is pneumonia, with the reasons for referring or rejecting as notes."""
    made = _observation("decision", opinion, key, _concept("233604007", "SCT", "Pneumonia"))
    if opinion.decision != REJECTED:
        made["valueCodeableConcept"] = _concept(*PRESENCE[opinion.decision]) | {
            "text": opinion.decision
        }
    notes = [*opinion.remarks, NOTICE, *opinion.notices]
    return made | {"note": [{"text": text} for text in notes if text]}


def _probability(opinion: Opinion, key: tuple[str, ...]) -> Json:
    """How sure the model is, with what of, and from where on it says so, as components."""
    code = _concept("111012", "DCM", "Certainty of Finding") | {"text": "Probability of pneumonia"}
    made = _observation("probability", opinion, key, code)
    finding = {
        "code": _concept("121071", "DCM", "Finding"),
        "valueCodeableConcept": _concept("233604007", "SCT", "Pneumonia"),
    }
    if opinion.decision == REJECTED or opinion.probability is None:
        return made | {"component": [finding]}
    p, limit = map(_quantity, in_percent(opinion.probability, opinion.threshold))
    threshold = {"code": _concept("122411", "DCM", "Threshold Value"), "valueQuantity": limit}
    return made | {"valueQuantity": p, "component": [finding, threshold]}


def _observation(what: str, opinion: Opinion, key: tuple[str, ...], code: Json) -> Json:
    made = _resource("Observation", what, *key) | {
        "status": "preliminary",
        "category": [{"coding": [_coding("imaging", "observation-category", "Imaging")]}],
        "code": code,
    }
    if opinion.decision == REJECTED:
        reason = _coding("not-performed", "data-absent-reason", "Not Performed")
        made["status"] = "cancelled"
        made["dataAbsentReason"] = {"coding": [reason], "text": "; ".join(opinion.remarks)}
    return made


def _device(opinion: Opinion, bundle: Bundle) -> Json:
    """The machine that read: this version with this bundle; the same for all its films."""
    made = _resource("Device", firstread.__version__, bundle.name, bundle.sha256)
    # By which the DICOM report names its observer.
    observer = derive("device", opinion.bundle, opinion.bundle_sha256)
    made["identifier"].append({"system": DICOM_UID, "value": f"urn:oid:{observer}"})
    return made | {
        "status": "active",
        "manufacturer": "firstread",
        "deviceName": [{"name": f"firstread {bundle.name}", "type": "user-friendly-name"}],
        "modelNumber": bundle.name,
        "version": [
            {"type": {"text": "firstread"}, "value": firstread.__version__},
            {"type": {"text": "sha256 of the bundle"}, "value": bundle.sha256},
        ],
        "note": [{"text": text} for text in (NOTICE, *bundle.card.notices)],
    }


def _resource(kind: str, *key: str) -> Json:
    """A resource with its id, which is also an identifier, for servers that give ids of their own.

    The identifier of a Bundle is one value, that of the others a list.
    """
    name = str(name_based("fhir", kind, *key))
    identifier = {"system": URI, "value": f"urn:uuid:{name}"}
    known = identifier if kind == "Bundle" else [identifier]
    return {"resourceType": kind, "id": name, "identifier": known}


def _link(resource: Json) -> Json:
    return {"reference": f"urn:uuid:{resource['id']}"}


def _named(kind: str, system: str, value: str) -> Json:
    """A reference to what the receiver may hold, by an identifier."""
    return {"type": kind, "identifier": {"system": system, "value": value}}


def _coding(code: str, system: str, display: str) -> Json:
    return {"system": HL7 + system, "code": code, "display": display}


def _concept(code: str, scheme: str, meaning: str) -> Json:
    return {"coding": [{"system": SYSTEMS[scheme], "code": code, "display": meaning}]}


def _quantity(percent: float) -> Json:
    return {"value": percent, "unit": "%", "system": SYSTEMS["UCUM"], "code": "%"}


def _clean(value: Any) -> Any:
    """Without characters that FHIR's strings may not hold; texts come from anywhere."""
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(v) for v in value]
    if isinstance(value, str):
        return "".join(c if c.isprintable() or c == "\n" else " " for c in value).strip()
    return value
