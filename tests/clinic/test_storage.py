"""What the node takes, and what it passes over: whole studies, and results of ours in them."""

from __future__ import annotations

import copy
import io
import json
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContextTuple

from bundles import tiny_bundle
from dicom_films import ID, NAME, dicom_film
from firstread import Reader
from firstread.clinic.storage import DX, NO_FILMS, SC, Arrival, look_at
from firstread.read.dicom_out import is_own, write_results
from nodes import NodeProcess, Start, bundle, start, until
from peers import Orthanc, orthanc

__all__ = ["bundle", "orthanc", "start"]  # fixtures

OURS = "firstread, machine reading, unverified"


def written(ds: pydicom.Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def beside(film: bytes, kind: str, number: int) -> pydicom.Dataset:
    """An object of `kind` in the study of `film`, as bare as an archive takes it."""
    of = pydicom.dcmread(io.BytesIO(film))
    ds = pydicom.Dataset()
    for name in ("SpecificCharacterSet", "StudyInstanceUID", "PatientName", "PatientID"):
        ds[name] = of[name]
    ds.SOPClassUID, ds.SOPInstanceUID = kind, f"{of.StudyInstanceUID}.9.{number}"
    ds.SeriesInstanceUID, ds.Modality = f"{of.StudyInstanceUID}.8.{number}", "OT"
    return ds


def test_a_film_is_copied_once_as_it_comes_in() -> None:
    """Thirty-two senders at once each hold what is copied here."""
    film = pydicom.dcmread(io.BytesIO(dicom_film(1, size=2000)))
    request = C_STORE()
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = DX, film.SOPInstanceUID
    request.DataSet = io.BytesIO(encode(film, False, True) or b"")
    ae = SimpleNamespace(implementation_class_uid="1.2.3", implementation_version_name="X")
    context = PresentationContextTuple(1, UID(DX), ExplicitVRLittleEndian)
    told = {"request": request, "context": context}
    event = Event(SimpleNamespace(ae=ae), evt.EVT_C_STORE, told)  # type: ignore[arg-type]
    assert isinstance(look_at(event), Arrival)  # what is imported then counts for no film
    tracemalloc.start()
    found = look_at(event)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, Arrival)
    assert most < 1.3 * len(found.data)


# Results of ours


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> pydicom.Dataset:
    """A secondary capture of ours."""
    folder = tmp_path_factory.mktemp("own")
    data = dicom_film(1)
    opinion = Reader(tiny_bundle(folder / "bundle")).read(data)
    _, capture = write_results(opinion, data, folder)
    return pydicom.dcmread(capture)


def changed(ds: pydicom.Dataset, changes: dict[str, Any]) -> pydicom.Dataset:
    """A copy with attributes set by keyword; None takes one away."""
    ds = copy.deepcopy(ds)  # pydicom.Dataset(ds) would share the elements
    for name, value in changes.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"SeriesDescription": "DERIVED"},  # an archive that names series its own way
        {"SeriesDescription": None, "DeviceSerialNumber": None, "SeriesInstanceUID": "1.2.3"},
        {"Manufacturer": "FIRSTREAD "},
        {"Manufacturer": "Archive Ltd", "SeriesDescription": "DERIVED"},
    ],
    ids=["as made", "renamed", "anonymised", "upper case", "another manufacturer"],
)
def test_a_picture_of_ours_is_known_whatever_an_archive_changed(
    picture: pydicom.Dataset, changes: dict[str, Any]
) -> None:
    assert is_own(changed(picture, changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"Manufacturer": "Maker", "SeriesInstanceUID": "1.2.3"},
        {"Manufacturer": None, "SeriesInstanceUID": "1.2.3", "SeriesDescription": OURS},
        {"SOPClassUID": DX},  # we make no film
    ],
)
def test_a_film_is_not_taken_for_a_picture_of_ours(
    picture: pydicom.Dataset, changes: dict[str, Any]
) -> None:
    assert not is_own(changed(picture, changes))
    assert not is_own(pydicom.dcmread(io.BytesIO(dicom_film(1))))


# What is no film


def test_what_is_no_film_is_answered_with_success_and_dropped(start: Start, tmp_path: Path) -> None:
    from pynetdicom import AE

    node = start()
    film = dicom_film(1)
    ae = AE()
    for kind in NO_FILMS:
        ae.add_requested_context(kind, DeflatedExplicitVRLittleEndian)
    sender = ae.associate("127.0.0.1", node.port)
    assert {c.abstract_syntax for c in sender.accepted_contexts} == set(NO_FILMS)
    for i, kind in enumerate(NO_FILMS):
        made = written(beside(film, kind, i), DeflatedExplicitVRLittleEndian)
        assert sender.send_c_store(pydicom.dcmread(io.BytesIO(made))).Status == 0
    sender.release()
    node.wait("passed over", len(NO_FILMS))
    node.end()
    assert node.count("passed over 1 object, X-Ray Radiation Dose SR Storage: no film") == 1
    assert node.count("received") == 0
    assert [p for name in ("films", "results") for p in (node.queue / name).iterdir()] == []
    of = pydicom.dcmread(io.BytesIO(film))
    for secret in (*NAME.replace("=", "^").split("^"), ID, of.StudyInstanceUID):
        assert secret not in node.log


