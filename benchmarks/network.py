"""What the bundle's network costs beside a plain MobileNetV2 of 224 px, on one thread.

Both as ONNX graphs in onnxruntime, one film at a time, in turns: the bundle's with all that reading
takes from it (logit, map and gate; its mirrored half and what it does to a film first are inside),
the other with its logit alone. Needs the extra `train`, which draws the MobileNetV2.

    python benchmarks/network.py --json benchmarks/results/network.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from firstread.film.files import write_atomic
from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.read.bundle import Bundle
from firstread.train.export import to_onnx
from measure import machine, versions

SIDE, BAR = 224, 2.0
"""Pixels of the plain network's film; most times its time that the bundle's network may take."""


def session(graph: bytes | str) -> Any:
    """One thread, one film, as the reader has it."""
    import onnxruntime as ort  # after firstread, which keeps it from reporting its use

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("n", 1)
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="another bundle than the shipped one")
    parser.add_argument("--repeats", type=int, default=15, help="rounds, in turns")
    parser.add_argument("--films", type=int, default=40, help="films a round")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    bundle = Bundle.load(args.bundle)
    size = bundle.card.preprocess.size
    plain = to_onnx(build_net("mobilenet_v2", SIDE, 0.0, Weights(SCRATCH, {})), SIDE)
    ours, rng = session(str(bundle.onnx_path)), np.random.default_rng(0)
    runs = {
        "mobilenet_v2": (session(plain), ["logit"], SIDE),
        "bundle": (ours, [out.name for out in ours.get_outputs()], size),
    }
    took: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(1 + args.repeats):
        for name, (network, wanted, side) in runs.items():
            films = rng.integers(0, 256, (args.films, 1, side, side), np.uint8)
            begun = time.perf_counter()
            for film in films:
                network.run(wanted, {"film": film})
            if turn:  # the first warms up
                took[name].append((time.perf_counter() - begun) / args.films * 1e3)
    pairs = [a / b for a, b in zip(took["bundle"], took["mobilenet_v2"], strict=True)]
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(["onnxruntime", "numpy"]),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256[:12], "size": size},
        "repeats": args.repeats,
        "films": args.films,
        "ms_a_film": {name: round(statistics.median(ms), 2) for name, ms in took.items()},
        "times": round(statistics.median(pairs), 2),
        "times_of_pairs": [round(pair, 2) for pair in sorted(pairs)],
        "bar": BAR,
    }
    write_atomic(args.json, json.dumps(report, indent=1) + "\n")
    print(json.dumps({k: report[k] for k in ("ms_a_film", "times", "bar")}))


if __name__ == "__main__":
    main()
