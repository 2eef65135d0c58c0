"""Worker processes over a range of films: started, watched, started again past a culprit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fuzzing.cases import case

TESTS = Path(__file__).parents[1]


def drive(seed: int, start: int, stop: int, bundle: Path) -> Iterator[dict[str, Any]]:
    """What a worker tells of each film from `start` to before `stop`.

    A film that ended its process is told as well, with the way it died as its fault, and the
    next process goes on behind it.
    """
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    while start < stop:
        command = [sys.executable, "-m", "fuzzing.worker"]
        worker = subprocess.Popen(
            [*command, str(seed), str(start), str(stop), str(bundle)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )
        assert worker.stdout is not None
        try:
            for line in worker.stdout:
                told = json.loads(line)
                start = told["index"] + 1
                yield told
        finally:
            worker.kill()
            said = worker.communicate()[1]
        if start >= stop:
            return
        if said.strip():  # before its first film: nothing a film could do
            raise RuntimeError(f"the worker failed: {said[-2000:]}")
        yield _killer(seed, start, worker.returncode)
        start += 1


def _killer(seed: int, index: int, code: int) -> dict[str, Any]:
    film = case(seed, index)
    how = "took over 5 s" if -code == signal.SIGPROF else f"ended the process ({code})"
    return {
        "index": index,
        "kind": film.kind,
        "how": film.how,
        "outcome": "none",
        "seconds": None,
        "mib": None,
        "faults": [how],
    }