# Whole studies, with a real archive


def between(start: Start, orthanc: Orthanc) -> NodeProcess:
    """A node that sends its results to the archive, which knows it and may send it films."""
    node = start("--send", f"ORTHANC@127.0.0.1:{orthanc.dicom}")
    entry = {"AET": "FIRSTREAD", "Host": "127.0.0.1", "Port": node.port}
    orthanc.put("/modalities/firstread", json.dumps(entry).encode())
    return node


def upload(orthanc: Orthanc, data: bytes) -> str:
    """Put an object into the archive; the archive's name of its study."""
    return str(json.loads(orthanc.post("/instances", data))["ParentStudy"])


def kinds(orthanc: Orthanc, study: str) -> list[str]:
    """The classes of what the archive has of a study."""
    held = json.loads(orthanc.get(f"/studies/{study}/instances")[0])
    return sorted(
        orthanc.get(f"/instances/{one['ID']}/metadata/SopClassUid")[0].decode() for one in held
    )


def send(orthanc: Orthanc, study: str) -> int:
    """Send a whole study; how many objects were sent. Raises where the archive gave up."""
    job = {"Resources": [study], "Synchronous": True}
    done = orthanc.post("/modalities/firstread/store", json.dumps(job).encode())
    answer = json.loads(done)
    assert answer["FailedInstancesCount"] == 0
    return int(answer["InstancesCount"])


def test_a_whole_study_is_sent_and_its_film_read_once(
    start: Start, orthanc: Orthanc, tmp_path: Path
) -> None:
    """The film, its results, and whatever else an archive keeps of a study, again and again."""
    node = between(start, orthanc)
    study_uid = "1.2.826.0.1.3680043.8.498.701"
    film = dicom_film(701, StudyInstanceUID=study_uid, PatientID="WHOLE-1")
    for i, kind in enumerate(NO_FILMS):
        upload(orthanc, written(beside(film, kind, i)))
    study = upload(orthanc, film)
    assert send(orthanc, study) == len(NO_FILMS) + 1
    node.wait("sent", 2)
    whole = sorted([*NO_FILMS, DX, "1.2.840.10008.5.1.4.1.1.88.33", SC])
    assert kinds(orthanc, study) == whole
    for times in (1, 2):
        assert send(orthanc, study) == len(whole)
        node.wait("received .* again: known", times)
    node.end()
    assert node.count("read") == node.count("received .* bytes=") == 1
    assert node.count("passed over .* a result of ours") == 2
    assert node.count("passed over 1 object, Comprehensive SR Storage") == 5
    assert node.count("passed over") == 3 * len(NO_FILMS) + 2 * 2
    assert node.count("refused film") == node.count("failed") == 0
    assert kinds(orthanc, study) == whole
    assert list(node.queue.rglob("*.dcm")) == []


def test_an_archive_that_forwards_all_it_gets_goes_round_no_circle(
    start: Start, orthanc: Orthanc, tmp_path: Path
) -> None:
    node = between(start, orthanc)
    forward = b"function OnStoredInstance(id) SendToModality(id, 'firstread') end"
    orthanc.post("/tools/execute-script", forward)
    try:
        studies = set()
        for i in range(3):
            uid = f"1.2.826.0.1.3680043.8.498.80{i}"
            film = dicom_film(800 + i, StudyInstanceUID=uid, PatientID=f"ROUND-{i}")
            studies.add(upload(orthanc, film))
        node.wait("passed over", 6)  # each film's report and picture, forwarded in their turn
        time.sleep(2)  # for what would follow
    finally:
        orthanc.post("/tools/execute-script", b"OnStoredInstance = nil")
    node.end()
    assert node.count("read") == node.count("received") == 3
    assert node.count("sent") == node.count("passed over") == 6
    for study in studies:
        assert len(kinds(orthanc, study)) == 3
    assert node.count("refused film") == node.count("failed") == 0


def test_an_anonymised_study_comes_back_without_its_pictures_being_read(
    start: Start, orthanc: Orthanc, tmp_path: Path
) -> None:
    """The archive's own anonymising takes UIDs and descriptions away; the film is a new one."""
    node = between(start, orthanc)
    uid = "1.2.826.0.1.3680043.8.498.901"
    study = upload(orthanc, dicom_film(901, StudyInstanceUID=uid, PatientID="ANON-1"))
    send(orthanc, study)
    node.wait("sent", 2)
    until(lambda: len(kinds(orthanc, study)) == 3)
    done = orthanc.post(f"/studies/{study}/anonymize", b'{"Synchronous": true}')
    assert send(orthanc, json.loads(done)["ID"]) == 3
    node.wait("read", 2)
    node.end()
    assert node.count("received") == 2
    assert node.count("passed over") == 2
