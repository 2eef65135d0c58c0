"""The node's DICOM listener: it takes films into the queue, and lets no sender hold it up.

Each association has a thread and one of `MOST` places. So none may keep its place in silence, in
the middle of a message too, nor a connection that never becomes an association: what watches over
a service connects and closes, every few seconds.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, cast

from firstread.clinic.queue import Note, Queue, short
from firstread.clinic.storage import (
    BROKEN,
    LARGEST,
    NO_FILMS,
    NO_ROOM,
    SUCCESS,
    TAKEN,
    Refusal,
    TooLarge,
    look_at,
    name_of,
    readable_syntaxes,
    refused_kinds,
)
from firstread.errors import NotNow, OutputError

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

MOST = 32
"""Associations at once; further ones are told to come back."""

SILENCE = 60.0
"""Seconds without a byte after which a sender is taken for gone."""

LOOK = 0.5
"""Seconds between looks for such senders."""

REST, SAID = 1.0, 60.0
"""Seconds without a try where no connection can be taken, and without another line on it."""

GRACE = 10.0
"""Seconds that associations have to end by themselves when the node is to stop."""


class Listener:
    """Listens from the start on; sets `arrived` when there is a film to read.

    Raises `NotNow` where address or port cannot be had, `OutputError` where the port is one that
    this user may not listen on.
    """

    def __init__(
        self,
        queue: Queue,
        note: Note,
        arrived: threading.Event,
        *,
        address: tuple[str, int],
        aet: str,
        allow: tuple[str, ...] = (),
    ):
        self._queue, self._note, self._arrived = queue, note, arrived
        self._stopping = False
        self._heard: weakref.WeakKeyDictionary[Association, float] = weakref.WeakKeyDictionary()
        self._at_work: weakref.WeakSet[Association] = weakref.WeakSet()
        self._said, self._ended = -math.inf, threading.Event()
        others = set(threading.enumerate())
        self._server = self._listen(address, aet, allow)
        # The library starts the thread that takes connections and tells nobody which it is.
        self._accepting = [
            thread
            for thread in threading.enumerate()
            if thread not in others and thread.name.startswith("AcceptorServer")
        ]
        self.port = int(self._server.server_address[1])
        self._watch = threading.Thread(target=self._watch_silence, name="silence", daemon=True)
        self._watch.start()

    @property
    def threads(self) -> tuple[threading.Thread, ...]:
        """Those that are to run until `stop`, beside one an association."""
        return (self._watch, *self._accepting)

    def stop(self) -> None:
        """No new senders; those that are there may end what they send, then they are cut off."""
        self._ended.set()
        self._watch.join()
        self._server.shutdown()
        until = time.monotonic() + GRACE
        while self._server.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        self._stopping = True
        for association in self._server.active_associations:
            _break_off(association)

    def _listen(
        self, address: tuple[str, int], aet: str, allow: tuple[str, ...]
    ) -> ThreadedAssociationServer:
        from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt

        ae = AE(ae_title=aet)
        ae.maximum_associations = MOST
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = SILENCE
        ae.require_calling_aet = list(allow)
        ae.add_supported_context("1.2.840.10008.1.1")  # verification: C-ECHO
        syntaxes = readable_syntaxes()
        for kind in TAKEN:
            ae.add_supported_context(kind, syntaxes)
        for kind in NO_FILMS:  # in any syntax: nothing is decoded
            ae.add_supported_context(kind, ALL_TRANSFER_SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ABORTED, self._aborted),
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_CONN_CLOSE, _closed),
            (evt.EVT_PDU_RECV, self._hear),
        ]
        try:
            server = ae.start_server(address, block=False, evt_handlers=handlers)
        except PermissionError:
            raise OutputError(
                f"{address[0]}:{address[1]}: this user may not listen there; choose a --port from "
                "1024 on (11112 is DICOM's), or give the node CAP_NET_BIND_SERVICE"
            ) from None
        except UnicodeError:  # of a name that is none, before it is looked up
            raise OutputError(
                f"--listen {address[0]}: no address; give one of this machine's, 127.0.0.1 for "
                "callers on it alone, or 0.0.0.0 for all"
            ) from None
        except OSError as e:
            raise NotNow(
                f"{address[0]}:{address[1]}: cannot be listened on ({e.strerror}); "
                "choose another --port or --listen"
            ) from None
        assert server is not None
        take = server.get_request

        def get_request() -> tuple[socket.socket, tuple[str, int]]:
            try:
                return take()
            except OSError as e:  # which socketserver passes over, and tries again at once
                self._not_taken(e)
                raise

        server.get_request = get_request  # type: ignore[method-assign]
        return server

    def _not_taken(self, e: OSError) -> None:
        """Say that callers wait, as they do where too many files are open."""
        if not self._ended.is_set() and time.monotonic() - self._said >= SAID:
            self._said = time.monotonic()
            self._note(f"callers wait: their connections cannot be taken ({e.strerror})")
        self._ended.wait(REST)

    # Associations

    def _opened(self, event: Event) -> None:
        """Have a sender that falls silent in the middle of a message taken for gone. Between
        messages that is for `_watch_silence`: the library goes by a clock that may be set."""
        self._heard[event.assoc] = time.monotonic()
        event.assoc.network_timeout = None
        event.assoc.dul.socket.socket.settimeout(SILENCE)  # type: ignore[union-attr]  # it is open

    def _hear(self, event: Event) -> None:
        """Keep no data set that is larger than any film."""
        self._heard[event.assoc] = time.monotonic()
        message = event.assoc.dimse.message
        kept = None if message is None else message.data_set
        if kept is not None and kept.tell() > LARGEST and not isinstance(kept, TooLarge):
            message.data_set = TooLarge()  # type: ignore[union-attr]

    def _watch_silence(self) -> None:
        """Take the place of idle senders; those whose film we are at work with are not idle."""
        while not self._ended.wait(LOOK):
            for association in self._server.active_associations:
                heard = self._heard.get(association, math.inf)
                idle = association.is_established and association not in self._at_work
                if idle and time.monotonic() - heard >= SILENCE:
                    _break_off(association)

    def _accepted(self, event: Event) -> None:
        """Say why, where a class of images is not taken."""
        lines = refused_kinds(
            [str(c.abstract_syntax) for c in event.assoc.rejected_contexts],
            [str(c.abstract_syntax) for c in event.assoc.accepted_contexts],
        )
        for line in lines:
            self._note(line)

    def _rejected(self, event: Event) -> None:
        answer = event.assoc.acceptor.primitive
        where = (answer.result_source, answer.diagnostic) if answer is not None else None
        why = {
            (1, 3): "its AE title is not allowed",
            (3, 2): f"{MOST} others are open",
        }.get(where, "its request")  # type: ignore[arg-type]
        self._note(f"refused an association of {_who(event.assoc)}: {why}")

    def _aborted(self, event: Event) -> None:
        heard = self._heard.pop(event.assoc, None)
        if heard is None:  # told before: where we break off, the connection does too
            return
        if self._stopping:
            why = "as the node stops"
        elif time.monotonic() - heard >= SILENCE:
            why = f"after {SILENCE:.0f}s of silence"
        else:
            why = "by its sender"
        self._note(f"broken off: an association of {_who(event.assoc)}, {why}")

    def _echo(self, event: Event) -> int:
        self._note("echo")
        return SUCCESS

    # Films

    def _store(self, event: Event) -> int:
        self._at_work.add(event.assoc)
        try:
            return self._taken(event)
        finally:
            self._heard[event.assoc] = time.monotonic()
            self._at_work.discard(event.assoc)

    def _taken(self, event: Event) -> int:
        """Take a film: on disk before "success". What is none has nothing to be kept."""
        try:
            request = cast("C_STORE", event.request)
            kind = str(request.AffectedSOPClassUID)
            # By the context as well: a film under another name is for `look_at` to refuse.
            if kind in NO_FILMS and event.context.abstract_syntax in NO_FILMS:
                self._note(f"passed over 1 object, {name_of(kind)}: no film")
                return SUCCESS
            name = short(str(request.AffectedSOPInstanceUID))
            found = look_at(event)
            if isinstance(found, Refusal):
                word = "refused" if found.status else "passed over"
                self._note(f"{word} film={name} status=0x{found.status:04X}: {found.why}")
                return found.status
            taken = self._queue.take(found.uid, found.data, found.mark)
        except OutputError as e:
            self._note(f"refused film={name} status=0x{NO_ROOM:04X}: {e}")
            return NO_ROOM
        except MemoryError:  # it may be sent again, when others are through
            self._note(f"refused film={name} status=0x{NO_ROOM:04X}: no memory for it now")
            return NO_ROOM
        except Exception as e:  # an error of ours must not take the association down
            self._note(f"refused a film, status=0x{BROKEN:04X}: {type(e).__name__}")
            return BROKEN
        if taken.anew:
            self._note(f"received film={name} again: it failed before and is read once more")
            self._arrived.set()
        elif taken.known:
            self._note(f"received film={name} again: known")
        else:
            self._note(f"received film={name} bytes={len(found.data)}")
            if taken.differs:
                self._note(
                    f"differs film={name}: other bytes under a UID that was received before; "
                    "kept, and read as a film of its own"
                )
            self._arrived.set()
        return SUCCESS


def _closed(event: Event) -> None:
    """Let go of a connection that is closed before it asked for anything: its thread waits for
    that, and would for as long as for a sender that is slow."""
    if not event.assoc.is_established:
        event.assoc.dul.to_user_queue.put(None)  # type: ignore[arg-type]  # as at its time-out


def _break_off(association: Association) -> None:
    """End an association. The socket first: a thread that waits in it for a silent sender would
    not end. Its own thread may close it at any moment, and sets None in its place."""
    connection = association.dul.socket
    opened = None if connection is None else connection.socket
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
    association.abort(block=False)
    association.dul.kill_dul()


def _who(association: Association) -> str:
    """Whose association it is, as it may stand in a log: a sender may call itself anything."""
    return f"aet={association.requestor.ae_title!a} address={association.requestor.address}"
