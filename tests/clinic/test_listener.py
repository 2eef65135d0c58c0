"""The listener among senders that fall silent, hang up, send too much or are not wanted."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt, timer
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.transport import AssociationServer

from dicom_films import DX, dicom_film
from firstread.clinic import listener, storage
from firstread.clinic.listener import Listener
from firstread.clinic.queue import Queue
from firstread.errors import NotNow, OutputError
from nodes import until

Listen = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Start listeners; gives the port and the log of each."""
    with contextlib.ExitStack() as ends:

        def begin(**options: Any) -> tuple[int, list[str]]:
            log = list[str]()
            queue = Queue(tmp_path / "q")
            ends.callback(queue.close)
            made = Listener(
                queue,
                log.append,
                threading.Event(),
                address=("127.0.0.1", 0),
                aet="FIRSTREAD",
                **options,
            )
            ends.callback(made.stop)
            return made.port, log

        yield begin


def call(port: int, aet: str = "TEST", **options: Any) -> Association:
    ae = AE(ae_title=aet)
    ae.add_requested_context(DX)
    return ae.associate("127.0.0.1", port, **options)


def answers(port: int) -> bool:
    association = call(port)
    established = association.is_established
    if established:
        association.release()
    return established


def stalled(port: int, count: int) -> list[socket.socket]:
    """Senders that stop in the middle of a message."""
    sent: list[bytes] = []
    note = (evt.EVT_DATA_SENT, lambda event: sent.append(bytes(event.data)))
    call(port, evt_handlers=[note]).release()
    senders = []
    for _ in range(count):
        sender = socket.create_connection(("127.0.0.1", port))
        sender.settimeout(30)
        sender.sendall(sent[0])  # the request of an association
        assert sender.recv(6)[:1] == b"\x02"  # it is accepted
        sender.sendall(b"\x04\0\0\0\x40\0" + bytes(100))  # 16,384 bytes of data, 100 of them here
        senders.append(sender)
    return senders


def ours() -> list[str]:
    """The threads that are there, but for the main one."""
    return [t.name for t in threading.enumerate() if t is not threading.main_thread()]


def status(association: Association, film: bytes) -> int:
    return int(association.send_c_store(pydicom.dcmread(io.BytesIO(film))).Status)


