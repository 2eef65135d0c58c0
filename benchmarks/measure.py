"""One command, its wall time, CPU time and peak memory; and what machine it ran on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Cost:
    """Of one whole process, from fork to exit. Seconds; peak resident memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


LAUNCHER = """
import json, os, sys, time
begun = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - begun
# ru_maxrss is in KiB on Linux, in bytes on macOS.
unit = 1024**2 if sys.platform == "darwin" else 1024
cost = (round(wall, 3), round(usage.ru_utime + usage.ru_stime, 3), round(usage.ru_maxrss / unit, 1))
with open(sys.argv[1], "w") as file:
    json.dump(cost, file)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
"""
"""Starts a command from a process that is small itself: a fork counts its parent's memory as its
own, until it becomes another program."""


ENGINE = {"FIRSTREAD_ENGINE": "onnxruntime"}
"""What firstread reads by where nothing more than it is installed; so that this is measured."""


def run(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    opinions: Path | None = None,
) -> tuple[Cost, str]:
    """Run a command to its end; its cost and its standard output. Exits if it fails.

    `opinions`: a file that a `firstread read` writes. With it there, 1 is no failure: some films
    got no opinion. Without it, 1 is also how any Python ends that breaks.
    """
    words = [str(c) for c in command]
    with tempfile.TemporaryDirectory() as folder:
        out, err, told = (Path(folder, name) for name in ("out", "err", "cost"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            code = subprocess.run(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, told, *words],
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                env={**os.environ, **ENGINE, **(env or {})},
                check=False,
            ).returncode
        if code != 0 and not (code == 1 and opinions and opinions.is_file()):
            text = out.read_text(errors="replace") + err.read_text(errors="replace")
            sys.exit(f"{' '.join(words)}\nfailed:\n{text[-4000:]}")
        return Cost(*json.loads(told.read_text())), out.read_text(errors="replace")


def compare(peer: list[Cost], ours: list[Cost], bar: float | None) -> dict[str, Any]:
    """Medians, their ratio, and the ratios of the runs that stood side by side."""
    pairs = [p.wall_s / o.wall_s for p, o in zip(peer, ours, strict=True)]
    ratio = statistics.median(c.wall_s for c in peer) / statistics.median(c.wall_s for c in ours)
    return {
        "peer_median_s": round(statistics.median(c.wall_s for c in peer), 2),
        "ours_median_s": round(statistics.median(c.wall_s for c in ours), 2),
        "ratio": round(ratio, 2),
        "ratio_of_pairs": [round(p, 2) for p in pairs],
        "bar": bar,
        "met": None if bar is None else ratio >= bar,
        "peer_peak_mib": max(c.peak_mib for c in peer),
        "ours_peak_mib": max(c.peak_mib for c in ours),
        "peer": [asdict(c) for c in peer],
        "ours": [asdict(c) for c in ours],
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on: processor, cores, memory, Python. No names of hosts."""
    info = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    flags = {k.strip(): v for k, v in fields.items()}.get("flags", "").split()
    model = {k.strip(): v.strip() for k, v in fields.items()}.get("model name", "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": model or platform.processor(),
        "flags": [f for f in CPU_FLAGS if f in flags],
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gib": round(memory),
        "python": platform.python_version(),
    }


def versions(names: Sequence[str], python: Path | None = None) -> dict[str, str]:
    """Installed versions, of this interpreter or of another one."""
    if python is None:
        return {n: importlib.metadata.version(n) for n in names}
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {list(names)!r}}}))"  # noqa: E501
    _, out = run([python, "-c", code])
    found: dict[str, str] = json.loads(out)
    return found
