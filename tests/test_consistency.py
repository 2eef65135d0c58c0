"""The consistency study, on synthetic films whose copies are made as the public ones are."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")

from bundles import tiny_bundle
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import load_cohort
from firstread.film import Preprocess, decode, preprocess

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "consistency.py"


@pytest.fixture
def consistency(monkeypatch):
    spec = importlib.util.spec_from_file_location("consistency", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "consistency", module)
    spec.loader.exec_module(module)
    return module


def test_weighted_quantiles_are_those_of_repeated_values(consistency):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=9), rng.integers(0, 4, (20, 9)).astype(float)
    for q in (0.5, 0.95):
        want = [
            np.quantile(np.repeat(values, w.astype(int)), q, method="inverted_cdf") for w in weights
        ]
        assert consistency.quantile(values, weights, q) == pytest.approx(want)


def test_the_study_runs_and_names_its_films(consistency, tmp_path, monkeypatch, capsys):
    originals, copies = tmp_path / "chest_xray_original", tmp_path / "chest_xray" / "train"
    write_folder(originals, 6, size=120)
    for path in originals.rglob("*.jpeg"):
        to = copies / path.relative_to(originals)
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(preprocess(decode(path), Preprocess(64))).save(to, quality=75)
    run = tmp_path / "run"
    tiny_bundle(run / "bundle")
    split = make_split(load_cohort(tmp_path / "chest_xray"), SplitPlan(fraction=0.5))
    save_split(split, run / "split.csv")
    monkeypatch.setenv("FIRSTREAD_DATA", str(tmp_path))
    out = tmp_path / "out" / "consistency.json"
    monkeypatch.setattr(sys, "argv", ["consistency.py", "--run", str(run), "--json", str(out)])
    consistency.main()
    r = json.loads(out.read_text())
    assert str(tmp_path) not in out.read_text()
    assert r["command"].startswith("python benchmarks/consistency.py --run $FIRSTREAD_DATA/run")
    assert r["all_films"]["copy"]["copy"]["films"] == 12
    new = r["untrained_patients"]["copy"]["copy"]
    assert new["films"] == len(split.part("val"))
    # The tiny model's logit is ten times the mean brightness: hardly moved by any storage.
    for group in ("copy", "stretch", "jpeg"):
        for found in r["all_films"][group].values():
            assert 0 <= found["calibrated_logit"]["median"]["value"] < 0.1
    assert set(new["bars"]) == {"median", "p95", "changed"}
    assert r["all_films"]["crop"]["of width"]["raw_logit"]["max"] > 0.01
    assert "untrained_patients" in capsys.readouterr().out
