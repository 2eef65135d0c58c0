"""How fast films are read, and what of it is decoding, what the network, what memory.

* `jpeg`, `dicom`, `jpeg2000`: films a second of decoding alone (to the network's pixels), of the
  network alone, of reading, of reading with heat maps, and with overlays drawn, all in one
  process with as many threads as the reader takes, in turns. Originals of the public set; and
  some of these as DICOM films of 2,048 px and 12 bits, uncompressed and in JPEG 2000.
* `cold`: the first opinion of a fresh process against one that only imports onnxruntime, numpy
  and Pillow.
* `torch`: a folder of originals against a torch script (peer_torch.py), whole processes.
* `memory`: the peak of a process that reads 1,000 films, and of one that reads 10,000.

    FIRSTREAD_DATA=... python benchmarks/reading.py --tasks jpeg,cold --out NAME.json
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dicom_films import write_films
from firstread.film import decode, preprocess
from firstread.film.files import find_films, write_atomic
from firstread.read.bundle import Bundle
from firstread.read.engine import ENGINES, INPUT, OUTPUTS
from firstread.read.overlay import overlay_at_aspect
from firstread.read.reader import Reader
from measure import Cost, compare, machine, run, versions

HERE = Path(__file__).parent
BARS = {"share": 0.7, "cold": 2.5, "growth": 1.1}
"""Least share of the slower half that reading reaches; most times that a cold opinion takes of
bare imports; most times that ten times as many films may take of memory."""

SOME = 24
"""Films that are made DICOM, evenly drawn."""

Work = Callable[[], object]


def rates(work: dict[str, Work], films: int, repeats: int) -> dict[str, float]:
    """Median films a second of each, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repeats):
        for name, do in work.items():
            begun = time.perf_counter()
            do()
            seconds[name].append(time.perf_counter() - begun)
    return {name: round(films / statistics.median(s), 1) for name, s in seconds.items()}


def halves(reader: Reader, films: Sequence[Path], repeats: int) -> dict[str, Any]:
    """Decoding alone, the network alone, and both as the reader has them."""
    how = reader.bundle.card.preprocess
    session = reader.session

    def decoded(path: Path) -> Any:
        return preprocess(decode(path, reduce_to=how.first), how)

    def network(pixels: Any) -> None:
        session.run([OUTPUTS[0]], {INPUT: pixels[None]})

    def overlays() -> None:
        for opinion in reader.read_many(films, heat=True):
            if opinion.pixels is not None and opinion.heat is not None:
                overlay_at_aspect(opinion.pixels, opinion.heat, None, opinion.aspect or 1.0)

    with ThreadPoolExecutor(reader.threads) as pool:
        pixels = list(pool.map(decoded, films))  # and the libraries are loaded
        found = rates(
            {
                "decode": lambda: list(pool.map(decoded, films)),
                "network": lambda: list(pool.map(network, pixels)),
                "read": lambda: list(reader.read_many(films)),
                "read_with_heat": lambda: list(reader.read_many(films, heat=True)),
                "read_with_overlays": overlays,
                "decode_one_thread": lambda: list(map(decoded, films)),
                "network_one_thread": lambda: list(map(network, pixels)),
            },
            len(films),
            repeats,
        )
    slower = min(found["decode"], found["network"])
    both = 1 / (1 / found["decode"] + 1 / found["network"])
    return {
        "films": len(films),
        "threads": reader.threads,
        "films_a_second": found,
        "share_of_slower": round(found["read"] / slower, 3),
        "share_of_slower_with_heat": round(found["read_with_heat"] / slower, 3),
        "most_that_share_could_be": round(both / slower, 3),
        "share_of_slower_on_one_thread": round(
            found["read"] / min(found["decode_one_thread"], found["network_one_thread"]), 3
        ),
        "bar": BARS["share"],
        "met": found["read"] / slower >= BARS["share"],
    }


def ours(*films: Path, out: Path, bundle: Bundle) -> Cost:
    """One `firstread read` into a file that was not there."""
    command = [sys.executable, "-m", "firstread.cli.main", "read", *films, "--json", out]
    one = len(films) == 1 and films[0].is_file()
    return run([*command, "--bundle", bundle.path], opinions=None if one else out)[0]


