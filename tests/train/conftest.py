"""What the tests of training share: films, a cache of their own, one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from tiny_training import tiny_films


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight synthetic films, one folder for the whole session."""
    return tiny_films(tmp_path_factory.mktemp("tiny") / "films")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decode cache for the whole session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", autouse=True)
def _alone(cache: Path) -> Iterator[None]:
    """No weights of the machine, the session's cache, and one thread, so that sums are equal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTREAD_CACHE", str(cache))
        patch.delenv("FIRSTREAD_WEIGHTS", raising=False)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take as long as a fit; runs that a module shares have them."""
    monkeypatch.setattr("firstread.train.run.curves", lambda _: b"drawn")
