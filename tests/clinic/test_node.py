"""The node among real processes: dcmtk sends, dcmtk and Orthanc get the results."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicom_films import DX, ID, NAME, dicom_film
from firstread.film.quiet import quiet
from nodes import Start, bundle, cut_after, start, store, storescp, until
from peers import Orthanc, free_port, orthanc, program, run

__all__ = ["bundle", "orthanc", "start"]  # fixtures

UID = "1.2.826.0.1.3680043.8.498."


def film(folder: Path, seed: int, **changes: Any) -> Path:
    path = folder / f"{seed}{'x' if changes else ''}.dcm"
    with quiet:  # of what is broken on purpose
        path.write_bytes(dicom_film(seed, **changes))
    return path


def as_report(sender: Any, path: Path) -> int:
    """The answer to a film that is sent on its own context under the name of a report."""
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.dsutils import encode

    ds = pydicom.dcmread(path)
    request = C_STORE()
    request.MessageID, request.Priority = 9, 2
    request.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"  # Basic Text SR
    request.AffectedSOPInstanceUID = ds.SOPInstanceUID
    request.DataSet = io.BytesIO(encode(ds, False, True) or b"")
    sender._reactor_checkpoint.clear()  # as pynetdicom's own send_c_store does
    while not sender._is_paused:
        time.sleep(0.01)
    sender.dimse.send_msg(request, sender.accepted_contexts[0].context_id)
    _, answer = sender.dimse.get_msg(block=True)
    sender._reactor_checkpoint.set()
    return int(answer.Status)


def sources(folder: Path) -> list[str]:
    """The films that the reports in a folder of storescp are on; also checks the pictures."""
    reports = [pydicom.dcmread(p) for p in sorted(folder.glob("SRc.*"))]
    pictures = [pydicom.dcmread(p) for p in sorted(folder.glob("SC.*"))]
    seen = [d.SourceImageSequence[0].ReferencedSOPInstanceUID for d in pictures]
    found = [
        d.CurrentRequestedProcedureEvidenceSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
        .ReferencedSOPInstanceUID
        for d in reports
    ]
    assert sorted(seen) == sorted(found)
    return sorted(found)


def test_films_come_in_and_results_go_out(start: Start, tmp_path: Path) -> None:
    with storescp(tmp_path / "in") as port:
        node = start("--send", f"PEER@127.0.0.1:{port}", "--aet", "READER")
        assert run("echoscu", "127.0.0.1", str(node.port)).returncode == 0
        films = [film(tmp_path, i) for i in range(3)]
        done = node.store(*films)
        assert done.returncode == 0, done.stderr
        node.wait("sent", 6)
        assert node.end() == 0
    assert sources(tmp_path / "in") == [f"{UID}{1000 + i}" for i in range(3)]
    assert list(node.queue.rglob("*.dcm")) == []  # nothing of a patient stays
    assert node.count("stopped") == 1
    assert node.count("echo") == 1


def test_nothing_about_a_patient_is_logged(start: Start, tmp_path: Path) -> None:
    with storescp(tmp_path / "in") as port:
        node = start("--send", f"PEER@127.0.0.1:{port}")
        node.store(film(tmp_path, 1), film(tmp_path, 2, StudyInstanceUID="no uid 20210304"))
        node.store(film(tmp_path, 3, PixelData=None))
        node.wait("sent", 2)
        node.wait("failed")
        node.wait("refused")
        node.end()
    for secret in (*NAME.replace("=", "^").split("^"), ID, "20210304", "2025060", UID, "no uid"):
        assert secret not in node.log


def test_the_same_film_again_is_read_once_and_other_bytes_are_kept(
    start: Start, tmp_path: Path
) -> None:
    node = start()
    first, other = film(tmp_path, 1), film(tmp_path, 2, SOPInstanceUID=f"{UID}1001")
    node.store(first, first)
    node.wait("read")
    node.end()
    node.start()
    node.store(first, other)
    node.wait("read", 2)
    node.end()
    assert node.count("received .* again: known") == 2
    assert node.count("differs") == 1
    assert node.count("read") == 2
    assert len(list((node.queue / "results").glob("*/*.dcm"))) == 4


def test_what_is_no_film_is_refused(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sender that sends files as they are, and says of them what their header says."""
    from pynetdicom import AE, _config

    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    node = start("--allow", "TEST,SECOND")
    ae = AE(ae_title="SECOND")
    for kind in (DX, DX + ".1", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"):
        ae.add_requested_context(kind)
    sender = ae.associate("127.0.0.1", node.port)
    assert [c.abstract_syntax for c in sender.accepted_contexts] == [DX]
    path = tmp_path / "sent.dcm"

    def status(data: bytes) -> int:
        path.write_bytes(data)
        return int(sender.send_c_store(path).Status)

    strange = pydicom.dcmread(film(tmp_path, 1))
    strange.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    strange.save_as(path)  # writes the header as it stands, unlike enforce_file_format
    assert status(path.read_bytes()) == 0xA900
    assert as_report(sender, film(tmp_path, 7)) == 0xA900
    good = dicom_film(2)
    head = 144 + int.from_bytes(good[140:144], "little")
    assert status(good[:head] + b"\xff" * 300) == 0xC000
    assert status(good[:head]) == 0xC000
    assert status(good) == 0
    sender.release()
    assert node.store(film(tmp_path, 3), aet="STRANGER").returncode != 0
    assert node.store(film(tmp_path, 3)).returncode == 0
    node.wait("read", 2)
    assert "For Processing: raw detector values" in node.log
    assert "CT Image Storage: no kind of film" in node.log
    assert "an unknown kind of object" in node.log
    assert "1.2.3.4" not in node.log


def test_a_film_without_results_is_kept_and_stops_no_other(start: Start, tmp_path: Path) -> None:
    node = start()
    bad = film(tmp_path, 1, StudyInstanceUID="1.2.abc")
    node.store(bad, film(tmp_path, 2))
    node.wait("read")
    assert node.count("failed") == 1
    node.end()
    (kept,) = (node.queue / "films").glob("*.dcm")
    assert pydicom.dcmread(kept).PixelData == pydicom.dcmread(bad).PixelData
    assert len(list((node.queue / "results").iterdir())) == 1  # no empty folder of the bad one


def test_a_film_that_failed_is_read_again_when_it_is_sent_again(
    start: Start, tmp_path: Path
) -> None:
    node = start()
    bad = film(tmp_path, 1, StudyInstanceUID="1.2.abc")
    node.store(bad)
    node.wait("failed")
    node.store(bad)
    node.wait("received .* again: it failed before and is read once more")
    node.wait("failed", 2)
    node.end()


def test_our_own_picture_coming_back_is_not_read(start: Start, tmp_path: Path) -> None:
    node = start()
    node.store(film(tmp_path, 1))
    node.wait("read")
    results = list((node.queue / "results").glob("*/*.dcm"))
    (picture,) = [p for p in results if "PixelData" in pydicom.dcmread(p)]
    assert node.store(picture).returncode == 0
    node.wait("passed over")
    assert node.count("received") == 1


def test_a_sender_that_breaks_off_in_mid_film(start: Start, tmp_path: Path) -> None:
    node = start()
    large = film(tmp_path, 1, size=800)
    with cut_after(node.port, large.stat().st_size // 2) as port:
        assert store(port, large).returncode != 0
    node.wait("broken off")
    assert node.count("received") == 0
    assert [*(node.queue / "films").iterdir()] == []
    assert node.store(large).returncode == 0
    node.wait("read")


def test_ten_associations_at_once(start: Start, tmp_path: Path) -> None:
    with storescp(tmp_path / "in") as port:
        node = start("--send", f"PEER@127.0.0.1:{port}")
        films = [[film(tmp_path, 3 * i + j) for j in range(3)] for i in range(10)]
        with ThreadPoolExecutor(10) as pool:
            done = list(pool.map(lambda some: node.store(*some, films[0][0]), films))
        assert [d.returncode for d in done] == [0] * 10
        node.wait("sent", 60)
        node.end()
    assert len(set(sources(tmp_path / "in"))) == 30
    assert node.count("read") == 30


def test_a_peer_that_is_away_gets_all_in_the_end(start: Start, tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    sends = ("--send", f"AWAY@127.0.0.1:{port}", "--send", f"HERE@127.0.0.1:{other}")
    with storescp(tmp_path / "here", other):
        node = start(*sends)
        node.store(film(tmp_path, 1))
        node.wait("sent", 2)
        node.wait(r"waiting peer=AWAY\S+ next_try=1s")
        node.wait(r"waiting peer=AWAY\S+ next_try=2s")
        assert len(list((node.queue / "results").glob("*/*.dcm"))) == 2
        node.end()
        node.start()
        with storescp(tmp_path / "away", port):
            node.wait("sent", 4)
        node.end()
    assert sources(tmp_path / "here") == sources(tmp_path / "away") == [f"{UID}1001"]
    assert list((node.queue / "results").iterdir()) == []


def test_sigterm_ends_what_is_under_way(start: Start, tmp_path: Path) -> None:
    node = start()
    films = [film(tmp_path, i) for i in range(12)]
    sender = subprocess.Popen(
        [program("storescu"), "-R", "127.0.0.1", str(node.port), *map(str, films)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    node.wait("read", 2)
    assert node.end() == 0
    assert sender.wait(60) == 0
    assert node.count("received") == 12
    node.start()
    node.wait("read", 12)
    node.end()
    assert node.count("read") == 12


def test_killed_at_any_moment_no_film_is_lost(start: Start, tmp_path: Path) -> None:
    """Each is sent in the end, or set aside: on a busy machine four kills may fall in the reading
    of one film, which the node then takes for the cause, and keeps for a person to look at."""
    with storescp(tmp_path / "in") as port:
        node = start("--send", f"PEER@127.0.0.1:{port}")
        films = [film(tmp_path, i, size=300) for i in range(10)]
        promised = 0
        with ThreadPoolExecutor(1) as pool:
            for i, pause in enumerate((0.0, 0.02, 0.1, 0.3, 0.6)):
                sent = node.count("received"), node.count("read"), node.count("sent")
                done = pool.submit(store, node.port, *films[2 * i : 2 * i + 2])
                # Kills fall in reception, in reading and in sending.
                until(
                    lambda before=sent: (
                        (node.count("received"), node.count("read"), node.count("sent")) != before
                    )
                )
                time.sleep(pause)
                node.end(signal.SIGKILL)
                promised += done.result().stdout.count("(Success)")
                promised += done.result().stderr.count("(Success)")
                node.start()
        assert promised >= 3
        # Those that were never promised. The others are known, or read again if set aside.
        node.store(*films)

        def aside() -> int:
            failed = node.count(r"failed film=\S+ its reading was begun 4 times")
            return failed - node.count(r"received film=\S+ again: it failed")

        until(
            lambda: len(set(sources_so_far(tmp_path / "in"))) + aside() == 10,
            lambda: node.log,
        )
        until(lambda: not list((node.queue / "results").iterdir()), lambda: node.log)
        node.end()
    kept = list(node.queue.rglob("*.dcm"))
    assert len(kept) == aside()
    assert len(sources(tmp_path / "in")) == 10 - len(kept)
    whole = {pydicom.dcmread(path).PixelData for path in films}
    assert all(pydicom.dcmread(path).PixelData in whole for path in kept)


def sources_so_far(folder: Path) -> list[str]:
    with contextlib.suppress(Exception):  # a file that is being written
        return sources(folder)
    return []


def test_a_full_disk_is_an_answer(start: Start, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(small)]
    try:
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a small file system cannot be mounted here")
    except OSError:
        pytest.skip("a small file system cannot be mounted here")
    try:
        node = start(folder=small)
        kept, late = film(tmp_path, 1), film(tmp_path, 2)
        assert node.store(kept).returncode == 0
        node.wait("read")
        ballast = small / "ballast"
        ballast.write_bytes(bytes(24 * 2**20))
        done = node.store(late)
        assert "0xa700" in (done.stdout + done.stderr).lower() or done.returncode != 0
        node.wait("refused .* status=0xA700")
        assert run("echoscu", "127.0.0.1", str(node.port)).returncode == 0
        ballast.unlink()
        assert node.store(late).returncode == 0
        node.wait("read", 2)
        assert node.end() == 0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_one_queue_and_one_port_have_one_node(start: Start, tmp_path: Path) -> None:
    node = start()
    with pytest.raises(AssertionError, match="another node uses this queue"):
        start()
    second = tmp_path / "second"
    second.mkdir()
    with pytest.raises(AssertionError, match="cannot be listened on"):
        start("--port", str(node.port), folder=second)


@pytest.mark.films
def test_real_films_from_the_archive_and_back(
    start: Start, tmp_path: Path, films_dir: Path, orthanc: Orthanc
) -> None:
    """Films lie in an Orthanc, are sent to the node by it, and their results come back to it."""
    node = start("--send", f"ORTHANC@127.0.0.1:{orthanc.dicom}")
    films = sorted((films_dir / "dicom").glob("*.dcm"))
    uploaded = [orthanc.post("/instances", path.read_bytes()) for path in films]
    before = json.loads(orthanc.get("/statistics")[0])["CountInstances"]
    node_entry = {"AET": "FIRSTREAD", "Host": "127.0.0.1", "Port": node.port}
    orthanc.put("/modalities/firstread", json.dumps(node_entry).encode())
    ids = json.dumps([json.loads(answer)["ID"] for answer in uploaded]).encode()
    orthanc.post("/modalities/firstread/store", ids)
    n = len({pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in films})
    node.wait("read", n)
    until(lambda: not list((node.queue / "results").iterdir()), lambda: node.log)
    after = json.loads(orthanc.get("/statistics")[0])["CountInstances"]
    assert after - before == node.count("sent")
    assert after - before >= n
    orthanc.post("/modalities/firstread/store", ids)
    node.wait("received .* again: known", n)
    assert node.end() == 0
    assert json.loads(orthanc.get("/statistics")[0])["CountInstances"] == after
    studies = {json.loads(orthanc.get(f"/instances/{json.loads(a)['ID']}/study")[0])["ID"]
               for a in uploaded}  # fmt: skip
    for study in studies:  # the results lie in the films' studies
        series = json.loads(orthanc.get(f"/studies/{study}/series")[0])
        assert "SR" in {s["MainDicomTags"]["Modality"] for s in series}
