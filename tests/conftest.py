"""Shared fixtures: the real films and weights, found through the environment alone."""

import os
import signal
from pathlib import Path

import pytest

import firstread  # noqa: F401 before onnxruntime, which it keeps from reporting its use

os.environ["FIRSTREAD_ENGINE"] = "onnxruntime"
"""What is read has the same bits each time; tests of engines name theirs."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what is to run in the background so, and every process below it; tests that
    # interrupt one would wait in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _folder_from(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names the folder of {what}")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"{variable}={value} is no folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def films_dir() -> Path:
    """The folder that holds chest_xray/, chest_xray_original/, nih_adult/, dicom/ ..."""
    return _folder_from("FIRSTREAD_DATA", "real films")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of pretrained weights."""
    return _folder_from("FIRSTREAD_WEIGHTS", "pretrained weights")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work of tests ends soon, and is shown nonetheless."""
    for name in ("SOON", "OFTEN", "SELDOM"):
        monkeypatch.setattr(f"firstread.progress.{name}", 0.0)
