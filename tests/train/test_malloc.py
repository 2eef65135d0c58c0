import ctypes
import sys

import pytest

from firstread.train.malloc import SETTINGS, tune_malloc


class Libc:
    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def mallopt(self, what: int, value: int) -> int:
        self.calls.append((what, value))
        return 1


def test_all_settings_are_made_and_fit_an_int(monkeypatch: pytest.MonkeyPatch) -> None:
    libc = Libc()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    assert tune_malloc() is True
    assert libc.calls == list(SETTINGS)
    assert all(0 < value < 2**31 for _, value in SETTINGS)


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_without_glibc_nothing_happens(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> Libc:
        raise error

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert tune_malloc() is False
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tune_malloc() is False