def cold(film: Path, bundle: Bundle, repeats: int, work: Path) -> dict[str, Any]:
    imports, read = [], []
    for turn in range(repeats):
        imports.append(run([sys.executable, "-c", "import onnxruntime, numpy, PIL"])[0])
        read.append(ours(film, out=work / f"cold-{turn}.json", bundle=bundle))
    times = [statistics.median(c.wall_s for c in costs) for costs in (imports, read)]
    return {
        "imports_median_s": round(times[0], 3),
        "ours_median_s": round(times[1], 3),
        "times_imports": round(times[1] / times[0], 2),
        "bar": BARS["cold"],
        "met": times[1] / times[0] <= BARS["cold"],
        "imports_peak_mib": max(c.peak_mib for c in imports),
        "ours_peak_mib": max(c.peak_mib for c in read),
    }


def against_torch(
    films: Sequence[Path], bundle: Bundle, python: Path, repeats: int, work: Path
) -> dict[str, Any]:
    table = work / "films.csv"
    with table.open("w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([("file",), *((path,) for path in films)])
    peer, own = [], []
    for turn in range(repeats):
        command = [python, HERE / "peer_torch.py", "--films", table, "--out", work / "peer.csv"]
        peer.append(run(command)[0])
        own.append(ours(*films, out=work / f"ours-{turn}.json", bundle=bundle))
    return {"films": len(films), **compare(peer, own, None)}


def memory(films: Sequence[Path], bundle: Bundle, work: Path) -> dict[str, Any]:
    peaks = {}
    for n in (1000, 10_000):
        folder = work / str(n)
        folder.mkdir()
        for i in range(n):
            path = films[i % len(films)]
            (folder / f"{i:05}{path.suffix}").symlink_to(path.resolve())
        cost = ours(folder, out=work / f"{n}.json", bundle=bundle)
        peaks[str(n)] = {"peak_mib": cost.peak_mib, "wall_s": cost.wall_s}
    growth = peaks["10000"]["peak_mib"] / peaks["1000"]["peak_mib"]
    return {
        "films": peaks,
        "growth": round(growth, 3),
        "bar": BARS["growth"],
        "met": growth <= BARS["growth"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    data = os.environ.get("FIRSTREAD_DATA")
    add("--films", type=Path, default=Path(data, "chest_xray_original") if data else None)
    add("--tasks", default="jpeg,dicom,jpeg2000,cold,torch,memory")
    add("--bundle", type=Path, help="another bundle than the shipped one")
    add("--repeats", type=int, default=5)
    add("--limit", type=int, default=0, help="only so many films, for a dry run")
    add("--peer-python", type=Path, default=HERE.parent / ".venv-bench" / "bin" / "python")
    add("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    if args.films is None:
        parser.error("set FIRSTREAD_DATA, or name --films")
    bundle = Bundle.load(args.bundle)
    reader = Reader(bundle, engine=ENGINES[0])
    films = find_films([args.films])[: args.limit or None]
    by_bytes = sorted(films, key=lambda p: p.stat().st_size)
    detector = films[:: max(1, len(films) // SOME)][:SOME]
    report: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": versions(["firstread", "onnxruntime", "numpy", "pillow", "pydicom"]),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256[:12]},
        "repeats": args.repeats,
        "tasks": {},
    }
    for task in args.tasks.split(","):
        with tempfile.TemporaryDirectory() as tmp:
            work = Path(tmp)
            if task == "jpeg":
                done = halves(reader, films, args.repeats)
            elif task in {"dicom", "jpeg2000"}:
                write_films(work / task, detector, task == "jpeg2000")
                done = halves(reader, find_films([work / task]), args.repeats)
            elif task == "cold":
                done = cold(by_bytes[len(films) // 2], bundle, max(args.repeats, 9), work)
            elif task == "torch":
                some = films[:: max(1, len(films) // 100)]
                report["versions"] |= versions(["torch", "scikit-image"], args.peer_python)
                done = against_torch(some, bundle, args.peer_python, 2, work)
            elif task == "memory":
                done = memory(films, bundle, work)
            else:
                parser.error(f"no task {task}")
        report["tasks"][task] = done
        print(task, json.dumps(done), flush=True)
        write_atomic(args.out, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
