"""What may lie at a path that is no film: a pipe, a file larger than the memory."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from firstread.cohort import look
from firstread.cohort.look import look_at
from firstread.cohort.tags import told_by_files
from firstread.errors import Shortage


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


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "x"), Shortage("too many files are open")])
def test_a_shortage_makes_no_film_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Of such films it is said: "copy these files again, or delete them"."""
    film = tmp_path / "a.png"
    film.write_bytes(b"a film")

    def fail(*_: object, **__: object) -> None:
        raise error

    if isinstance(error, OSError):
        monkeypatch.setattr(Path, "read_bytes", fail)
    else:
        monkeypatch.setattr(look, "decode", fail)
    with pytest.raises(Shortage, match=r"a\.png: too many files are open"):
        look_at(film)
