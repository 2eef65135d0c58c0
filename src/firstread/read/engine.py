"""What runs a bundle's graph: onnxruntime, or OpenVINO where that is installed.

onnxruntime comes with the package. OpenVINO (`pip install 'firstread[fast]'`) is faster on some
processors, most of all on those that multiply bfloat16 in hardware; whether it is on the machine
at hand is measured once, see `firstread.read.choice`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from firstread.errors import BundleError, EngineError, MissingExtra
from firstread.film.forks import Lock
from firstread.read.bundle import Bundle
from firstread.read.gate import OUTPUT as GATE

if TYPE_CHECKING:
    from concurrent.futures import Future

Floats = npt.NDArray[np.float32]

INPUT, OUTPUTS = "film", ("logit", "map")
"""The names every bundle's graph uses."""

ENGINES = ("onnxruntime", "openvino", "openvino-bf16")
"""What can be asked for. The first two compute in fp32, and their logits differ in the fifth digit;
the last computes in bfloat16, which moves them."""

AUTO = "auto"
"""What the environment variable `SET_BY` says, else the fastest of them that reads alike, by a
measurement at first use."""

SET_BY = "FIRSTREAD_ENGINE"

JUDGED_BY = ENGINES[0]
"""What a bundle is judged by, so that a report has the same digits on every machine."""


MAX_THREADS = 8
"""Threads taken unless told otherwise: each may hold a film of `LARGE` pixels, and one a larger."""


class Session(Protocol):
    """A graph that can be run, by several threads at a time, each film on the thread that asks."""

    def run(self, names: Sequence[str], feed: Mapping[str, npt.NDArray[np.uint8]]) -> list[Floats]:
        """The outputs of these names for `{INPUT: films (1, size, size)}`, in their order."""


@dataclass(frozen=True)
class Opened:
    """A bundle and the session that runs its graph; `engine`: one of `ENGINES`."""

    bundle: Bundle
    engine: str
    session: Session


def default_threads() -> int:
    """Films read at a time unless told otherwise: the CPUs at hand, at most `MAX_THREADS`."""
    return min(MAX_THREADS, _cpus())


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # what this process may use, in a container too
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed() -> bool:
    """Whether OpenVINO is."""
    return importlib.util.find_spec("openvino") is not None


def open_bundle(
    bundle: Bundle | Path | str | None = None, engine: str = AUTO, threads: int = 1
) -> Opened:
    """Load a bundle (None: the shipped one) and make its graph ready to run.

    `threads`: how many will run it at a time. Raises `BundleError` where the bundle is missing,
    changed or no graph of ours, `MissingExtra` where the engine is not installed, and
    `EngineError` for one of another name.
    """
    return opening(bundle, engine, threads).result()


def opening(
    bundle: Bundle | Path | str | None = None, engine: str = AUTO, threads: int = 1
) -> Future[Opened]:
    """`open_bundle` under way: onnxruntime is imported here, and then the graph is loaded beside.

    What takes long in loading a graph leaves Python's lock free, and so do the sums over the
    bundle's files, for which onnxruntime's import leaves the time.
    """
    from concurrent.futures import ThreadPoolExecutor

    if engine == AUTO and (told := os.environ.get(SET_BY)):
        engine = told
    if engine not in (AUTO, *ENGINES):
        raise EngineError(
            f"{engine}: no engine has this name; name one of {', '.join((AUTO, *ENGINES))}"
        )
    beside = ThreadPoolExecutor(1, thread_name_prefix="firstread-open")
    loading = beside.submit(_loaded, bundle)
    import onnxruntime  # noqa: F401

    found = beside.submit(lambda: _opened(loading.result(), engine, threads))
    beside.shutdown(wait=False)
    return found


def _loaded(bundle: Bundle | Path | str | None) -> Bundle:
    return bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)


def _opened(bundle: Bundle, engine: str, threads: int) -> Opened:
    if engine == AUTO and installed():
        # Whatever is wrong with an engine that nobody asked for, there is one that reads.
        with contextlib.suppress(Exception):
            from firstread.read.choice import chosen

            fastest = chosen(bundle, threads)
            return Opened(bundle, fastest, open_session(bundle, fastest, threads))
    engine = ENGINES[0] if engine == AUTO else engine
    return Opened(bundle, engine, open_session(bundle, engine, threads))


def open_session(bundle: Bundle, engine: str = ENGINES[0], threads: int = 1) -> Session:
    """A session of one of `ENGINES`. Raises as `open_bundle` does."""
    if engine == ENGINES[0]:
        return _by_onnxruntime(bundle)
    return _OpenVino(bundle, threads, "bf16" if engine == ENGINES[2] else "f32")


