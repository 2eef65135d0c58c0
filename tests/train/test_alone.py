"""One training at a time in a folder."""

import errno
import fcntl
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from firstread.errors import OutputError, RunError
from firstread.train.alone import alone
from firstread.train.run import train
from tiny_training import tiny_job


def test_a_second_one_is_refused(films: Path, tmp_path: Path) -> None:
    with (
        alone(tmp_path / "run", "training"),
        pytest.raises(RunError, match="another training runs here"),
    ):
        train(tiny_job(films, tmp_path / "run"))
    assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with alone(tmp_path, "training"):
        pass


def test_a_system_without_locks_gets_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search looks into it before anything else is written."""
    monkeypatch.setattr(sys, "platform", "win32")
    with alone(tmp_path / "deep" / "run", "search"):
        assert not list((tmp_path / "deep" / "run").iterdir())


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(OutputError, match="choose another place"),
        alone(tmp_path / "file" / "run", "training"),
    ):
        pass
