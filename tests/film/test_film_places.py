import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstread.errors import OutputError
from firstread.film.places import cache_folder


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_where_caches_live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    assert not (tmp_path / "here").exists()  # it is for the one who named it to make
    monkeypatch.delenv("FIRSTREAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "firstread"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "firstread"


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.usefixtures("usual_umask")
def test_a_users_own_is_for_no_other_eyes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Copies of films lie in it whose own folder nobody else may enter."""
    monkeypatch.delenv("FIRSTREAD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o755
    folder.chmod(0o750)  # as its owner wants it
    assert cache_folder().stat().st_mode & 0o777 == 0o750


def test_one_that_cannot_be_made_is_for_the_writer_to_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FIRSTREAD_CACHE", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder() == tmp_path / "file" / "firstread"


def test_a_user_whom_the_system_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("FIRSTREAD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = cache_folder()
    assert folder.parent == tmp_path / f"cache-of-{os.getuid()}"
    assert cache_folder() == folder  # and once more, now that it is there
    monkeypatch.setattr(os, "getuid", lambda: 12345678)
    folder.parent.rename(tmp_path / "cache-of-12345678")  # made first by somebody else
    with pytest.raises(OutputError, match=r"another user's.*FIRSTREAD_CACHE"):
        cache_folder()
    monkeypatch.delattr(os, "getuid")  # as on Windows
    assert cache_folder().name == "firstread"
