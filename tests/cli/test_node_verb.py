"""`firstread node`: what its options refuse, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from firstread.cli.main import main
from firstread.clinic import journal
from firstread.clinic.queue import Queue
from nodes import bundle, of_journal, until
from peers import free_port

__all__ = ["bundle"]  # a fixture


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--listen", ""], "must be an address; 0.0.0.0 for all"),
        (["--resend"], "--resend goes with --send"),
    ],
)
def test_options_that_would_do_what_nobody_meant_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    try:
        code = main(["node", "--queue", str(tmp_path / "q"), "--port", "0", *options])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_without_its_extra_the_node_says_which(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pynetdicom'] = None; "
        "from firstread.cli.main import main; sys.exit(main())"
    )
    words = ["node", "--queue", str(tmp_path / "q")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith("needs the extra clinic: pip install 'firstread[clinic]'\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "q").exists()


def test_where_nobody_reads_any_more_the_node_ends(tmp_path: Path, bundle: Path) -> None:
    """It would go on to say "success" to films; whoever started it can start it again."""
    code = (
        "import sys; from firstread.clinic.node import Node; from firstread.cli.main import main; "
        "Node._read_all = lambda node: None; sys.exit(main())"
    )
    words = ["node", "--queue", str(tmp_path / "q"), "--port", "0", "--bundle", str(bundle)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 1, done.stderr
    assert "cannot go on: the thread 'read' has ended" in done.stderr
    assert "stopped" in done.stderr


def test_what_may_pass_by_itself_is_told_apart_from_what_a_person_must_end(
    tmp_path: Path,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the exit code: a service that is started again and again mends only the first."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # which are this process's
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    words = ["node", "--queue", str(tmp_path / "q"), "--bundle", str(bundle)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main([*words, "--port", port]) == 1
    assert "cannot begin: " in capsys.readouterr().err
    queue = Queue(tmp_path / "q")
    assert main([*words, "--port", port]) == 1
    assert "another node uses this queue" in capsys.readouterr().err
    queue.close()
    assert main([*words, "--port", port, "--send", f"X@127.0.0.1:{port}"]) == 2
    assert "this node itself" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "name", "error", "told"),
    [
        (Path, "mkdir", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left"),
        (journal, "prepare", of_journal(sqlite3.SQLITE_FULL), "free space"),
        (journal, "prepare", of_journal(sqlite3.SQLITE_BUSY), "cannot be used"),
        (Path, "read_bytes", OSError(errno.EMFILE, "x"), "too many files are open"),
        (Path, "read_bytes", MemoryError(), "not enough memory"),
    ],
)
def test_a_start_that_lacks_room_or_memory_is_one_to_try_again(
    tmp_path: Path,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    error: Exception,
    told: str,
) -> None:
    """With 2 systemd left the node down for good, however much was free a minute later."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(signal, "signal", lambda *_: None)  # which are this process's
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(place, name, fail)
    words = ["node", "--queue", str(tmp_path / "q"), "--bundle", str(bundle), "--port", "0"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "cannot begin: " in said
    assert told in said


def test_it_runs_where_stderr_is_closed(tmp_path: Path, bundle: Path) -> None:
    port = free_port()
    words = ["node", "--queue", tmp_path / "q", "--port", port, "--bundle", bundle]
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "firstread.cli.main"]
        + [str(word) for word in words]
    )
    try:
        until(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
