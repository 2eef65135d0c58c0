import gc
import sys
import types

import pytest

from firstread.train import bring as bringing
from firstread.train.bring import bring


@pytest.fixture(autouse=True)
def _malloc_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "tune_malloc", lambda: True)


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_looked_for_as_before(collects: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def imported(name: str) -> types.ModuleType:
        seen.append(gc.isenabled())
        return types.ModuleType(name)

    monkeypatch.setattr(bringing.importlib, "import_module", imported)
    was = gc.isenabled()
    try:
        gc.enable() if collects else gc.disable()
        bring("torch")
        assert gc.isenabled() is collects
    finally:
        gc.enable() if was else gc.disable()
    assert seen == [False]


def test_an_import_that_fails_is_told() -> None:
    was = gc.isenabled()
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        bring("no_such_module")
    assert gc.isenabled() is was
    assert "no_such_module" not in sys.modules
