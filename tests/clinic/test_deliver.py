"""Sending results on to an archive that takes some and refuses others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import SecondaryCaptureImageStorage

from dicom_films import dicom_film
from firstread.clinic import deliver
from firstread.clinic.deliver import Deliverer, Peer
from firstread.clinic.queue import Queue

REFUSED = "1.2.3.1"


class Archive:
    """A DICOM node that refuses one study's results; what it took is in `got`."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.asked: list[str] = []
        node = AE()
        node.add_supported_context(SecondaryCaptureImageStorage)
        self._server = node.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        self.port = self._server.socket.getsockname()[1]

    def _store(self, event: Any) -> int:
        who = str(event.dataset.StudyInstanceUID)
        self.asked.append(who)
        if who == REFUSED:
            return 0xA900
        self.got.append(who)
        return 0x0000

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    made.close()


def result(queue: Queue, study: str, peer: Peer) -> None:
    """A film in the queue whose result waits for `peer`."""
    taken = queue.take(study, study.encode())
    assert queue.next_film() is not None
    file = queue.place(taken.key) / "r.dcm"
    kind = SecondaryCaptureImageStorage
    file.write_bytes(dicom_film(size=32, SOPClassUID=kind, StudyInstanceUID=study))
    queue.done(taken.key, [file], [str(peer)])


def wait_for(true: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_refused_result_holds_up_no_later_one(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 1e6)  # as after a night of refusals
    monkeypatch.setattr(deliver, "LONGEST_PAUSE", 1e6)
    monkeypatch.setattr(deliver, "LOOK", 0.05)
    queue, stop, log = Queue(tmp_path / "q"), threading.Event(), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, REFUSED, peer)
    thread = Deliverer(queue, peer, "FIRSTREAD", log.append, stop)
    thread.start()
    try:
        wait_for(lambda: archive.asked == [REFUSED])
        result(queue, "1.2.3.2", peer)
        wait_for(lambda: archive.got == ["1.2.3.2"])
        wait_for(lambda: queue.peers() == {str(peer): 1})
        assert archive.asked.count(REFUSED) == 1
        assert sum("refused" in line for line in log) == 1
    finally:
        stop.set()
        thread.join(10)
        queue.close()


def test_what_was_refused_is_offered_again(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(deliver, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(deliver, "LOOK", 0.05)
    queue, stop = Queue(tmp_path / "q"), threading.Event()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, REFUSED, peer)
    thread = Deliverer(queue, peer, "FIRSTREAD", lambda line: None, stop)
    thread.start()
    try:
        wait_for(lambda: len(archive.asked) >= 3)
    finally:
        stop.set()
        thread.join(10)
        queue.close()
