"""`firstread node`: a DICOM listener that reads what it is sent and sends the results on."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.cli.arguments import add_engine
from firstread.errors import OutputError

if TYPE_CHECKING:
    from firstread.clinic.deliver import Peer
    from firstread.clinic.node import Node, Settings

HELP = (
    "Listen for films (DICOM C-STORE and C-ECHO), read each, and send a report and a picture with "
    "the heat map on to an archive. Stop it with Ctrl-C or SIGTERM; it goes on where it was."
)


WATCH = 1.0
"""Seconds between looks whether all of the node still runs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--queue",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for films and results on their way; on a disk that survives a restart",
    )
    parser.add_argument("--port", type=_port, default=11112, metavar="N", help="default 11112")
    parser.add_argument(
        "--listen",
        type=_address,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="default 127.0.0.1, this machine alone: DICOM asks for no password",
    )
    parser.add_argument(
        "--aet", type=_aet, default="FIRSTREAD", help="our AE title (default FIRSTREAD)"
    )
    parser.add_argument(
        "--send",
        type=_peer,
        action="append",
        default=[],
        metavar="AET@HOST:PORT",
        help="who gets the results; may be given again. Without, they stay in DIR/results",
    )
    parser.add_argument(
        "--resend",
        action="store_true",
        help="have all results that lie in DIR sent to those that --send names now, and to no "
        "others: after an address has changed, or the journal was lost",
    )
    parser.add_argument(
        "--allow",
        type=_aets,
        default=(),
        metavar="AET,...",
        help="AE titles that may call (default: all)",
    )
    parser.add_argument(
        "--anonymous", action="store_true", help="results without name, numbers and dates"
    )
    parser.add_argument("--bundle", type=Path, metavar="B", help="a bundle of your own")
    add_engine(parser)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a port, 1 to 65535, or 0 for any free one")
    return int(text)


def _address(text: str) -> str:
    if not text.strip():  # sockets take it for all addresses of the machine
        raise argparse.ArgumentTypeError("must be an address; 0.0.0.0 for all of this machine")
    return text.strip()


def _aet(text: str) -> str:
    from firstread.clinic.deliver import is_aet

    if not is_aet(text):
        raise argparse.ArgumentTypeError("must be 1 to 16 plain characters")
    return text


def _aets(text: str) -> tuple[str, ...]:
    return tuple(_aet(part.strip()) for part in text.split(","))


def _peer(text: str) -> Peer:
    from firstread.clinic.deliver import Peer

    try:
        return Peer.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def run(args: argparse.Namespace) -> int:
    """Run until told to stop: 0. Where it cannot begin or go on, but may if it is started again: 1.

    What only a person can end is raised, for 2.
    """
    from firstread.clinic.node import Settings, require

    require()
    if args.resend and not args.send:
        raise OutputError("--resend goes with --send, which says who gets the results")

    told = threading.Event()

    def stop(number: int, _: Any) -> None:
        told.set()
        signal.signal(number, signal.SIG_DFL)  # the second one ends it at once

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    settings = Settings(
        folder=args.queue,
        port=args.port,
        listen=args.listen,
        aet=args.aet,
        send=tuple(args.send),
        allow=args.allow,
        anonymous=args.anonymous,
        resend=args.resend,
    )
    try:
        node = _begun(settings, args)
    except Exception as e:
        from firstread.clinic.passing import may_pass
        from firstread.film.shortage import shortage

        if not may_pass(e):
            raise
        note(f"cannot begin: {shortage(e) or e}")
        return 1
    ended = None
    while ended is None and not told.wait(WATCH):
        ended = node.broken()
    if ended is not None:  # it would say "success" to films that nobody reads
        note(f"cannot go on: the thread {ended!r} has ended; start the node again")
    node.stop()
    return 0 if ended is None else 1


def _begun(settings: Settings, args: argparse.Namespace) -> Node:
    from firstread.clinic.node import Node
    from firstread.read.reader import Reader

    reader = Reader(args.bundle, threads=1, lungs=True, engine=args.engine)
    node = Node(settings, reader, note)
    for notice in reader.bundle.card.notices:
        note(notice)
    return node


def note(text: str) -> None:
    """Write one line of the log, with the time, to stderr; a log that is full or closed stops
    nothing."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:  # closed from the beginning
            sys.stderr.write(f"{stamp} {' '.join(text.split())}\n")
            sys.stderr.flush()
