"""The node's reading and its start, in this process: files that are away, kills, what waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from dicom_films import dicom_film
from firstread import Reader
from firstread.clinic import node as module
from firstread.clinic.deliver import Peer, is_at
from firstread.clinic.journal import FAILED, READ, RECEIVED, SENT
from firstread.clinic.listener import Listener
from firstread.clinic.node import Node, Settings
from firstread.clinic.queue import RESERVE, TRIES, Queue
from firstread.errors import OutputError
from firstread.read import dicom_out
from firstread.read import reader as reader_room
from firstread.read.dicom_out import is_anonymous
from nodes import bundle, until
from peers import free_port

__all__ = ["bundle"]  # a fixture


class Begin:
    """Starts nodes on one queue, one after another; each gives itself and its log."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self._folder, self._reader = folder, Reader(bundle)
        self._ends = contextlib.ExitStack()

    def __call__(self, **settings: Any) -> tuple[Node, list[str]]:
        self.end()
        log = list[str]()
        node = Node(Settings(self._folder, **{"port": 0} | settings), self._reader, log.append)
        self._ends.callback(node.stop)
        return node, log

    def end(self) -> None:
        """Stop the one that runs."""
        self._ends.close()


@pytest.fixture
def begin(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # a node sets its own
    monkeypatch.setattr(module, "PAUSE", 0.1)
    made = Begin(tmp_path / "q", bundle)
    yield made
    made.end()


@pytest.fixture
def archive() -> Iterator[tuple[Peer, list[str]]]:
    """A peer that must be called by its name, and the UIDs of what it got."""
    got: list[str] = []

    def store(event: Any) -> int:
        got.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    ae = AE(ae_title="ARCHIVE")
    ae.require_called_aet = True
    for kind in (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
        ae.add_supported_context(kind)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    yield Peer("ARCHIVE", "127.0.0.1", server.socket.getsockname()[1]), got
    server.shutdown()


def put(folder: Path, *seeds: int, begun: int = 0) -> list[Path]:
    """Films in the queue, the first of them begun so many times before."""
    queue = Queue(folder / "q")
    keys = [queue.take(f"1.2.{seed}", dicom_film(seed, size=64)).key for seed in seeds]
    for _ in range(begun):
        assert queue.next_film() is not None
    queue.close()
    return [queue.film(key) for key in keys]


def has(log: list[str], text: str) -> bool:
    return any(text in line for line in list(log))


def test_a_film_whose_file_is_away_is_waited_for_while_others_are_read(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = put(tmp_path, 1, 2)
    first.rename(tmp_path / "away")
    looks: list[str] = []
    put_off = Queue.put_off

    def looked(queue: Queue, key: str) -> None:
        looks.append(key)
        put_off(queue, key)

    monkeypatch.setattr(Queue, "put_off", looked)
    node, log = begin()
    until(lambda: node.queue.counts().get(READ) == 1)
    until(lambda: len(looks) > 2 * TRIES)
    (tmp_path / "away").rename(first)
    until(lambda: node.queue.counts() == {READ: 2}, lambda: str(log))
    assert sum("cannot be opened" in line for line in log) == 1


def test_a_file_that_does_not_come_back_is_the_reason(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY", 0.3)
    (gone,) = put(tmp_path, 1)
    gone.unlink()
    node, log = begin()
    why = "its file cannot be opened (No such file"
    until(lambda: has(log, f"failed film={gone.stem[:12]}: {why}"))
    assert node.queue.counts() == {FAILED: 1}


def test_no_results_are_begun_in_the_room_that_sending_needs(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that waited for a peer filled the disk to its end; when the peer was back, none could
    be put down as sent, so none was sent, and none deleted."""
    put(tmp_path, 1)
    free = [RESERVE // 2 - 1]
    monkeypatch.setattr(Queue, "_free", lambda queue: free[0])
    node, log = begin()
    until(lambda: has(log, "waiting for room to write results"))
    assert node.queue.counts() == {RECEIVED: 1}
    assert list(node.queue.results.iterdir()) == []
    node.queue.check_room()  # what waits may be sent
    free[0] += 1
    until(lambda: node.queue.counts() == {READ: 1}, lambda: str(log))


def test_a_film_begun_three_times_is_read_after_all_others(begin: Begin, tmp_path: Path) -> None:
    """The kills may have had another cause."""
    first, *others = put(tmp_path, 1, 2, 3, begun=3)
    node, log = begin()
    until(lambda: node.queue.counts() == {READ: 3}, lambda: str(log))
    read = [line.split()[1] for line in log if line.startswith("read ")]
    assert read == [f"film={path.stem[:12]}" for path in (*others, first)]


def test_a_film_begun_after_all_others_and_never_ended_is_set_aside(
    begin: Begin, tmp_path: Path
) -> None:
    (film,) = put(tmp_path, 1, begun=4)
    node, log = begin()
    until(lambda: has(log, "its reading was begun 4 times and never ended; it is kept as"))
    assert node.queue.counts() == {FAILED: 1}
    assert film.exists()


@pytest.mark.parametrize("where", ["reader", "results", "files"])
def test_what_ran_out_leaves_the_film_in_the_queue(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The film was "rejected" or failed for good; a report that said so was sent."""
    monkeypatch.setattr(module, "AWAY", 0.2)
    put(tmp_path, 1)
    errors = {"reader": MemoryError(), "results": MemoryError(), "files": OSError(24, "x")}
    place, name = {
        "reader": (reader_room, "preprocess"),
        "results": (dicom_out, "results"),
        "files": (Path, "read_bytes"),
    }[where]
    tried = []

    def short(*_: object) -> None:
        tried.append(0)
        raise errors[where]

    with monkeypatch.context() as scarce:
        scarce.setattr(place, name, short)
        node, log = begin()
        until(lambda: len(tried) > 5)  # longer than `AWAY`: but no other film was read meanwhile
    until(lambda: node.queue.counts() == {READ: 1}, lambda: str(log))
    assert sum("waiting film=" in line for line in log) == 1
    assert has(log, "too many files" if where == "files" else "not enough memory")
    for file in node.queue.results.glob("*/*.dcm"):
        assert "rejected" not in str(pydicom.dcmread(file))


def test_a_film_for_which_there_is_no_memory_when_others_are_read_is_set_aside(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AWAY", 0.3)
    first, _ = put(tmp_path, 1, 2)
    whole = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == first:
            raise MemoryError
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    node, log = begin()
    until(lambda: node.queue.counts() == {FAILED: 1, READ: 1}, lambda: str(log))
    assert has(log, "not enough memory")
    assert first.exists()
    assert node.broken() is None


def test_a_thread_that_ended_unasked_is_told(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = begin()
    assert node.broken() is None
    monkeypatch.setattr(Node, "_read_all", lambda node: None)
    node, _ = begin()
    until(lambda: node.broken() == "read")


def test_where_nobody_looks_for_silent_senders_any_more_that_is_told(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them would keep one of the few places for good."""
    monkeypatch.setattr(Listener, "_watch_silence", lambda listener: None)
    node, _ = begin()
    until(lambda: node.broken() == "silence")


def test_the_same_peer_twice_gets_each_result_once(
    begin: Begin, tmp_path: Path, archive: tuple[Peer, list[str]]
) -> None:
    peer, got = archive
    put(tmp_path, 1, 2, 3)
    node, _ = begin(send=(peer, peer))
    until(lambda: node.queue.counts() == {SENT: 3})
    begin.end()
    assert len(got) == len(set(got)) == 6


@pytest.mark.parametrize("case", ["its name has changed", "none was named", "a lost journal"])
def test_results_that_wait_for_nobody_are_told_and_sent_again(
    begin: Begin, tmp_path: Path, archive: tuple[Peer, list[str]], case: str
) -> None:
    peer, got = archive
    old = Peer("OLD", peer.host, peer.port)
    put(tmp_path, 1, 2)
    node, _ = begin(send=() if case == "none was named" else (old,))
    until(lambda: node.queue.counts() == {READ: 2})
    begin.end()
    if case == "a lost journal":
        for file in (tmp_path / "q").glob("journal.sqlite*"):
            file.unlink()
    node, log = begin(send=(peer,))
    moved = case == "its name has changed"
    assert has(
        log, f"4 results wait for {old}" if moved else "films whose results wait for nobody: 2"
    )
    assert has(log, "--resend")
    node, log = begin(send=(peer,), resend=True)
    assert has(log, "resend: 4 results")
    until(lambda: node.queue.counts() == {SENT: 2}, lambda: str(log))
    assert node.queue.peers() == {}
    assert len(set(got)) == len(got) == 4
    assert list((tmp_path / "q").rglob("*.dcm")) == []


@pytest.mark.parametrize(
    ("listen", "host"), [("127.0.0.1", "localhost"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1")]
)
def test_a_node_that_would_send_to_itself_does_not_start(
    begin: Begin, tmp_path: Path, listen: str, host: str
) -> None:
    """It took its own results with success, and dropped them."""
    port = free_port()
    with pytest.raises(OutputError, match="is this node itself"):
        begin(send=(Peer("ARCHIVE", host, port),), listen=listen, port=port)
    assert not (tmp_path / "q").exists()
    assert not is_at(Peer("ARCHIVE", host, port), listen, port + 1)
    assert not is_at(Peer("ARCHIVE", "192.0.2.1", port), listen, port)  # of nobody (RFC 5737)


@pytest.mark.parametrize("resend", [False, True])
def test_named_results_that_wait_are_not_sent_where_anonymous_ones_are_wanted(
    begin: Begin, tmp_path: Path, archive: tuple[Peer, list[str]], resend: bool
) -> None:
    """Anonymous ones of before are, and named ones of another address stop nothing."""
    peer, got = archive
    away = Peer("AWAY", peer.host, peer.port)
    for seed, anonymous in enumerate((False, True)):
        begin.end()
        put(tmp_path, seed)
        node, _ = begin(send=() if resend else (away,), anonymous=anonymous and resend)
        until(lambda node=node, seed=seed: node.queue.counts() == {READ: seed + 1})
    begin.end()
    named = [f for f in (tmp_path / "q" / "results").glob("*/*.dcm") if not is_anonymous(f)]
    told = rf"{len(named)} results in .*results name their patients .* without --anonymous"
    with pytest.raises(OutputError, match=told):
        begin(send=(peer if resend else away,), resend=resend, anonymous=True)
    begin(send=(peer,), anonymous=True)
    assert not got
    begin.end()
    for file in named:
        file.unlink()
    _, log = begin(send=(peer if resend else away,), resend=resend, anonymous=True)
    assert has(log, "results that wait name their patients")
    until(lambda: len(got) == 4 - len(named) or not resend)
    begin.end()  # before its archive: what calls one that is gone leaves a socket open
