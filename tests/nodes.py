"""`firstread node` as a process of its own, and dcmtk's programs around it.

`bundle` and `start` are fixtures: a test module that imports them has them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles import tiny_bundle
from peers import free_port, program, run

PATIENCE = 90.0
"""Seconds until something that should happen is given up; the machine may be busy."""


def until(what: Callable[[], object], text: Callable[[], str] = str) -> None:
    """Wait for it, or fail with `text`."""
    end = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > end:
            raise AssertionError(f"waited too long: {text()[-3000:]}")
        time.sleep(0.02)


def of_journal(code: int) -> sqlite3.Error:
    """An error of the journal with one of SQLite's codes."""
    error = sqlite3.OperationalError("x")
    error.sqlite_errorcode = code
    return error


class NodeProcess:
    """A node on a queue in `folder`, started at once; `log` grows over restarts."""

    def __init__(self, folder: Path, bundle: Path, *options: str):
        self.queue, self.logfile = folder / "queue", folder / "node.log"
        self._options = ("--queue", str(self.queue), "--bundle", str(bundle), *options)
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        heard = self.log.count(" listening ")
        command = [sys.executable, "-m", "firstread.cli.main", "node", "--port", str(self.port)]
        with self.logfile.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._options],
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        until(
            lambda: self.log.count(" listening ") > heard or self.process.poll() is not None,
            lambda: self.log,
        )
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        """All it said so far."""
        return self.logfile.read_text() if self.logfile.exists() else ""

    def count(self, word: str) -> int:
        """Lines of the log that begin with `word`, after their time."""
        return len(re.findall(rf"^\S+Z {word}", self.log, re.MULTILINE))

    def wait(self, word: str, times: int = 1) -> None:
        """Wait until `count(word)` is at least `times`."""
        until(lambda: self.count(word) >= times, lambda: self.log)

    def store(self, *paths: Path, aet: str = "TEST") -> subprocess.CompletedProcess[str]:
        """C-STORE by dcmtk."""
        return store(self.port, *paths, aet=aet)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE)


def store(port: int, *paths: Path, aet: str = "TEST") -> subprocess.CompletedProcess[str]:
    """C-STORE files to a port of this machine by dcmtk's storescu, films' classes alone."""
    return run("storescu", "-v", "-R", "-aet", aet, "127.0.0.1", str(port), *paths)


Start = Callable[..., NodeProcess]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for the nodes."""
    return tiny_bundle(tmp_path_factory.mktemp("b") / "bundle")


@pytest.fixture
def start(bundle: Path, tmp_path: Path) -> Iterator[Start]:
    """Start nodes, on one queue unless told otherwise; none outlives the test."""
    with contextlib.ExitStack() as ends:

        def begin(*options: str, folder: Path = tmp_path) -> NodeProcess:
            made = NodeProcess(folder, bundle, *options)
            ends.callback(made.end, signal.SIGKILL)
            return made

        yield begin


@contextlib.contextmanager
def storescp(folder: Path, port: int | None = None) -> Iterator[int]:
    """dcmtk's listener, which writes what comes to `folder`; gives its port."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    process = subprocess.Popen(
        [program("storescp"), "-od", str(folder), "--fork", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: run("echoscu", "127.0.0.1", str(port)).returncode == 0)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def cut_after(port: int, length: int) -> Iterator[int]:
    """A way to `port` that breaks off for good after `length` bytes; gives its own port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def forward() -> None:
            with contextlib.suppress(OSError):
                caller, _ = server.accept()
                with caller, socket.create_connection(("127.0.0.1", port)) as node:
                    threading.Thread(target=back, args=(node, caller), daemon=True).start()
                    left = length
                    while left and (data := caller.recv(min(left, 65536))):
                        node.sendall(data)
                        left -= len(data)

        def back(node: socket.socket, caller: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := node.recv(65536):
                    caller.sendall(data)

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        thread.join(PATIENCE)