def test_senders_that_fall_silent_in_mid_message_lose_their_place(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST", 2)
    monkeypatch.setattr(listener, "SILENCE", 2.0)
    port, log = listen()
    senders = stalled(port, 2)
    until(lambda: answers(port))
    until(lambda: sum("after 2s of silence" in line for line in log) == 2, lambda: str(log))
    for sender in senders:
        sender.close()


def test_the_end_does_not_wait_for_a_silent_sender(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "GRACE", 0.2)
    log = list[str]()
    queue = Queue(tmp_path / "q")
    made = Listener(queue, log.append, threading.Event(), address=("127.0.0.1", 0), aet="FIRSTREAD")
    before = set(ours())
    senders = stalled(made.port, 3)
    made.stop()
    until(lambda: not set(ours()) - before, lambda: str(ours()))
    assert sum("as the node stops" in line for line in log) == 3
    assert len(log) == 3
    queue.close()
    for sender in senders:
        sender.close()


class Clock:
    """The time of day as pynetdicom's timers have it, which somebody may set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(timer, "time", self)

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_clock_that_is_put_forward_breaks_no_association_off(
    listen: Listen, clock: Clock
) -> None:
    """All that were open were, and the log said: by its sender."""
    port, log = listen()
    sender = call(port)
    sender.network_timeout = None  # of this side
    clock.ahead = 3600.0
    time.sleep(0.5)
    assert status(sender, dicom_film(1, size=32)) == 0
    sender.release()
    assert not any("broken off" in line for line in log)


def test_a_clock_that_is_put_back_keeps_no_place_for_idle_senders(
    listen: Listen, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST", 1)
    monkeypatch.setattr(listener, "SILENCE", 1.0)
    port, log = listen()
    sender = call(port)
    clock.ahead = -3600.0
    until(lambda: answers(port))
    assert sum("after 1s of silence" in line for line in log) == 1
    assert not any("by its sender" in line for line in log)
    until(lambda: not sender.is_established)


def test_a_socket_that_closes_while_it_is_broken_off_ends_no_watch() -> None:
    """It was there at one look and gone at the next; the thread that looks for silent senders
    ended, and from then on they kept their places."""
    one, other = socket.socketpair()
    looks = iter([one])
    closing = type("Closing", (), {"socket": property(lambda _: next(looks, None))})()
    done: list[str] = []
    dul = SimpleNamespace(socket=closing, kill_dul=lambda: done.append("killed"))
    association: Any = SimpleNamespace(dul=dul, abort=lambda block: done.append("aborted"))
    listener._break_off(association)
    assert done == ["aborted", "killed"]
    assert other.recv(1) == b""
    one.close()
    other.close()


def test_a_sender_whose_film_takes_long_to_keep_is_not_silent(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs is no fault of the sender's."""
    monkeypatch.setattr(listener, "SILENCE", 1.0)
    port, log = listen()
    take = Queue.take
    monkeypatch.setattr(Queue, "take", lambda *told: (time.sleep(3), take(*told))[1])
    sender = call(port)
    assert status(sender, dicom_film(1, size=32)) == 0
    sender.release()
    until(lambda: log)
    assert [line.split()[0] for line in log] == ["received"]


def test_no_more_open_files_is_told_and_callers_come_in_later(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was said; callers waited, and the thread that takes them turned in circles."""
    tries: list[int] = []
    short = False
    accept = AssociationServer.get_request

    def get_request(server: AssociationServer) -> object:
        if short and len(tries) < 2:
            tries.append(0)
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(server)

    monkeypatch.setattr(AssociationServer, "get_request", get_request)
    port, log = listen()
    short, begun = True, time.monotonic()
    with socket.create_connection(("127.0.0.1", port)):
        until(lambda: len(tries) == 2)
        assert time.monotonic() - begun >= listener.REST
        assert answers(port)
    (line,) = (line for line in log if "callers" in line)
    assert "Too many open files" in line


def test_connections_that_ask_for_nothing_hold_no_place(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those by which a load balancer looks whether somebody listens."""
    monkeypatch.setattr(listener, "MOST", 2)
    port, _ = listen()
    for _ in range(8):
        socket.create_connection(("127.0.0.1", port)).close()
    end = time.monotonic() + listener.SILENCE / 2
    while not answers(port):
        assert time.monotonic() < end


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_thread_that_takes_connections_is_watched_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(tmp_path / "q")
    where = ("127.0.0.1", 0)
    made = Listener(queue, print, threading.Event(), address=where, aet="FIRSTREAD")
    assert len(made.threads) == 2
    assert all(thread.is_alive() for thread in made.threads)

    def broken(self: AssociationServer) -> None:
        raise MemoryError

    monkeypatch.setattr(AssociationServer, "service_actions", broken)
    until(lambda: not all(thread.is_alive() for thread in made.threads))
    made.stop()
    queue.close()


def test_a_port_that_this_user_may_not_have_is_for_a_person_to_change(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not `NotNow`, on which a service begins again for ever. Tests run as root, who may."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(OutputError, match="this user may not listen there; choose a --port") as e:
        listen()
    assert not isinstance(e.value, NotNow)


def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    where = {"address": ("192.168..1", 0), "aet": "FIRSTREAD"}
    with pytest.raises(OutputError, match=r"--listen 192\.168\.\.1: no address; give one of"):
        Listener(queue, print, threading.Event(), **where)
    queue.close()


def test_who_is_refused_and_why_is_told(listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST", 1)
    port, log = listen(allow=("TEST",))
    stranger = call(port, aet="MR 'X'")
    assert stranger.is_rejected
    calls: list[Association] = []

    def taken() -> bool:  # not at once: the stranger's place is given back by its own thread
        calls.append(call(port))
        return calls[-1].is_established

    until(taken)
    first = calls[-1]
    until(lambda: call(port).is_rejected and log[-1].endswith("1 others are open"))
    first.abort()
    until(lambda: any("broken off" in line for line in log))
    assert log[0] == (
        """refused an association of aet="MR 'X'" address=127.0.0.1: """
        "its AE title is not allowed"
    )
    assert log[1] == ("refused an association of aet='TEST' address=127.0.0.1: 1 others are open")
    assert log[-1] == "broken off: an association of aet='TEST' address=127.0.0.1, by its sender"


@pytest.mark.parametrize("place", [listener, storage], ids=["as it comes", "when it is here"])
def test_what_is_larger_than_any_film_is_refused_for_good(
    listen: Listen, monkeypatch: pytest.MonkeyPatch, place: Any
) -> None:
    """0xA700, out of resources, would have it sent again and again."""
    monkeypatch.setattr(place, "LARGEST", 100_000)
    port, log = listen()
    sender = call(port)
    assert status(sender, dicom_film(1, size=400)) == 0xC000
    assert "larger than any film" in log[-1]
    assert status(sender, dicom_film(2, size=32)) == 0
    sender.release()


def test_a_film_is_known_by_the_same_key_in_every_version(listen: Listen, tmp_path: Path) -> None:
    """Another one would have all that archives send again read again."""
    port, _ = listen()
    film = pydicom.dcmread(io.BytesIO(dicom_film(1, size=32)))
    ae = AE()
    ae.add_requested_context(DX, ExplicitVRLittleEndian)
    sender = ae.associate("127.0.0.1", port)
    assert sender.send_c_store(film).Status == 0
    sender.release()
    body = encode(film, is_implicit_vr=False, is_little_endian=True) or b""
    name = hashlib.sha256(film.SOPInstanceUID.encode()).hexdigest()[:24]
    mark = hashlib.sha256(ExplicitVRLittleEndian.encode() + b"\0" + body).hexdigest()[:24]
    assert [p.name for p in (tmp_path / "q/films").iterdir()] == [f"{name}-{mark}.dcm"]


def test_a_film_for_which_there_is_no_memory_may_be_sent_again(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0xC000 would say that the film is broken."""

    def none_left(data: bytes) -> None:
        raise MemoryError

    port, log = listen()
    sender = call(port)
    with monkeypatch.context() as short:
        short.setattr(storage, "CountedBytes", none_left)
        assert status(sender, dicom_film(1, size=32)) == 0xA700
    assert "no memory for it now" in log[-1]
    assert status(sender, dicom_film(1, size=32)) == 0
    sender.release()