def _by_onnxruntime(bundle: Bundle) -> Session:
    """An onnxruntime session that starts quickly and runs each film on the calling thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    # All optimisations cost 15 ms more at the start than the extended ones and run a
    # MobileNetV2 in 4.6 ms in place of 12.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Films come one by one: with their number known, all that hangs on it is worked out once,
    # at the start and not for every film, and the start itself is 15 ms shorter.
    options.add_free_dimension_override_by_name("n", 1)
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(
            str(bundle.onnx_path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as e:  # onnxruntime has no base class of its own for these
        raise BundleError(
            f"{bundle.onnx_path}: onnxruntime cannot load it ({type(e).__name__}); "
            "update onnxruntime or export the bundle again"
        ) from e
    size = bundle.card.preprocess.size
    film = {i.name: (i.type, list(i.shape)[1:]) for i in session.get_inputs()}
    if film != {INPUT: ("tensor(uint8)", [size, size])}:
        raise BundleError(
            f"{bundle.onnx_path}: its input is not film uint8 (N, {size}, {size}); "
            "export the bundle again"
        )
    _check_outputs(bundle, {o.name for o in session.get_outputs()})
    ready: Session = session
    return ready


def outputs_of(bundle: Bundle) -> tuple[str, ...]:
    """The names of all outputs of a bundle's graph."""
    return (*OUTPUTS, GATE) if bundle.card.gate else OUTPUTS


def _check_outputs(bundle: Bundle, names: set[str]) -> None:
    wanted = outputs_of(bundle)
    if not set(wanted) <= names:
        raise BundleError(
            f"{bundle.onnx_path}: lacks one of the outputs {', '.join(wanted)}; "
            "export the bundle again"
        )


_COMPILING, _LOOKING = Lock(), Lock()
_LEFT_BEHIND: list[Any] = []
"""What a parent of this process compiled."""


def _lives(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


class _OpenVino:
    """OpenVINO on the CPU; each thread has a request of its own."""

    def __init__(self, bundle: Bundle, threads: int, precision: str) -> None:
        # OpenVINO imports a package that reports on its tools' use over the network, and does
        # without where there is none. Reading a film calls none of these tools; still.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except ImportError as e:
            raise MissingExtra(
                f"the engine needs openvino, which is not installed or does not load ({e}); "
                "pip install 'firstread[fast]', or leave the engine to be chosen"
            ) from None
        self._bundle, self._openvino = bundle, openvino
        self._how = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        self._compile()

    def _compile(self) -> None:
        bundle, size = self._bundle, self._bundle.card.preprocess.size
        try:
            core = self._openvino.Core()
            graph = core.read_model(bundle.onnx_path)
            graph.reshape({INPUT: [1, size, size]})
            self._compiled: Any = core.compile_model(graph, "CPU", self._how)
        except Exception as e:  # openvino raises RuntimeError for everything
            raise BundleError(
                f"{bundle.onnx_path}: openvino cannot load it ({type(e).__name__}); "
                "choose the engine onnxruntime"
            ) from e
        _check_outputs(bundle, set().union(*(o.get_names() for o in self._compiled.outputs)))
        # The first look at any tensor fills a table of openvino's. Two threads that do so at a time
        # wait for ever, one for the table and the other for Python's lock.
        with _LOOKING:
            _ = self._compiled.create_infer_request().get_tensor(OUTPUTS[0]).data
        self._mine = threading.local()
        self._requests: list[tuple[weakref.ref[threading.Thread], Any]] = []
        self._process = os.getpid()

    def _compile_here(self) -> None:
        """Compile anew in a forked process, where the threads that would run it are not. What was
        compiled is kept: taken away in the child it would wait for them, or end the process."""
        with _COMPILING:
            if self._process != os.getpid():
                _LEFT_BEHIND.append((self._compiled, self._mine, self._requests))
                self._compile()

    def run(self, names: Sequence[str], feed: Mapping[str, npt.NDArray[np.uint8]]) -> list[Floats]:
        """As of `Session`."""
        if self._process != os.getpid():
            self._compile_here()
        request = getattr(self._mine, "request", None)
        if request is None:
            request = self._mine.request = self._compiled.create_infer_request()
            with _COMPILING:  # a fork forgets what was another thread's: those of living ones stay
                living = [(of, its) for of, its in self._requests if _lives(of())]
                living.append((weakref.ref(threading.current_thread()), request))
                self._requests = living
        request.infer(dict(feed))
        # A copy: the request's own memory is written over by its next film.
        return [np.array(request.get_tensor(name).data, np.float32) for name in names]
