"""Which engine reads on this machine: measured at first use, and kept.

On the drawn sample films that come with the package each engine gives logits and takes its time.
Only one whose logits lie within `TOLERANCE` of onnxruntime's is ever taken, and only where it is
`PAYS` times as fast; what was found stands in the cache folder (`engines.json`), under a key that
changes with the bundle, the engines' versions and the processor.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from firstread.errors import FirstreadError, OutputError
from firstread.film import decode, preprocess
from firstread.film.files import find_films, write_atomic
from firstread.film.places import cache_folder
from firstread.read.bundle import Bundle
from firstread.read.engine import ENGINES, INPUT, Floats, Session, open_session, outputs_of

TOLERANCE = 0.01
"""Most by which an engine's logit before calibration, its map, or what its gate goes by may differ
from onnxruntime's on a sample film. In fp32 logits differ by some 1e-5; in bfloat16 by 0.1 and
more, so that it is for a user to ask for."""

PAYS = 1.2
"""Times as fast as onnxruntime, the network alone, that an engine must be. It also starts later."""

ROUNDS = 5
"""Times that each engine reads the sample films, in turns, after once unmeasured."""

FILE = "engines.json"
SAMPLES = Path(__file__).parent.parent / "samples"


def chosen(bundle: Bundle, threads: int = 1, folder: Path | None = None) -> str:
    """The engine for a bundle on this machine, one of `ENGINES`.

    `folder`: where the finding is kept, None for the cache folder. Where it cannot be kept it is
    measured each time; where nothing can be measured it is onnxruntime.
    """
    file = (folder or cache_folder()) / FILE
    key = _key(bundle, threads)
    kept = _kept(file)
    known = kept.get(key)
    if isinstance(known, dict) and known.get("engine") in ENGINES:
        return str(known["engine"])
    try:
        found = measured(bundle, threads)
    except FirstreadError:
        return ENGINES[0]
    with contextlib.suppress(OutputError):  # a machine without a home: it is found again each time
        write_atomic(file, json.dumps({**kept, key: found}, indent=1) + "\n")
    return str(found["engine"])


def _key(bundle: Bundle, threads: int) -> str:
    import onnxruntime

    # By its file and not by its metadata, which takes 10 ms of every start to look up.
    spec = importlib.util.find_spec("openvino")
    origin = Path(spec.origin) if spec is not None and spec.origin is not None else None
    told = [
        bundle.sha256,
        str(threads),
        onnxruntime.__version__,
        "" if origin is None else f"{origin} {origin.stat().st_mtime_ns}",
        platform.machine(),
        _processor(),
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _processor() -> str:
    """What tells one processor from another where the system has it (Linux)."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            lines = list(itertools.islice(file, 40))  # the first of perhaps hundreds
    except OSError:
        return ""
    told = {line.partition(":")[0].strip(): line for line in reversed(lines)}
    return "".join(told.get(name, "") for name in ("model name", "flags", "Features"))


def _kept(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def measured(bundle: Bundle, threads: int = 1) -> dict[str, Any]:
    """How each engine reads the sample films, and which is taken.

    Fields: `engine`; `milliseconds` a film by engine, the median, on one thread;
    `largest_difference` of its outputs from onnxruntime's; `tolerance`; `pays`.
    """
    how = bundle.card.preprocess
    films = [preprocess(decode(path), how)[None] for path in find_films([SAMPLES])]
    sessions: dict[str, Session] = {}
    for name in ENGINES:
        try:
            sessions[name] = open_session(bundle, name, threads)
        except FirstreadError:
            if name == ENGINES[0]:
                raise
    took: dict[str, list[float]] = {name: [] for name in sessions}
    wanted = outputs_of(bundle)
    outputs: dict[str, list[list[Floats]]] = {}
    for turn in range(ROUNDS + 1):
        for name, session in sessions.items():
            begun = time.perf_counter()
            outputs[name] = [session.run(wanted, {INPUT: film}) for film in films]
            if turn:
                took[name].append((time.perf_counter() - begun) / len(films))
    off = {name: _difference(found, outputs[ENGINES[0]]) for name, found in outputs.items()}
    speed = {name: statistics.median(seconds) for name, seconds in took.items()}
    fit = [n for n in sessions if off[n] <= TOLERANCE and speed[ENGINES[0]] / speed[n] >= PAYS]
    return {
        "engine": min(fit, key=lambda n: speed[n]) if fit else ENGINES[0],
        "milliseconds": {name: round(1e3 * s, 3) for name, s in speed.items()},
        "largest_difference": off,
        "tolerance": TOLERANCE,
        "pays": PAYS,
    }


def _difference(some: list[list[Floats]], others: list[list[Floats]]) -> float:
    """The largest difference of any output on any film."""
    pairs = zip(itertools.chain(*some), itertools.chain(*others), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)
