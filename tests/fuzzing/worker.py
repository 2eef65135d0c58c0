"""A process that reads spoilt films and tells, line by line, what became of each.

    python -m fuzzing.worker SEED START STOP BUNDLE

Each line on stdout is a JSON object on one film. A film that crashes the process, or costs more
than `MOST_SECONDS` of processor time, ends it, so the film after the last line is the culprit.
Processor time and not the clock's: a busy machine shall not fail a film.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import logging
import math
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from firstread.errors import FirstreadError
from firstread.film.walk import iter_sources
from firstread.read.engine import JUDGED_BY
from firstread.read.opinion import DECISIONS, REJECTED, Opinion
from firstread.read.reader import Reader
from fuzzing.cases import case
from fuzzing.seeds import SECRETS, all_seeds

MOST_SECONDS, MOST_MIB = 5.0, 1024.0
"""What a film may cost: processor time, and memory of the whole process at its highest."""

CEILING = 4 * 2**30
"""Bytes of address space at which the system says no, to spare the machine."""

SHIPPED_EVERY, RESULTS_EVERY = 40, 25
"""One film in so many is read by the shipped bundle, lungs and all; gets DICOM results."""


class Watch:
    """What a film costs and what it lets slip: seconds, peak memory, output, warnings, logs."""

    def __init__(self) -> None:
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 open as long as the process is
        self._records: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self._records.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger().addHandler(handler)
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_, **__: self._records.append(str(message))
        self.report = os.fdopen(os.dup(1), "w")
        for descriptor in (1, 2):
            os.dup2(self._noise.fileno(), descriptor)
        self._print = sys.stdout = sys.stderr = io.StringIO()

    @contextlib.contextmanager
    def over(self, told: dict[str, Any]) -> Iterator[None]:
        """Watch one film; `told` gets "seconds", "mib", "noise" and what C libraries "mutter"."""
        self._records.clear()  # of the making of the film
        _forget_peak()
        begun = time.process_time()
        # The signal's own action ends the process; Python could not act inside of a C library.
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            told["seconds"] = round(time.process_time() - begun, 4)
            told["mib"] = round(_peak_mib(), 1)
            told["noise"] = "\n".join(self._records) + self._print.getvalue()
            self._records.clear()
            self._print.seek(0)
            self._print.truncate()
            self._noise.seek(0)
            told["mutter"] = self._noise.read().decode("utf-8", "replace")
            self._noise.seek(0)
            self._noise.truncate()


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # Linux alone; elsewhere the peak is that since the start
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def read_one(seed: int, index: int, readers: tuple[Reader, Reader], watch: Watch) -> dict[str, Any]:
    """Read film `index`: {"index", "kind", "how", "outcome", "seconds", "mib", "faults"}."""
    film = case(seed, index)
    told: dict[str, Any] = {"index": index, "kind": film.kind, "how": film.how}
    reader = readers[index % SHIPPED_EVERY == SHIPPED_EVERY - 1]
    faults: list[str] = []
    opinions: list[Opinion] = []
    words = ""
    with watch.over(told):
        try:
            if film.kind.startswith("zip"):
                opinions, words = _from_zip(film.data, reader, faults)
            else:
                opinions = [reader.read(film.data)]
            if index % RESULTS_EVERY == RESULTS_EVERY - 1 and film.kind.startswith("dicom"):
                words += _results(opinions[0], film.data, faults)
        except Exception as e:
            faults.append(f"raised {type(e).__name__}: {e}")
    for opinion in opinions:
        faults += list(wrong(opinion))
        words += json.dumps(opinion.to_json())
    if told["noise"]:
        faults.append(f"noise: {told['noise'][:200]}")
    faults += [f"tells {word}" for word in leaked(words + told.pop("noise") + told.pop("mutter"))]
    if told["mib"] > MOST_MIB:
        faults.append(f"took {told['mib']} MiB")
    decisions = {opinion.decision for opinion in opinions}
    told["outcome"] = (
        "no film" if not opinions else REJECTED if decisions == {REJECTED} else "opinion"
    )
    return told | {"faults": faults}


def _from_zip(data: bytes, reader: Reader, faults: list[str]) -> tuple[list[Opinion], str]:
    """Opinions on the films of a zip, and the remarks; nothing may be written beside it."""
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "in", "films.zip")
        path.parent.mkdir()
        path.write_bytes(data)
        opinions = []
        with contextlib.suppress(FirstreadError):
            opinions = [reader.read(source) for source in iter_sources([str(path)], notes.append)]
        left = sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))
        if left != ["in", "in/films.zip"]:
            faults.append(f"wrote {left}")
    return opinions, "".join(notes)


def _results(opinion: Opinion, data: bytes, faults: list[str]) -> str:
    """What may be told of the DICOM results: their errors, and what anonymous ones hold."""
    from firstread.read.dicom_out import write_results

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        try:
            paths = write_results(opinion, data, out, anonymous=True)
        except FirstreadError as e:
            return str(e)
        if any(p.parent not in (out, Path(folder)) for p in Path(folder).rglob("*")):
            faults.append("wrote outside of the folder")
        return "".join(path.read_bytes().decode("latin-1") for path in paths)


def wrong(opinion: Opinion) -> Iterator[str]:
    """What is no opinion about an opinion."""
    if opinion.decision not in DECISIONS:
        yield f"decision {opinion.decision}"
    if opinion.probability is None and opinion.decision != REJECTED:
        yield "no probability"
    if opinion.probability is not None and not 0 <= opinion.probability <= 1:
        yield f"probability {opinion.probability}"
    if opinion.decision == REJECTED and not opinion.reasons:
        yield "rejected without a reason"
    if opinion.heat is not None and not np.isfinite(opinion.heat).all():
        yield "a heat map of no numbers"
    if not math.isfinite(opinion.threshold):
        yield "no threshold"
    for reason in opinion.reasons:
        if "the film could not be read (" in reason:  # the reader's last resort
            yield f"stray exception: {reason}"
        if not reason.isprintable() or len(reason) > 300:
            yield f"odd reason: {reason[:300]!r}"


def leaked(text: str) -> list[str]:
    """Secrets, or six letters of one in a row, that stand in `text`.

    Of digits alone all of a secret must be there: six of them stand in many a UID by chance.
    """
    text = text.upper()
    return sorted(word for word in SECRETS if any(part in text for part in _parts(word.upper())))


@cache
def _parts(word: str) -> tuple[str, ...]:
    parts = {word[i : i + 6] for i in range(len(word) - 5)}
    return (word, *sorted(part for part in parts if not part.isdigit()))


def main(seed: int, start: int, stop: int, bundle: str) -> None:
    """Read the films from `start` to before `stop`."""
    all_seeds()
    readers = Reader(bundle, 1, engine=JUDGED_BY), Reader(threads=1, lungs=True, engine=JUDGED_BY)
    for reader in readers:  # what is loaded once is no film's cost
        reader.read(all_seeds()["dicom explicit"])
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (CEILING, resource.RLIM_INFINITY))
    watch = Watch()
    # Where it was when the time ran out, for the one who looks for the reason.
    trace = open(os.environ.get("FUZZ_TRACE", os.devnull), "w")  # noqa: PTH123, SIM115
    faulthandler.register(signal.SIGPROF, trace, chain=True)
    for index in range(start, stop):
        told = read_one(seed, index, readers, watch)
        print(json.dumps(told), file=watch.report, flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]), sys.argv[4])  # type: ignore[misc]
