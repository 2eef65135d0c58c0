"""The opinion as a Comprehensive SR by template TID 1500 (PS3.16), which viewers and archives read.

It is marked for what it is: UNVERIFIED and PRELIMINARY, observed by a device, with the
algorithm, its version and the bundle named. One measurement group on the film holds the finding
(SNOMED CT 233604007, pneumonia), whether it is there, how sure the model is and where the
threshold lies, and the rest in words. Presence is coded thus:

    "pneumonia"     Present (SCT 52101004)
    "no pneumonia"  Absent (SCT 272519000)
    "refer"         Indeterminate (SCT 82334004)
    "rejected"      Presence Undetermined (DCM 121059), and no numbers

A rejected film is recorded too, else an archive could not tell "turned away" from "not read";
its document is PARTIAL, the others are COMPLETE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import firstread
from firstread.film.dicom import MAKER
from firstread.read.dicom_out.own import device
from firstread.read.dicom_out.uids import derive, without_clock
from firstread.read.digits import in_percent
from firstread.read.opinion import NO_PNEUMONIA, PNEUMONIA, REFER, REJECTED, Opinion
from firstread.read.overlay import place
from firstread.read.page import place_in_words

if TYPE_CHECKING:
    import pydicom
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        ScoordContentItem,
    )

SERIES_NUMBER = 9301
SERIES_DESCRIPTION = "firstread, machine reading, unverified"

NOTICE = (
    "Machine finding, not verified by a person. firstread is not a medical device and must not "
    "be the basis of a diagnosis."
)

PRESENCE = {
    PNEUMONIA: ("52101004", "SCT", "Present"),
    NO_PNEUMONIA: ("272519000", "SCT", "Absent"),
    REFER: ("82334004", "SCT", "Indeterminate"),
    REJECTED: ("121059", "DCM", "Presence Undetermined"),
}
"""Value, scheme and meaning of the presence, by decision (CID 240 where it has one)."""


def report(
    opinion: Opinion,
    source: pydicom.Dataset,
    size: tuple[int, int] | None,
    series_uid: str,
    instance_uid: str,
    remarks: tuple[str, ...] = (),
) -> pydicom.Dataset:
    """A Comprehensive SR on one film.

    `source`: from `source_of`. `size`: (rows, columns) of the film, for the point where the
    model saw most for pneumonia, or None to leave it out. `remarks`: more sentences for the end.
    """
    from highdicom.sr import ComprehensiveSR, MeasurementReport
    from pydicom.sr.coding import Code

    tree = MeasurementReport(
        observation_context=_observer(opinion),
        procedure_reported=Code("399208008", "SCT", "Plain X-ray of chest"),
        imaging_measurements=[_group(opinion, source, size, remarks)],
    )
    document = ComprehensiveSR(
        evidence=[source],
        content=tree[0],
        series_instance_uid=series_uid,
        series_number=SERIES_NUMBER,
        sop_instance_uid=instance_uid,
        instance_number=int(source.InstanceNumber),
        **device(opinion),
        series_description=SERIES_DESCRIPTION,
        is_complete=opinion.decision != REJECTED,
        is_final=False,
        is_verified=False,
        content_date=str(source.ContentDate),
        content_time=str(source.ContentTime),
    )
    without_clock(document)
    if "TimezoneOffsetFromUTC" in source:
        document.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    if opinion.decision == REJECTED:
        document.CompletionFlagDescription = "the film was not read; the reasons are in the text"
    return document


def _observer(opinion: Opinion) -> ObservationContext:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes

    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=derive("device", opinion.bundle, opinion.bundle_sha256),
                name="firstread",
                manufacturer_name=MAKER,
                model_name=opinion.bundle or "none",
                serial_number=opinion.bundle_sha256 or "none",
            ),
        )
    )


def _group(
    opinion: Opinion,
    source: pydicom.Dataset,
    size: tuple[int, int] | None,
    remarks: tuple[str, ...],
) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501, and below it the words and the point, which its being extensible allows."""
    from highdicom.sr import (
        AlgorithmIdentification,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        RelationshipTypeValues,
        SourceImageForMeasurementGroup,
        TextContentItem,
        TrackingIdentifier,
    )
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    percent = Code("%", "UCUM", "Percent")
    measurements = None
    if opinion.decision != REJECTED and opinion.probability is not None:
        certainty, threshold = in_percent(opinion.probability, opinion.threshold)
        measurements = [
            Measurement(codes.DCM.CertaintyOfFinding, certainty, percent),
            Measurement(codes.DCM.ThresholdValue, threshold, percent),
        ]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive("finding", source.SOPInstanceUID, opinion.bundle_sha256),
            identifier="pneumonia",
        ),
        finding_type=Code("233604007", "SCT", "Pneumonia"),
        algorithm_id=AlgorithmIdentification(
            name="firstread",
            version=firstread.__version__,
            parameters=[f"bundle {opinion.bundle}", f"bundle sha256 {opinion.bundle_sha256}"],
            manufacturer=MAKER,
        ),
        measurements=measurements,
        qualitative_evaluations=[
            QualitativeEvaluation(
                Code("705057003", "SCT", "Presence"), Code(*PRESENCE[opinion.decision])
            )
        ],
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    inside = group[0].ContentSequence
    for sentence in sentences(opinion, remarks):
        inside.append(TextContentItem(codes.DCM.Comment, sentence, RelationshipTypeValues.CONTAINS))
    point = _strongest(opinion, size)
    if point is not None:
        inside.append(_marked(point, source))
    return group


def sentences(opinion: Opinion, remarks: tuple[str, ...] = ()) -> list[str]:
    """The opinion in words: decision, reasons, notes, place, notices; never the file's name."""
    lines = [f"Decision: {opinion.decision}.", *opinion.remarks]
    lines.append(place_in_words(opinion) or "")
    lines += [NOTICE, *opinion.notices, *remarks]
    return [line for line in lines if line]


def _strongest(opinion: Opinion, size: tuple[int, int] | None) -> tuple[float, float] | None:
    """(column, row) in pixels of the film of the strongest evidence for pneumonia, or None.

    Only where the opinion is that there is, or may be, some: elsewhere it marks nothing.
    """
    if opinion.heat is None or size is None or opinion.decision not in {PNEUMONIA, REFER}:
        return None
    found = place(opinion.heat, opinion.seen)
    return None if found is None else (found[0] * size[1], found[1] * size[0])


def _marked(point: tuple[float, float], source: pydicom.Dataset) -> ScoordContentItem:
    import pydicom
    from highdicom.sr import (
        GraphicTypeValues,
        RelationshipTypeValues,
        ScoordContentItem,
        SourceImageForRegion,
    )
    from pydicom.sr.codedict import codes

    item = ScoordContentItem(
        name=codes.DCM.Center,
        graphic_type=GraphicTypeValues.POINT,
        graphic_data=np.array([point]),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    film = SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
    item.ContentSequence = pydicom.Sequence([film])
    return item
