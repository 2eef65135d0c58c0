#!/usr/bin/env python3
"""Read very many spoilt films, and keep what became of them.

    python scripts/fuzz.py --films 100000 --json docs/results/fuzz.json

The films are those of tests/fuzzing, drawn from a seed, so that a number names one: `--only 4711`
reads that film again and shows what happened. Every few thousand films the JSON is written; the
same command goes on from there, as long as seed and code are the same. Then the giants of the same
folder, whole films at the limit of pixels, are weighed, each in a process of its own. The exit code
is 1 where any film crashed, hung, took too much, wrote or told what it should not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import firstread  # noqa: E402
from bundles import tiny_bundle  # noqa: E402
from firstread.film.files import write_atomic  # noqa: E402
from fuzzing.drive import drive  # noqa: E402
from fuzzing.giants import GIANTS  # noqa: E402
from fuzzing.worker import (  # noqa: E402
    MOST_MIB,
    MOST_SECONDS,
    RESULTS_EVERY,
    SHIPPED_EVERY,
    _forget_peak,
    _peak_mib,
)

BLOCK = 5_000
"""Films of one worker process; also how many are lost when the run is stopped."""

HOW = {
    "films": "drawn from whole synthetic films by bits, bytes, lengths, splices and by structure; "
    "by the seed's kind and by what came of it: an opinion, a rejection, or no film in a zip",
    "seconds": f"processor time of one film, from bytes to opinion; {MOST_SECONDS:g} is a fault",
    "mib": f"highest resident memory of the process while it read a film; over {MOST_MIB:g} is a "
    "fault",
    "faults": "a crash, a hang, an exception that is not firstread's own, an opinion that is none, "
    "a warning, a file outside of the output folder, a patient's name in what is said",
    "giants": "whole films of 64 million pixels, or as many as their format lets through, read by "
    "the shipped bundle with its lungs; the same limits hold",
    "shipped": f"one film in {SHIPPED_EVERY} is read by the shipped bundle with its lungs, the "
    f"others by a small one; one DICOM film in {RESULTS_EVERY} gets anonymous DICOM results",
}


def code() -> str:
    """A hash over the package and the corpus: what the numbers are true of."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests/fuzzing").glob("*.py")]
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Of all that decodes."""
    names = ("numpy", "pillow", "pydicom", "python-gdcm", "onnxruntime", "highdicom")
    return {"firstread": firstread.__version__, "python": platform.python_version()} | {
        name: version(name) for name in names
    }


class Tally:
    """What became of the films so far, as the JSON has it."""

    def __init__(self, found: dict[str, Any]):
        self.found = found

    def add(self, block: int, films: list[dict[str, Any]]) -> None:
        """Count a whole block."""
        found = self.found
        found["blocks"].append(block)
        found["films"] += len(films)
        outcomes, kinds = Counter(found["outcomes"]), found["kinds"]
        attacks = Counter(found["attacks"])
        for film in films:
            outcomes[film["outcome"]] += 1
            counted = Counter(kinds.setdefault(film["kind"], {}))
            counted[film["outcome"]] += 1
            kinds[film["kind"]] = dict(sorted(counted.items()))
            attacks.update(how.split(" with ")[0] for how in film["how"])
            if film["faults"]:
                found["faults"].append(film)
            for key in ("seconds", "mib"):
                if film[key] is not None and film[key] > found[f"most_{key}"]["value"]:
                    found[f"most_{key}"] = {
                        "value": film[key],
                        "index": film["index"],
                        "kind": film["kind"],
                        "how": film["how"],
                    }
        found["outcomes"] = dict(sorted(outcomes.items()))
        found["attacks"] = dict(sorted(attacks.items()))
        found["n_faults"] = len(found["faults"])


def fresh(seed: int, films: int) -> dict[str, Any]:
    """A JSON without any film yet."""
    return {
        "format": 1,
        "seed": seed,
        "wanted": films,
        "films": 0,
        "n_faults": 0,
        "outcomes": {},
        "most_seconds": {"value": 0.0},
        "most_mib": {"value": 0.0},
        "limits": {"seconds": MOST_SECONDS, "mib": MOST_MIB},
        "shipped_every": SHIPPED_EVERY,
        "kinds": {},
        "attacks": {},
        "giants": {},
        "most_giant": {},
        "faults": [],
        "blocks": [],
        "code_sha256": code(),
        "versions": versions(),
        "system": platform.system(),
        "how": HOW,
        "command": "make fuzz",
    }


def begun(path: Path | None, seed: int, films: int) -> dict[str, Any]:
    """What an earlier call of the same seed and code found, else nothing yet."""
    new = fresh(seed, films)
    if path is None or not path.exists():
        return new
    before = json.loads(path.read_text(encoding="utf-8"))
    same = all(before.get(k) == new[k] for k in ("seed", "wanted", "code_sha256", "versions"))
    return new | before if same else new


def weigh(name: str) -> dict[str, Any]:
    """Read a giant in this process, which should be fresh: what it cost, what came of it."""
    from firstread.read.engine import JUDGED_BY
    from firstread.read.reader import Reader

    reader = Reader(threads=1, lungs=True, engine=JUDGED_BY)
    reader.read(next(iter((ROOT / "src/firstread/samples").rglob("*.dcm"))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "giant")
        subprocess.run([sys.executable, __file__, "--make", name, str(path)], check=True)
        _forget_peak()
        begun = time.process_time()
        opinion = reader.read(path)
        return {
            "seconds": round(time.process_time() - begun, 2),
            "mib": round(_peak_mib()),
            "decision": opinion.decision,
            "reasons": opinion.reasons,
            "bytes": path.stat().st_size,
        }


def weigh_all(found: dict[str, Any]) -> None:
    """Add the giants that are not there yet, and which of them cost most."""
    for name in GIANTS:
        if name not in found["giants"]:
            command = [sys.executable, __file__, "--giant", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found["giants"][name] = json.loads(done.stdout)
            print(f"{name}: {done.stdout.strip()}", flush=True)
    giants = found["giants"].values()
    found["most_giant"] = {key: max(giant[key] for giant in giants) for key in ("seconds", "mib")}
    found["n_giants"] = len(giants)


def main() -> int:
    """Read the films; 0 if none was at fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=100_000, help="how many; default: 100,000")
    parser.add_argument("--seed", type=int, default=1, help="of the films; default: 1")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time; default: 1")
    parser.add_argument("--json", type=Path, help="where to keep what came of them")
    parser.add_argument("--only", type=int, metavar="N", help="read film N alone, and show it")
    parser.add_argument("--giant", choices=GIANTS, help="weigh one giant alone, and show it")
    parser.add_argument("--make", nargs=2, metavar=("GIANT", "FILE"), help="write one giant")
    args = parser.parse_args()
    if args.make:
        Path(args.make[1]).write_bytes(GIANTS[args.make[0]]())
        return 0
    if args.giant:
        print(json.dumps(weigh(args.giant)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder, "bundle"))
        if args.only is not None:
            films = list(drive(args.seed, args.only, args.only + 1, bundle))
            print(json.dumps(films, indent=1))
            return 1 if any(film["faults"] for film in films) else 0
        tally = Tally(begun(args.json, args.seed, args.films))
        todo = [b for b in range(0, args.films, BLOCK) if b not in tally.found["blocks"]]

        def read(block: int) -> tuple[int, list[dict[str, Any]]]:
            end = min(block + BLOCK, args.films)
            return block, list(drive(args.seed, block, end, bundle))

        with ThreadPoolExecutor(args.workers) as pool:
            for block, films in pool.map(read, todo):
                tally.add(block, films)
                if args.json is not None:
                    write_atomic(args.json, json.dumps(tally.found, indent=1) + "\n")
                print(
                    f"{tally.found['films']:,} films, {tally.found['n_faults']} at fault",
                    flush=True,
                )
    found = tally.found
    weigh_all(found)
    if args.json is not None:
        write_atomic(args.json, json.dumps(found, indent=1) + "\n")
    for film in found["faults"][:20]:
        print(f"film {film['index']} ({film['kind']}, {', '.join(film['how'])}): {film['faults']}")
    most = found["most_giant"]
    heavy = most["seconds"] > MOST_SECONDS or most["mib"] > MOST_MIB
    return 1 if found["faults"] or heavy else 0


if __name__ == "__main__":
    sys.exit(main())
