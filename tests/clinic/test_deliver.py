"""Sending results on to an archive that takes some, refuses others, and breaks off at some."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    Verification,
)

from dicom_films import dicom_film
from firstread.clinic import deliver
from firstread.clinic.deliver import Deliverer, Peer
from firstread.clinic.queue import Queue

REFUSED, BREAKS, SILENT, STUCK = "1.2.3.1", "1.2.3.6", "1.2.3.7", "1.2.3.8"


class Archive:
    """A DICOM node that refuses one study's results, breaks off at those of another, does not
    answer those of a third, and stops listening in the middle of the fourth's; what it took is in
    `got`."""

    def __init__(self, kind: str = SecondaryCaptureImageStorage, **settings: Any) -> None:
        self.got: list[str] = []
        self.asked: list[str] = []
        self.stuck = False
        self._closed = threading.Event()
        node = AE(ae_title="ARCHIVE")
        node.add_supported_context(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_DATA_RECV, self._hear)]
        self._server = node.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]

    def _hear(self, event: Any) -> None:
        if STUCK.encode() in event.data and not self.stuck:
            self.stuck = True
            self._closed.wait(60)

    def _store(self, event: Any) -> int:
        who = str(event.dataset.StudyInstanceUID)
        self.asked.append(who)
        if who == REFUSED:
            return 0xA900
        if who == BREAKS:
            event.assoc.abort()
        elif who == SILENT:
            self._closed.wait(60)
        else:
            self.got.append(who)
        return 0x0000

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    made.close()


@contextlib.contextmanager
def sending(queue: Queue, peer: Peer, note: Callable[[str], None]) -> Iterator[None]:
    """While a peer gets its results."""
    stop = threading.Event()
    thread = Deliverer(queue, peer, "FIRSTREAD", note, stop)
    thread.start()
    try:
        yield
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join(10)
        queue.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries."""
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(deliver, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(deliver, "LOOK", 0.05)


def result(queue: Queue, study: str, peer: Peer, size: int = 32) -> None:
    """A film in the queue whose result waits for `peer`."""
    taken = queue.take(study, study.encode())
    assert queue.next_film() is not None
    file = queue.place(taken.key) / "r.dcm"
    kind = SecondaryCaptureImageStorage
    file.write_bytes(dicom_film(size=size, SOPClassUID=kind, StudyInstanceUID=study))
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
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, REFUSED, peer)
    with sending(queue, peer, log.append):
        wait_for(lambda: archive.asked == [REFUSED])
        result(queue, "1.2.3.2", peer)
        wait_for(lambda: archive.got == ["1.2.3.2"])
        wait_for(lambda: queue.peers() == {str(peer): 1})
        assert archive.asked.count(REFUSED) == 1
        assert sum("refused" in line for line in log) == 1


def test_results_that_cannot_be_deleted_are_told_once(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    """Nobody heard of it before the next start."""
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    for study in ("1.2.3.2", "1.2.3.3"):
        result(queue, study, peer)

    def rmdir(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rmdir", rmdir)
    with sending(queue, peer, log.append):
        wait_for(lambda: sum("sent film=" in line for line in log) == 2)
    told = [line for line in log if line.startswith("left behind")]
    assert len(told) == 1
    assert "Operation not permitted" in told[0]


def test_what_was_refused_is_offered_again(tmp_path: Path, archive: Archive, quick: None) -> None:
    queue = Queue(tmp_path / "q")
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, REFUSED, peer)
    with sending(queue, peer, lambda line: None):
        wait_for(lambda: len(archive.asked) >= 3)


@pytest.mark.parametrize(
    ("study", "size", "why"),
    [
        (BREAKS, 32, "it broke off at film="),
        (SILENT, 32, "no answer in 1s at film="),
        (STUCK, 2000, "no answer in 1s at film="),  # more than a connection holds on its way
    ],
    ids=["breaks off", "is silent", "stops listening"],
)
def test_a_result_at_which_the_peer_fails_holds_up_no_other(
    tmp_path: Path,
    archive: Archive,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    study: str,
    size: int,
    why: str,
) -> None:
    monkeypatch.setattr(deliver, "PATIENCE", 1.0)
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, study, peer, size)
    for i in range(3):
        result(queue, f"1.2.4.{i}", peer)
    with sending(queue, peer, log.append):
        wait_for(lambda: {f"1.2.4.{i}" for i in range(3)} <= set(archive.got))
    assert why in next(line for line in log if line.startswith("waiting"))


def test_a_name_that_cannot_be_looked_up_is_tried_again(
    tmp_path: Path, archive: Archive, quick: None
) -> None:
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "::g", archive.port)  # no address, and no name either
    result(queue, "1.2.4.1", peer)
    with sending(queue, peer, log.append):
        wait_for(lambda: len(log) >= 2)
    assert all("its name or address cannot be found" in line for line in log)


def test_an_error_nobody_thought_of_is_tried_again(
    tmp_path: Path, archive: Archive, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, "1.2.4.1", peer)
    with monkeypatch.context() as broken:
        broken.setattr(queue, "delivered", lambda _: 1 / 0)
        with contextlib.ExitStack() as stack:
            stack.enter_context(sending(queue, peer, log.append))
            wait_for(lambda: any("unexpected (ZeroDivisionError)" in line for line in log))
            broken.undo()
            wait_for(lambda: queue.peers() == {})


def test_nothing_is_sent_that_cannot_be_noted(
    tmp_path: Path, archive: Archive, quick: None
) -> None:
    """On a full disk the peer would get the same result at each try."""
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, "1.2.4.1", peer)
    free = queue._free
    queue._free = lambda: 4096  # type: ignore[method-assign]
    with sending(queue, peer, log.append):
        wait_for(lambda: len(log) >= 2)
        assert archive.asked == []
        assert "the disk is nearly full" in log[0]
        queue._free = free  # type: ignore[method-assign]
        wait_for(lambda: queue.peers() == {})
    assert archive.got == ["1.2.4.1"]


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        ({"kind": ComprehensiveSRStorage}, "it takes no Secondary Capture Image Storage"),
        ({"kind": Verification}, "it takes neither reports nor pictures"),
        ({"require_called_aet": True}, "turned us away: Called AE title not recognised"),
    ],
    ids=["reports alone", "no results", "another name"],
)
def test_why_a_peer_takes_nothing_is_said(
    tmp_path: Path, quick: None, archive: dict[str, Any], why: str
) -> None:
    queue, log = Queue(tmp_path / "q"), list[str]()
    made = Archive(**archive)
    peer = Peer("ANY", "127.0.0.1", made.port)
    result(queue, "1.2.4.1", peer)
    try:
        with sending(queue, peer, log.append):
            wait_for(lambda: log)
    finally:
        made.close()
    assert why in log[0]


def test_a_result_that_is_never_answered_waits_alone(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it hide that another one was refused."""
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(deliver, "LONGEST_PAUSE", 1e6)
    monkeypatch.setattr(deliver, "LOOK", 0.05)
    queue, log = Queue(tmp_path / "q"), list[str]()
    peer = Peer("ANY", "127.0.0.1", archive.port)
    result(queue, REFUSED, peer)
    result(queue, BREAKS, peer)
    with sending(queue, peer, log.append):
        wait_for(lambda: any("broke off" in line for line in log))
        for i in range(3):
            result(queue, f"1.2.5.{i}", peer)
            wait_for(lambda i=i: archive.got[-1:] == [f"1.2.5.{i}"], 5)
        wait_for(lambda: any("refused film=" in line for line in log))
