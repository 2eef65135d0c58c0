"""firstread against the origin's pipeline, side by side on the same films.

Every task runs peer, ours, peer, ours, ... as whole processes, so that both meet the same
machine; the ratio is that of the medians. Ours starts each training with an empty decode cache, and
makes no gate, since the peer has none. Needs the peer's environment (README.md) and FIRSTREAD_DATA,
or --films.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.table import Cohort, load_cohort
from firstread.film.files import write_atomic
from firstread.read.bundle import Bundle
from measure import Cost, compare, machine, run, versions

HERE = Path(__file__).parent
PEER = HERE / "peer_keras.py"
BARS = {"cnn": 3.0, "vgg19": 25.0, "read": 5.0, "cold": 8.0}
COLD_MIB = 250.0
ACCURACY_POINTS = 1.0


class Bench:
    """The films, the two programs and a folder for what they leave."""

    def __init__(self, args: argparse.Namespace, work: Path) -> None:
        self.args = args
        self.work = work
        self.peer_python: Path = args.peer_python
        self.firstread = Path(sys.executable).with_name("firstread")
        self.films = _few(args.films, args.limit, work) if args.limit else args.films
        self.cohort = load_cohort(self.films)
        split = make_split(self.cohort, SplitPlan(by="patient", fraction=args.fraction))
        self.split = work / "split.csv"
        save_split(split, self.split)
        self.scored = _others(args.score, self.cohort, work) if args.score else None
        self.models: dict[str, Path] = {}

    def peer(self, *words: str | Path) -> tuple[Cost, dict[str, Any]]:
        """One sub-command of the peer; its cost and its JSON line."""
        cost, out = run([self.peer_python, PEER, *words])
        return cost, json.loads(out.strip().splitlines()[-1])

    def ours(self, *words: str | Path, opinions: Path | None = None) -> Cost:
        """One firstread command with an empty decode cache; its cost. `opinions`: as of `run`."""
        with tempfile.TemporaryDirectory(dir=self.work) as cache:
            return run([self.firstread, *words], {"FIRSTREAD_CACHE": cache}, opinions)[0]

    def turns(
        self, peer: Callable[[int], Cost], ours: Callable[[int], Cost], bar: float
    ) -> dict[str, Any]:
        """Peer, ours, peer, ours, ..."""
        a, b = [], []
        for turn in range(self.args.repeats):
            a.append(peer(turn))
            b.append(ours(turn))
            print(f"  peer {a[-1].wall_s:.2f} s, ours {b[-1].wall_s:.2f} s", flush=True)
        return compare(a, b, bar)

    def train(self, arch: str) -> dict[str, Any]:
        """The same films, split, epochs and seeds on both sides."""
        common = ["--films", self.films, "--split", self.split, "--epochs", str(self.args.epochs)]
        said: dict[str, list[float]] = {"peer": [], "ours": []}

        def peer(turn: int, precision: str = "float32") -> Cost:
            out = self.work / f"{arch}-{turn}.keras"
            words = ["--seed", str(turn), "--precision", precision, "--out", out]
            cost, said_now = self.peer(f"train-{arch}", *common, *words)
            if precision == "float32":
                said["peer"].append(said_now["val_accuracy"])
                self.models[f"peer-{arch}-{turn}"] = out
            return cost

        def ours(turn: int) -> Cost:
            out = self.work / f"{arch}-{turn}"
            cost = self.ours(
                "train", arch, "--data", self.films, "--split", self.split,
                "--weights", "none",  # neither side has ImageNet's: what is timed is the same
                "--epochs", str(self.args.epochs), "--seed", str(turn),
                "--device", "cpu", "--no-gate", "--out", out,
            )  # fmt: skip
            self.models[f"ours-{arch}-{turn}"] = out / "bundle"
            said["ours"].append(_right_at_half(out / "val.csv"))
            return cost

        result = self.turns(peer, ours, BARS[arch])
        result["val_accuracy"] = said
        if self.args.bf16:
            result["peer_mixed_bfloat16_s"] = peer(self.args.repeats, "mixed_bfloat16").wall_s
        if self.scored is not None:
            result["accuracy"] = self.score(arch)
        return result

    def score(self, arch: str) -> dict[str, Any]:
        """Accuracy at probability 0.5 on films of patients neither side has seen; not timed."""
        found: dict[str, list[float]] = {"peer": [], "ours": []}
        for turn in range(self.args.repeats):
            model = self.models[f"peer-{arch}-{turn}"]
            _, said = self.peer("score", "--films", self.scored, "--model", model)
            found["peer"].append(said["accuracy"])
            found["ours"].append(_score_ours(self.models[f"ours-{arch}-{turn}"], self.scored))
        means = {who: statistics.mean(values) for who, values in found.items()}
        return {
            "peer": [round(v, 4) for v in found["peer"]],
            "ours": [round(v, 4) for v in found["ours"]],
            "ours_minus_peer_points": round(100 * (means["ours"] - means["peer"]), 2),
            "met": 100 * (means["ours"] - means["peer"]) >= -ACCURACY_POINTS,
        }

    def reading(self, film: Path | None, bundle: Path | None) -> dict[str, Any]:
        """A folder of originals, or one film from a cold process."""
        model = self.models.get("peer-cnn-0") or self.fallback_model()
        bundle = bundle or self.args.bundle
        ours_bundle = ["--bundle", bundle] if bundle else []

        def peer(turn: int) -> Cost:
            if film:
                return self.peer("cold", "--films", film, "--model", model)[0]
            out = self.work / "peer.csv"
            return self.peer("read-folder", "--films", self.films, "--model", model, "--out", out)[
                0
            ]

        def ours(turn: int) -> Cost:
            out = self.work / f"{'one' if film else 'all'}-{turn}.json"
            words = ["read", film or self.films, "--json", out, *ours_bundle]
            return self.ours(*words, opinions=None if film else out)

        result = self.turns(peer, ours, BARS["cold" if film else "read"])
        result["ours_bundle"] = Bundle.load(bundle).name
        if film:
            result["memory_bar_mib"] = COLD_MIB
            result["memory_met"] = result["ours_peak_mib"] < COLD_MIB
        return result

    def fallback_model(self) -> Path:
        """The peer's CNN after one epoch, where no CNN task has left one; speed is the same."""
        out = self.work / "reader.keras"
        words = ["--films", self.films, "--split", self.split, "--epochs", "1", "--out", out]
        self.peer("train-cnn", *words)
        self.models["peer-cnn-0"] = out
        return out


