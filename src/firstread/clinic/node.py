"""The node: a DICOM listener that takes films, reads them, and sends the results on.

Three kinds of threads, joined by the queue on disk alone: the listener's, one an association,
put films in; one reads, oldest film first; one a peer sends. So each may stop, fail or wait
without the others, and a start after any stop is no special case.

DICOM's C-STORE knows no passwords and, as used in most hospitals, no encryption: whoever reaches
the port may hand in films, and whoever listens on the way sees them. So the node listens on the
loopback unless told otherwise; `allow` names the AE titles that may call, which guards against
mistakes, not against malice.

The log has a line an event, films named by a short hash of their UID. The libraries' own logs,
which may show values of the films, are silenced.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from firstread.clinic.deliver import Deliverer, Peer
from firstread.clinic.queue import TRIES, Note, Queue, short
from firstread.clinic.storage import (
    BROKEN,
    NO_FILMS,
    NO_ROOM,
    SUCCESS,
    TAKEN,
    Refusal,
    look_at,
    name_of,
    readable_syntaxes,
    refused_kinds,
)
from firstread.errors import FirstreadError, MissingExtra, OutputError
from firstread.read.dicom_out import require as require_results
from firstread.read.dicom_out import write_results

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

    from firstread.read.reader import Reader

MOST = 32
"""Associations at once; further ones are told to come back."""

SILENCE = 60.0
"""Seconds without a byte after which a sender is taken for gone."""

GRACE = 10.0
"""Seconds that associations have to end by themselves when the node is to stop."""

LOOK, PAUSE = 0.2, 10.0
"""Seconds between looks into an empty queue, and after a disk was full."""


@dataclass(frozen=True)
class Settings:
    """How a node is to work.

    `port` 0 takes a free one. `send`: who gets the results. `allow`: AE titles that may call;
    all where empty. `anonymous`: results without the patient.
    """

    folder: Path
    port: int = 11112
    listen: str = "127.0.0.1"
    aet: str = "FIRSTREAD"
    send: tuple[Peer, ...] = ()
    allow: tuple[str, ...] = ()
    anonymous: bool = False


def require() -> None:
    """Raise `MissingExtra` if the packages that the node needs are not there."""
    require_results()
    try:
        import pynetdicom  # noqa: F401
    except ImportError:
        raise MissingExtra(
            "the node needs the extra clinic: pip install 'firstread[clinic]'"
        ) from None


class Node:
    """A listener on a queue. `reader` reads; `note` takes the log's lines, from any thread.

    Raises `OutputError` where queue or port cannot be had, `MissingExtra`.
    """

    def __init__(self, settings: Settings, reader: Reader, note: Note):
        require()
        _silence(note)
        self.settings, self._reader, self._note = settings, reader, note
        self.queue = Queue(settings.folder)
        self._stopping, self._stop_sending = threading.Event(), threading.Event()
        self._arrived = threading.Event()
        try:
            self._server = self._listen()
        except BaseException:
            self.queue.close()
            raise
        self.port = int(self._server.server_address[1])
        self._reading = threading.Thread(target=self._read_all, name="read", daemon=True)
        self._senders = [
            Deliverer(self.queue, peer, settings.aet, note, self._stop_sending)
            for peer in settings.send
        ]
        self._tell()
        for thread in (self._reading, *self._senders):
            thread.start()

    def stop(self) -> None:
        """End well: no new senders; associations, film and results under way come to their end."""
        self._note("stopping")
        self._server.shutdown()
        until = time.monotonic() + GRACE
        while self._server.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for association in self._server.active_associations:
            association.abort()
        self._stopping.set()
        self._arrived.set()
        self._reading.join()
        self._stop_sending.set()
        for sender in self._senders:
            sender.join(GRACE)
        self.queue.close()
        self._note("stopped")

    def _tell(self) -> None:
        s = self.settings
        self._note(f"listening aet={s.aet} on {s.listen}:{self.port}")
        if counts := self.queue.counts():
            states = " ".join(f"{state}={n}" for state, n in sorted(counts.items()))
            self._note(f"queue films: {states}")
        if self.queue.foreign:
            self._note(f"left alone: {self.queue.foreign} entries of the queue that are not ours")
        for peer, waiting in self.queue.peers().items():
            if peer not in map(str, s.send):
                self._note(f"{waiting} results wait for {peer}, which --send does not name")

    # The listener

    def _listen(self) -> ThreadedAssociationServer:
        from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt

        ae = AE(ae_title=self.settings.aet)
        ae.maximum_associations = MOST
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = SILENCE
        ae.require_calling_aet = list(self.settings.allow)
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
            (evt.EVT_REJECTED, lambda _: self._note("refused an association: its AE title")),
            (evt.EVT_ABORTED, lambda _: self._note("broken off: an association, by its sender")),
        ]
        s = self.settings
        try:
            server = ae.start_server((s.listen, s.port), block=False, evt_handlers=handlers)
        except OSError as e:
            raise OutputError(
                f"{s.listen}:{s.port}: cannot be listened on ({e.strerror}); "
                "choose another --port or --listen"
            ) from None
        assert server is not None
        return server

    def _echo(self, event: Event) -> int:
        self._note("echo")
        return SUCCESS

    def _accepted(self, event: Event) -> None:
        """Say why, where a class of images is not taken."""
        lines = refused_kinds(
            [str(c.abstract_syntax) for c in event.assoc.rejected_contexts],
            [str(c.abstract_syntax) for c in event.assoc.accepted_contexts],
        )
        for line in lines:
            self._note(line)

    def _store(self, event: Event) -> int:
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
            taken = self.queue.take(found.uid, found.data, found.mark)
        except OutputError as e:
            self._note(f"refused film={name} status=0x{NO_ROOM:04X}: {e}")
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

    # The reader

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            begun = None
            try:
                begun = self.queue.next_film()
                if begun is None:
                    self._arrived.wait(LOOK)
                else:
                    self._read(*begun)
            except OutputError as e:
                if begun is not None:  # the film is not at fault
                    with contextlib.suppress(OutputError):
                        self.queue.put_off(begun[0])
                self._note(f"waiting for room to write results, next_try={PAUSE:.0f}s: {e}")
                self._stopping.wait(PAUSE)

    def _read(self, key: str, tries: int) -> None:
        name, begin = key[:12], time.monotonic()
        if tries >= TRIES:
            self._fail(key, f"its reading was begun {tries} times and never ended")
            return
        try:
            film = self.queue.film(key).read_bytes()
        except OSError as e:  # a drive that is away for a moment; the try counts, and others wait
            self._note(f"film={name} cannot be opened ({e.strerror}), next_try={PAUSE:.0f}s")
            self._stopping.wait(PAUSE)
            return
        try:
            opinion = self._reader.read(film)
            files = write_results(opinion, film, self.queue.place(key), self.settings.anonymous)
        except OutputError:
            raise
        except FirstreadError as e:
            self._fail(key, str(e))
        except Exception as e:  # one film must not stop those behind it
            self._fail(key, f"unexpected ({type(e).__name__})")
        else:
            self.queue.done(key, files, [str(peer) for peer in self.settings.send])
            took = time.monotonic() - begin
            self._note(f"read film={name} results={len(files)} seconds={took:.2f}")

    def _fail(self, key: str, why: str) -> None:
        self.queue.fail(key)
        self._note(f"failed film={key[:12]}: {why}; it is kept as {self.queue.film(key)}")


def _silence(note: Note) -> None:
    """Keep the libraries' logs and tracebacks, which may show values of films, to themselves."""
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    for library in ("pynetdicom", "pydicom", "highdicom"):
        logger = logging.getLogger(library)
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False

    def hook(told: threading.ExceptHookArgs) -> None:
        note(f"unexpected error in a thread ({told.exc_type.__name__})")

    threading.excepthook = hook
