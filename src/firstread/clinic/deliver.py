"""Sending results on: each peer gets each result, however long it is away.

One thread a peer, so that one that is down does not hold up another. A result leaves the queue
when the peer has answered "success" (or "stored, with a warning"); if we are stopped between its
answer and our note of it, it is sent again, and is the same object with the same UID, which an
archive takes for what it has already.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstread.clinic.queue import Delivery, Note, Queue
from firstread.clinic.storage import name_of
from firstread.errors import OutputError

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.events import Event

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between tries: the first, then each twice the one before, up to the longest."""

LOOK = 0.5
"""Seconds between looks into a queue that was empty."""

PATIENCE = 30.0
"""Seconds that a peer may take for an answer."""

RESULTS = (
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR, the report
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture, the picture
)
"""SOP classes of what is sent."""

_AET = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_PEER = re.compile(r"(?P<aet>[^@]+)@(?P<host>\[[^\]]+\]|[^:@\s]+):(?P<port>\d{1,5})")


def is_aet(text: str) -> bool:
    """Whether `text` can be an AE title: 1 to 16 ASCII characters, no backslash (PS3.5 6.2)."""
    return _AET.fullmatch(text) is not None


@dataclass(frozen=True)
class Peer:
    """A DICOM node that takes results: its AE title, host name or address, and port."""

    aet: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.aet}@{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Peer:
        """A peer from AET@HOST:PORT, an IPv6 address in brackets. Raises `ValueError`."""
        found = _PEER.fullmatch(text)
        if found is None or not is_aet(found["aet"]) or not 0 < int(found["port"]) < 65536:
            raise ValueError(f"{text!r} is not AET@HOST:PORT, as in ORTHANC@127.0.0.1:4242")
        return cls(found["aet"], found["host"].strip("[]"), int(found["port"]))


def is_at(peer: Peer, address: str, port: int) -> bool:
    """Whether `peer` is what listens on `address` and `port` of this machine."""
    if peer.port != port:
        return False
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(peer.host, peer.port)}
        heard = {str(info[4][0]) for info in socket.getaddrinfo(address, port)}
    except (OSError, UnicodeError):  # of a name server that is away, too
        return False
    return bool(found & heard) or (bool(heard & {"0.0.0.0", "::"}) and any(map(_is_here, found)))