def _few(films: Path, limit: int, work: Path) -> Path:
    """A folder of links to `limit` films a class, for trying the benchmark out."""
    few = work / "films"
    for name in ("NORMAL", "PNEUMONIA"):
        (few / name).mkdir(parents=True)
        for path in sorted((films / name).iterdir())[:limit]:
            (few / name / path.name).symlink_to(path.resolve())
    return few


def _others(folder: Path, seen: Cohort, work: Path, n_per_class: int = 500) -> Path:
    """A CSV (file, label) of films of patients who are not among those trained on."""
    known = set(seen.patients)
    rows = [r for r in load_cohort(folder).rows if r.patient not in known]
    rng = random.Random(0)
    chosen = []
    for label in (0, 1):
        of_class = [r for r in rows if r.label == label]
        chosen += rng.sample(of_class, min(n_per_class, len(of_class)))
    out = work / "scored.csv"
    with out.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("file", "label"))
        writer.writerows((r.path.resolve(), r.label) for r in chosen)
    return out


def _score_ours(bundle: Path, scored: Path) -> float:
    from firstread.read.reader import Reader

    with scored.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    opinions = Reader(bundle).read_many([r["file"] for r in rows])
    right = sum(
        o.logit is not None and (o.logit >= 0) == (r["label"] == "1")
        for o, r in zip(opinions, rows, strict=True)
    )
    return right / len(rows)


def _right_at_half(table: Path) -> float:
    with table.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    right = sum((float(r["logit"]) >= 0) == (r["label"] == "1") for r in rows)
    return round(right / len(rows), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("FIRSTREAD_DATA")
    add = parser.add_argument
    add("--films", type=Path, default=Path(data, "chest_xray_original") if data else None)
    add("--score", type=Path, default=Path(data, "chest_xray", "train") if data else None)
    add("--no-score", dest="score", action="store_const", const=None, help="skip the accuracy")
    add("--tasks", default="cnn,vgg19,read,cold", help="of: cnn, vgg19, read, cold")
    add("--epochs", type=int, default=10)
    add("--repeats", type=int, default=3)
    add("--fraction", type=float, default=0.25, help="share of the patients for validation")
    add("--limit", type=int, default=0, help="only so many films a class, for a dry run")
    add("--no-bf16", dest="bf16", action="store_false", help="leave Keras' bfloat16 run out")
    add("--bundle", type=Path, help="another bundle than the shipped one to read with")
    add("--peer-python", type=Path, default=HERE.parent / ".venv-bench" / "bin" / "python")
    add("--out", type=Path, required=True, help="JSON to write")
    args = parser.parse_args()
    if args.films is None:
        parser.error("set FIRSTREAD_DATA, or name --films")
    tasks = args.tasks.split(",")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        bench = Bench(args, Path(tmp))
        report: dict[str, Any] = {
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "load_before": round(os.getloadavg()[0], 2),
            "versions": {
                **versions(["firstread", "torch", "onnxruntime", "numpy", "pillow"]),
                **versions(["keras", "tensorflow-cpu"], args.peer_python),
            },
            "films": len(bench.cohort),
            "epochs": args.epochs,
            "repeats": args.repeats,
            "tasks": {},
        }
        by_bytes = sorted(bench.cohort.paths, key=lambda p: p.stat().st_size)
        one = by_bytes[len(by_bytes) // 2]
        for task in tasks:
            print(task, flush=True)
            done = report["tasks"]
            if task in ("cnn", "vgg19"):
                done[task] = bench.train(task)
            else:
                done[task] = bench.reading(one if task == "cold" else None, None)
                own = bench.models.get("ours-cnn-0")
                if own:
                    done[f"{task}_same_cnn"] = bench.reading(one if task == "cold" else None, own)
            write_atomic(args.out, json.dumps(report, indent=1) + "\n")
    for task, result in report["tasks"].items():
        verdict = "met" if result["met"] else "MISSED"
        print(f"{task}: {result['ratio']} times as fast (bar {result['bar']}, {verdict})")


if __name__ == "__main__":
    main()
