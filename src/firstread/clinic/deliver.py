"""Sending results on: each peer gets each result, however long it is away.

One thread a peer, so that one that is down does not hold up another. A result leaves the queue
when the peer has answered "success" (or "stored, with a warning"); if we are stopped between its
answer and our note of it, it is sent again, and is the same object with the same UID, which an
archive takes for what it has already.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstread.clinic.queue import Delivery, Note, Queue
from firstread.errors import OutputError

if TYPE_CHECKING:
    from pynetdicom.association import Association

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between tries: the first, then each twice the one before, up to the longest."""

LOOK = 0.5
"""Seconds between looks into a queue that was empty."""

PATIENCE = 30.0
"""Seconds that a peer may take for an answer."""

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


@dataclass
class _Done:
    """What came of one association: how many results the peer took, what kept us from going on,
    and the last result that it would not have."""

    sent: int = 0
    trouble: str | None = None
    refused: str | None = None


class Deliverer(threading.Thread):
    """Sends what waits for `peer` until `stop` is set; then ends after the result under way.

    `aet`: what we call ourselves. `note`: takes lines for the log.
    """

    def __init__(self, queue: Queue, peer: Peer, aet: str, note: Note, stop: threading.Event):
        super().__init__(name=f"deliver to {peer}", daemon=True)
        self._queue, self._peer, self._aet, self._note = queue, peer, aet, note
        # Not `_stop`: threading.Thread has one of its own.
        self._stopped = stop

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
            if done.trouble is not None:
                pause = FIRST_PAUSE if done.sent else pause
                self._wait_note(pause, done.trouble)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if done.refused is not None:
                self._wait_note(refusal, done.refused)
                again = time.monotonic() + refusal
                refusal = min(2 * refusal, LONGEST_PAUSE)
            elif not new:
                refusal = FIRST_PAUSE
            if not done.sent:
                self._stopped.wait(LOOK)

    def _wait_note(self, pause: float, why: str) -> None:
        self._note(f"waiting peer={self._peer} next_try={pause:.0f}s: {why}")

    def _send(self, batch: list[Delivery]) -> _Done:
        """Send over one association."""
        from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
        from pynetdicom import AE
        from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
            ComprehensiveSRStorage,
            SecondaryCaptureImageStorage,
        )

        ae = AE(ae_title=self._aet)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = PATIENCE
        for kind in (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
            ae.add_requested_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        association = ae.associate(self._peer.host, self._peer.port, ae_title=self._peer.aet)
        if not association.is_established:
            why = "turned us away" if association.is_rejected else "does not answer"
            return _Done(trouble=f"it {why}")
        done = _Done()
        try:
            for delivery in batch:
                if self._stopped.is_set():
                    break
                if not association.is_established:
                    done.trouble = "it broke off"
                    break
                self._store(association, delivery, done)
        finally:
            if association.is_established:
                association.release()
        return done

    def _store(self, association: Association, delivery: Delivery, done: _Done) -> None:
        """Send one result, and put down in `done` how it went."""
        name = delivery.key.split("-")[0][:12]
        if not delivery.file.exists():
            self._note(f"lost film={name}: a result was deleted from the queue; not sent")
            self._queue.delivered(delivery)
            done.sent += 1
            return
        try:
            answer = association.send_c_store(delivery.file)
        except Exception as e:  # no context was accepted, or the file was changed
            self._queue.refused(delivery)
            done.refused = f"film={name} cannot be sent to it ({type(e).__name__})"
            return
        status = answer.get("Status")
        if status is None:
            done.trouble = "it broke off or gave no answer"
        elif status == 0x0000 or 0xB000 <= status <= 0xBFFF:
            self._queue.delivered(delivery)
            self._note(f"sent film={name} peer={self._peer}")
            done.sent += 1
        else:
            self._queue.refused(delivery)
            done.refused = f"it refused film={name} with status 0x{status:04X}"