def _is_here(address: str) -> bool:
    """Whether an address is one of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((address, 0))
    except OSError:
        return False
    return True


@dataclass
class _Done:
    """What came of one association: how many results the peer took, what kept us from going on,
    the last result that it would not have, and whether the association was cut off at that one."""

    sent: int = 0
    trouble: str | None = None
    refused: str | None = None
    cut: bool = False


class Deliverer(threading.Thread):
    """Sends what waits for `peer` until `stop` is set; then ends after the result under way.

    `aet`: what we call ourselves. `note`: takes lines for the log.
    """

    def __init__(self, queue: Queue, peer: Peer, aet: str, note: Note, stop: threading.Event):
        super().__init__(name=f"deliver to {peer}", daemon=True)
        self._queue, self._peer, self._aet, self._note = queue, peer, aet, note
        # Not `_stop`: threading.Thread has one of its own.
        self._stopped = stop
        self._said_left = False

    def run(self) -> None:
        """Send, pause, try again; what was refused waits by itself and holds up nothing new."""
        pause = refusal = FIRST_PAUSE
        again = 0.0
        while not self._stopped.is_set():
            new = time.monotonic() < again
            try:
                batch = self._queue.deliveries(str(self._peer), new)
                done = self._send(batch) if batch else _Done()
            except OutputError as e:
                done = _Done(trouble=str(e))
            except Exception as e:  # whatever it is, the next try may do better than no thread
                done = _Done(trouble=f"unexpected ({type(e).__name__})")
            if done.refused is not None:
                self._wait_note(refusal, done.refused)
                again = time.monotonic() + refusal
                refusal = min(2 * refusal, LONGEST_PAUSE)
            elif not new and done.trouble is None:
                refusal = FIRST_PAUSE
            if done.trouble is not None:
                pause = FIRST_PAUSE if done.sent else pause
                self._wait_note(pause, done.trouble)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if done.cut or not done.sent:
                self._stopped.wait(FIRST_PAUSE if done.cut else LOOK)

    def _delivered(self, delivery: Delivery) -> None:
        """Put it down as sent; a result that stays on the disk is told of once."""
        why = self._queue.delivered(delivery)
        if why is not None and not self._said_left:
            self._said_left = True
            self._note(
                f"left behind: results that are sent cannot be deleted from "
                f"{delivery.file.parent.parent} ({why}); the next start tries again (said once)"
            )

    def _wait_note(self, pause: float, why: str) -> None:
        self._note(f"waiting peer={self._peer} next_try={pause:.0f}s: {why}")

    def _send(self, batch: list[Delivery]) -> _Done:
        """Send over one association."""
        from pynetdicom import evt

        self._queue.check_room()  # what cannot be put down as sent would be sent again and again
        here: list[Any] = [(evt.EVT_CONN_OPEN, _give_patience)]
        try:
            association = self._caller().associate(
                self._peer.host, self._peer.port, ae_title=self._peer.aet, evt_handlers=here
            )
        except (socket.gaierror, UnicodeError):  # of a name server that is away, too
            return _Done(trouble="its name or address cannot be found")
        except OSError as e:
            return _Done(trouble=f"it cannot be called ({e.strerror})")
        if not association.is_established:
            return _Done(trouble=_why_not(association))
        done = _Done()
        try:
            for delivery in batch:
                if self._stopped.is_set() or done.cut:
                    break
                if not association.is_established:
                    done.trouble = "it broke off"
                    break
                self._queue.check_room()
                self._store(association, delivery, done)
        finally:
            if association.is_established:
                association.release()
        return done

    def _caller(self) -> AE:
        from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
        from pynetdicom import AE

        ae = AE(ae_title=self._aet)
        ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = PATIENCE
        ae.network_timeout = None  # by a clock that may be set; the socket has a limit of its own
        for kind in RESULTS:
            ae.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        return ae

    def _store(self, association: Association, delivery: Delivery, done: _Done) -> None:
        """Send one result, and put down in `done` how it went."""
        name = delivery.key.split("-")[0][:12]
        if not delivery.file.exists():
            self._note(f"lost film={name}: a result was deleted from the queue; not sent")
            self._delivered(delivery)
            done.sent += 1
            return
        begin = time.monotonic()
        try:
            answer = association.send_c_store(delivery.file)
        except Exception as e:  # no context was accepted, or the file was changed
            self._queue.refused(delivery)
            done.refused = f"film={name} cannot be sent to it: {_not_taken(association, e)}"
            return
        status = answer.get("Status")
        if status is None:
            # Perhaps at this result alone: the others come first from now on.
            self._queue.refused(delivery)
            late = time.monotonic() - begin >= PATIENCE
            why = f"no answer in {PATIENCE:.0f}s" if late else "it broke off"
            before = f"{done.refused}; " if done.refused else ""
            done.refused, done.cut = f"{before}{why} at film={name}", True
        elif status == 0x0000 or 0xB000 <= status <= 0xBFFF:
            self._delivered(delivery)
            self._note(f"sent film={name} peer={self._peer}")
            done.sent += 1
        else:
            self._queue.refused(delivery)
            done.refused = f"it refused film={name} with status 0x{status:04X}"


def _give_patience(event: Event) -> None:
    """Have a peer that stops taking bytes in the middle of a result not hold us for good."""
    event.assoc.dul.socket.socket.settimeout(PATIENCE)  # type: ignore[union-attr]  # it is open


def _why_not(association: Association) -> str:
    """Why there is no association, as far as the peer told it."""
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return f"it turned us away: {answer.reason_str}"
    if answer is not None and answer.result == 0:
        return "it takes neither reports nor pictures"
    return "it does not answer"


def _not_taken(association: Association, error: Exception) -> str:
    """Which kinds of results the peer does not take; else the error's name."""
    taken = {str(c.abstract_syntax) for c in association.accepted_contexts}
    missing = [name_of(kind) for kind in RESULTS if kind not in taken]
    if isinstance(error, ValueError) and missing:  # what pynetdicom says then
        return f"it takes no {' and no '.join(missing)}"
    return type(error).__name__
