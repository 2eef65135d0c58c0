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
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from firstread.clinic.deliver import Deliverer, Peer, is_at
from firstread.clinic.listener import Listener
from firstread.clinic.queue import TRIES, Note, Queue
from firstread.errors import FirstreadError, MissingExtra, OutputError
from firstread.film.shortage import shortage
from firstread.plural import count
from firstread.read.dicom_out import is_anonymous, write_results
from firstread.read.dicom_out import require as require_results

if TYPE_CHECKING:
    from firstread.read.reader import Reader

GRACE = 10.0
"""Seconds that a result under way has to get there when the node is to stop."""

LOOK, PAUSE = 0.2, 10.0
"""Seconds between looks into an empty queue, and after a disk was full, a file away, or memory
short."""

AWAY = 600.0
"""Seconds after which a film's file that cannot be opened is not waited for any longer, nor memory
for a film when others could be read meanwhile."""


@dataclass(frozen=True)
class Settings:
    """How a node is to work.

    `port` 0 takes a free one. `send`: who gets the results. `resend`: these get all that lie in
    the folder, whoever was to have them. `allow`: AE titles that may call; all where empty.
    `anonymous`: results without the patient.
    """

    folder: Path
    port: int = 11112
    listen: str = "127.0.0.1"
    aet: str = "FIRSTREAD"
    send: tuple[Peer, ...] = ()
    allow: tuple[str, ...] = ()
    anonymous: bool = False
    resend: bool = False


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

    Raises `NotNow` where queue or port cannot be had now, `Shortage`, `OutputError` where a person
    must act, `MissingExtra`.
    """

    def __init__(self, settings: Settings, reader: Reader, note: Note):
        require()
        for peer in settings.send:
            if is_at(peer, settings.listen, settings.port):
                raise OutputError(
                    f"--send {peer} is this node itself, which would drop its results; "
                    "name the archive that is to have them"
                )
        _silence(note)
        self.settings, self._reader, self._note = settings, reader, note
        self.queue = Queue(settings.folder)
        self._stopping, self._stop_sending = threading.Event(), threading.Event()
        self._arrived = threading.Event()
        self._away: dict[str, float] = {}
        self._last_read = -math.inf
        self._passed: set[str] = set()
        self._peers = tuple(dict.fromkeys(settings.send))  # two threads would send each twice
        at = (settings.listen, settings.port)
        try:
            if settings.anonymous:
                self._refuse_named()
            if settings.resend:
                waiting = self.queue.resend([str(peer) for peer in self._peers])
                note(f"resend: {count(waiting, 'result')} here to go to those that --send names")
            self._listener = Listener(
                self.queue, note, self._arrived, address=at, aet=settings.aet, allow=settings.allow
            )
        except BaseException:
            self.queue.close()
            raise
        self.port = self._listener.port
        self._reading = threading.Thread(target=self._read_all, name="read", daemon=True)
        self._senders = [
            Deliverer(self.queue, peer, settings.aet, note, self._stop_sending)
            for peer in self._peers
        ]
        self._tell()
        for thread in (self._reading, *self._senders):
            thread.start()

    def stop(self) -> None:
        """End well: no new senders; associations, film and results under way come to their end."""
        self._note("stopping")
        self._listener.stop()
        self._stopping.set()
        self._arrived.set()
        self._reading.join()
        self._stop_sending.set()
        for sender in self._senders:
            sender.join(GRACE)
        self.queue.close()
        self._note("stopped")

    def broken(self) -> str | None:
        """The name of a thread that ended though nobody asked it to; None where all run on."""
        threads = (self._reading, *self._senders, *self._listener.threads)
        return next((thread.name for thread in threads if not thread.is_alive()), None)

    def _refuse_named(self) -> None:
        """Send no result with a patient in it that was made before `anonymous` was asked for: its
        film is gone, so it cannot be made anew without."""
        resend, peers = self.settings.resend, [str(peer) for peer in self._peers]
        results = self.queue.results
        files = list(results.glob("*/*.dcm")) if resend else self.queue.waiting(peers)
        if files:
            self._note(f"looking whether {len(files)} results that wait name their patients")
        if named := sum(file.exists() and not is_anonymous(file) for file in files):
            raise OutputError(
                f"{named} results in {results} name their patients and would be sent; start "
                "without --anonymous until they are, or move them out of the folder"
            )

    def _tell(self) -> None:
        s = self.settings
        self._note(f"listening aet={s.aet} on {s.listen}:{self.port}")
        if counts := self.queue.counts():
            states = " ".join(f"{state}={n}" for state, n in sorted(counts.items()))
            self._note(f"queue films: {states}")
        if self.queue.foreign:
            self._note(f"left alone in the queue, since not ours: {self.queue.foreign}")
        for peer, waiting in self.queue.peers().items():
            if peer not in map(str, s.send):
                self._note(
                    f"{waiting} results wait for {peer}, which --send does not name; a start with "
                    "--resend has them sent to those that it names"
                )
        if s.send and (kept := self.queue.kept()):
            self._note(
                f"films whose results wait for nobody: {kept}; a start with --resend sends them"
            )

    # The reader

    def _read_all(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            begun = None
            try:
                begun = self.queue.next_film(self._passed)
                if begun is not None:
                    self._read(*begun)
                else:
                    self._arrived.wait(PAUSE if self._passed else LOOK)
                    self._passed.clear()
            except OutputError as e:
                if begun is not None:  # the film is not at fault
                    with contextlib.suppress(OutputError):
                        self.queue.put_off(begun[0])
                self._note(f"waiting for room to write results, next_try={PAUSE:.0f}s: {e}")
                self._stopping.wait(PAUSE)

    def _read(self, key: str, tries: int) -> None:
        name, begin = key[:12], time.monotonic()
        if tries > TRIES:
            self._fail(key, f"its reading was begun {tries} times and never ended")
            return
        try:
            film = self._bytes_of(key)
            if film is None:
                return
            place = self.queue.place(key)  # first: without room the reading would be in vain
            opinion = self._reader.read(film)
            files = write_results(opinion, film, place, self.settings.anonymous)
        except OutputError:
            raise
        except Exception as e:  # one film must not stop those behind it
            if short := shortage(e):
                self._wait_for(key, str(short), self._last_read)
                self._stopping.wait(PAUSE)
            else:
                told = isinstance(e, FirstreadError)
                self._fail(key, str(e) if told else f"unexpected ({type(e).__name__})")
        else:
            self.queue.done(key, files, [str(peer) for peer in self._peers])
            self._away.pop(key, None)
            self._last_read = time.monotonic()
            took = time.monotonic() - begin
            self._note(f"read film={name} results={len(files)} seconds={took:.2f}")

    def _bytes_of(self, key: str) -> bytes | None:
        """A film's bytes; None where its file is away, as on a drive that may come back. Raises
        what a shortage does."""
        try:
            return self.queue.film(key).read_bytes()
        except OSError as e:
            if shortage(e):
                raise
            self._wait_for(key, f"its file cannot be opened ({e.strerror})", math.inf)
            return None

    def _wait_for(self, key: str, why: str, until: float) -> None:
        """Read others first and this film again later. It is set aside when that has gone on for
        `AWAY` seconds, and began before `until`: what all films wait for is no film's fault."""
        now = time.monotonic()
        if key not in self._away:
            self._note(f"waiting film={key[:12]}: {why}; tried every {PAUSE:.0f}s")
        begun = self._away.setdefault(key, now)
        if now - begun < AWAY or until < begun:
            self._passed.add(key)
            self.queue.put_off(key)
        else:
            del self._away[key]
            self.queue.fail(key)
            self._note(f"failed film={key[:12]}: {why}")

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
