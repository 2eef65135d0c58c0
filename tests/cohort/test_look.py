"""What may lie at a path that is no film: a pipe, a file larger than the memory."""

import hashlib
import os
from pathlib import Path

import pytest

from firstread.cohort import look
from firstread.cohort.look import look_at
from firstread.cohort.tags import told_by_files


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert look_at(tmp_path / "pipe").reason == "no file; check the path"
    assert told_by_files([tmp_path / "pipe"])[0].patient == ""


def test_a_huge_file_is_never_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "slide.tif"
    with film.open("wb") as f:
        f.truncate(look.MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    seen = look_at(film)
    assert seen.reason is not None
    assert "larger than 192 MiB" in seen.reason
    assert seen.n_bytes == look.MAX_BYTES + 1
    with film.open("rb") as f:
        assert seen.sha256 == hashlib.file_digest(f, "sha256").hexdigest()


def test_a_name_that_no_file_can_have() -> None:
    assert "a null byte" in str(look_at(Path("a\0.png")).reason)
