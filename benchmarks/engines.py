"""Would another engine, or fewer bits, read a bundle's films faster, and still read them the same?

The graph of a bundle on films at hand by onnxruntime in fp32, as the reader has it; by OpenVINO
in fp32 and bfloat16; and made int8 (weights and activations, static, calibrated on every fourth
of the films), by both. In turns, on one and on all threads. `whole` is what that makes of reading a
film, its decoding included, against onnxruntime in fp32.

Runs in the peer's environment (README.md), which has OpenVINO; firstread itself has not.

    PYTHONPATH=src FIRSTREAD_DATA=... .venv-bench/bin/python benchmarks/engines.py --out NAME.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from firstread.film import decode, preprocess
from firstread.film.files import find_films, write_atomic
from firstread.read.bundle import Bundle
from measure import machine, versions

PAYS = 1.3
"""Times as fast, whole, from which a second engine would be worth its weight."""

ALIKE = 0.1
"""Most by which the calibrated logit of 95 % of the films may move for that."""

Engine = Callable[[Any], float]


def by_onnxruntime(model: Path, threads: int) -> Engine:
    import onnxruntime as ort  # after firstread, which keeps it from reporting its use

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("n", 1)
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda film: float(session.run(["logit"], {"film": film[None]})[0][0])


def by_openvino(model: Path, threads: int, precision: str = "f32") -> Engine:
    import openvino

    core = openvino.Core()
    graph = core.read_model(model)
    graph.reshape({"film": [1, *list(graph.input("film").partial_shape)[1:]]})
    how = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(graph, "CPU", how)
    mine = threading.local()

    def read(film: Any) -> float:
        if not hasattr(mine, "request"):
            mine.request = compiled.create_infer_request()
        return float(mine.request.infer({"film": film[None]})["logit"].ravel()[0])

    return read


def quantised(model: Path, films: Any, folder: Path) -> Path:
    """The graph with int8 weights and activations, as QDQ, which both engines know."""
    from onnxruntime import quantization as q

    class Films(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(films[::4])

        def get_next(self) -> dict[str, Any] | None:
            film = next(self.left, None)
            return None if film is None else {"film": film[None]}

    ready, out = folder / "ready.onnx", folder / "int8.onnx"
    q.quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
    q.quantize_static(
        str(ready),
        str(out),
        Films(),
        quant_format=q.QuantFormat.QDQ,
        per_channel=True,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
        op_types_to_quantize=["Conv", "Add"],
    )
    return out


def differences(logits: Any, wanted: Any, bundle: Bundle) -> dict[str, Any]:
    """Of the calibrated logit, that is of the log odds users see; and of the calls."""
    card = bundle.card
    odds = [np.array([card.probability(float(v)) for v in values]) for values in (logits, wanted)]
    a, b = (np.log(np.clip(p, 1e-9, 1) / np.clip(1 - p, 1e-9, 1)) for p in odds)
    off = np.abs(a - b)
    return {
        "median": round(float(np.median(off)), 5),
        "p95": round(float(np.quantile(off, 0.95)), 5),
        "max": round(float(off.max()), 5),
        "changed_calls": int(((odds[0] >= card.threshold) != (odds[1] >= card.threshold)).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    data = os.environ.get("FIRSTREAD_DATA")
    add("--films", type=Path, default=Path(data, "chest_xray_original") if data else None)
    add("--bundle", type=Path, help="another bundle than the shipped one")
    add("--repeats", type=int, default=5)
    add("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    if args.films is None:
        parser.error("set FIRSTREAD_DATA, or name --films")
    bundle = Bundle.load(args.bundle)
    how, model = bundle.card.preprocess, bundle.onnx_path
    paths = find_films([args.films])
    cores = len(os.sched_getaffinity(0))

    def decoded(path: Path) -> Any:
        return preprocess(decode(path, reduce_to=how.first), how)

    films = np.stack([decoded(path) for path in paths])
    with tempfile.TemporaryDirectory() as tmp:
        int8 = quantised(model, films, Path(tmp))
        makers: dict[str, Callable[[int], Engine]] = {
            "onnxruntime fp32": lambda n: by_onnxruntime(model, n),
            "openvino fp32": lambda n: by_openvino(model, n),
            "openvino bf16": lambda n: by_openvino(model, n, "bf16"),
            "onnxruntime int8": lambda n: by_onnxruntime(int8, n),
            "openvino int8": lambda n: by_openvino(int8, n),
        }
        found: dict[str, dict[str, Any]] = {name: {} for name in makers}
        whole: dict[int, float] = {}
        logits: dict[str, Any] = {}
        for threads in sorted({1, cores}):
            engines = {name: make(threads) for name, make in makers.items()}
            seconds: dict[str, list[float]] = {name: [] for name in (*engines, "decode")}
            with ThreadPoolExecutor(threads) as pool:
                for engine in engines.values():
                    list(pool.map(engine, films[:16]))
                for _ in range(args.repeats):
                    for name, engine in engines.items():
                        begun = time.perf_counter()
                        logits[name] = np.array(list(pool.map(engine, films)))
                        seconds[name].append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    list(pool.map(decoded, paths))
                    seconds["decode"].append(time.perf_counter() - begun)
            middle = {name: statistics.median(s) for name, s in seconds.items()}
            whole[threads] = round(len(films) / middle["decode"], 1)
            base = middle["onnxruntime fp32"]
            for name in engines:
                found[name][f"threads_{threads}"] = {
                    "films_a_second": round(len(films) / middle[name], 1),
                    "times": round(base / middle[name], 2),
                    "whole": round(
                        (base + middle["decode"]) / (middle[name] + middle["decode"]), 2
                    ),
                }
    for name in found:
        found[name]["calibrated_logit"] = differences(
            logits[name], logits["onnxruntime fp32"], bundle
        )
        off = found[name]["calibrated_logit"]
        found[name]["reads_alike"] = off["p95"] <= ALIKE and not off["changed_calls"]
        found[name]["pays"] = (
            found[name]["reads_alike"] and found[name][f"threads_{cores}"]["whole"] >= PAYS
        )
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(["onnxruntime", "openvino", "numpy", "pillow"]),
        "bundle": {"name": bundle.name, "sha256": bundle.sha256[:12]},
        "films": len(films),
        "repeats": args.repeats,
        "bars": {"whole": PAYS, "p95": ALIKE},
        "decode_films_a_second": {f"threads_{n}": rate for n, rate in whole.items()},
        "engines": found,
    }
    write_atomic(args.out, json.dumps(report, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
