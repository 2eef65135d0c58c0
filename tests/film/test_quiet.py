"""Silence inside of it, and around it, in other threads, all as the host has set it."""

import importlib.util
import logging
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from firstread.film import quiet as module
from firstread.film.quiet import LOGGERS, quiet
from forked import in_child

REMARK = "of a patient called Grey"

ALONE = "FIRSTREAD_TEST_ALONE"
alone = pytest.mark.skipif(ALONE not in os.environ, reason="runs in a process of its own, below")
"""Loggers are the process's, and a node that ran in it before has set them for good."""


def shown() -> bool:
    """Whether a warning of this thread gets through."""
    seen: list[object] = []
    before, warnings.showwarning = warnings.showwarning, lambda *a, **k: seen.append(a)
    try:
        warnings.warn(REMARK, stacklevel=1)
    finally:
        warnings.showwarning = before
    return bool(seen)


class Elsewhere:
    """Another thread that is inside of `quiet` between `enter` and `leave`."""

    def __init__(self) -> None:
        self._enter, self._inside, self._leave = (threading.Event() for _ in range(3))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._enter.wait()
        with quiet:
            self._inside.set()
            self._leave.wait()

    def enter(self) -> None:
        self._enter.set()
        self._inside.wait()

    def leave(self) -> None:
        self._leave.set()
        self._thread.join()


def test_it_silences_and_can_be_entered_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert shown()
        with quiet:
            assert not shown()
            with quiet:
                assert not shown()
            assert not shown()
        assert shown()


def test_another_thread_is_heard_meanwhile() -> None:
    other = Elsewhere()
    other.enter()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert shown()
    other.leave()


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_filters_that_a_host_swaps_meanwhile_come_and_go_as_it_says(action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        other = Elsewhere()
        with warnings.catch_warnings():
            warnings.simplefilter(action)  # type: ignore[arg-type]
            other.enter()
        other.leave()
        assert shown()


def test_a_host_that_resets_its_filters_does_not_undo_it() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for kind in (Warning, UserWarning, RuntimeWarning, UserWarning, Warning):
            warnings.simplefilter("error", kind)
            with quiet:
                warnings.warn(REMARK, stacklevel=1)
        assert sum(entry[1] is quiet for entry in warnings.filters) == 1
        assert len(warnings.filters) == 4
        with pytest.raises(UserWarning):
            warnings.warn(REMARK, stacklevel=1)


@alone
@pytest.mark.parametrize("parent", LOGGERS, ids=lambda logger: logger.name)
def test_remarks_are_logged_for_others_and_not_inside(
    parent: logging.Logger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, logger=parent.name)  # a program may have silenced all of it
    monkeypatch.setattr(parent, "propagate", True)
    child = logging.getLogger(f"{parent.name}.plugin")
    other = Elsewhere()
    other.enter()
    for logger in (parent, child):
        with quiet:
            late = logging.getLogger(f"{parent.name}.{logger.name}.late")
            logger.error(REMARK)
            late.error(REMARK)
        assert not caplog.records
        logger.error("the host's own")
        assert len(caplog.records) == 1
        caplog.clear()
    other.leave()
    parent.propagate = False
    child.error("the host wants none of it")
    parent.propagate = True
    assert not caplog.records


@alone
def test_a_second_import_leaves_the_first_one_quiet(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = LOGGERS[0]
    caplog.set_level(logging.DEBUG, logger=parent.name)
    monkeypatch.setattr(parent, "propagate", True)
    kind, filters, handlers = type(parent), parent.filters[:], parent.handlers[:]
    path = Path(module.__file__ or "")
    spec = importlib.util.spec_from_file_location("again", path)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    kinds = [type(logger) for logger in LOGGERS]
    try:
        spec.loader.exec_module(again)
        for inside in (quiet, again.quiet):
            with inside:
                logging.getLogger(f"{parent.name}.once.more").error(REMARK)
            assert not caplog.records
    finally:
        for logger, before in zip(LOGGERS, kinds, strict=True):
            logger.__class__ = before
            logger.removeFilter(again.quiet)
    assert (type(parent), parent.filters) == (kind, filters)
    assert len(parent.handlers) >= len(handlers)


def test_logs_in_a_process_of_their_own() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-k", "remarks or second_import", __file__]
    done = subprocess.run(command, env=os.environ | {ALONE: "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("....")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_is_inside_where_its_thread_was_and_not_where_another_is() -> None:
    other = Elsewhere()
    other.enter()

    def heard_but_inside() -> bool:
        warnings.simplefilter("always")
        heard = shown()
        with quiet:
            return heard and not shown()

    with module._lock:
        assert in_child(heard_but_inside)
    other.leave()
