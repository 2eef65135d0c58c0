"""Mean and spread over seeds, by hand, and only of runs that belong together."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from runs_for_tests import write_run

SCRIPT = Path(__file__).parents[1] / "scripts" / "seeds.py"


@pytest.fixture
def seeds(monkeypatch):
    spec = importlib.util.spec_from_file_location("seeds", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["seeds.py", *map(str, words)])
        return module.main()

    module.run = run
    return module


def a_run(folder, seed, size=128, **how):
    write_run(folder, 0.5 + seed / 4, **how)
    record = json.loads((folder / "run.json").read_text())
    record |= {"name": "default", "recipe": {"seed": seed, "size": size}, "git": {"commit": "c"}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_mean_and_t_interval_by_hand(seeds):
    # sd 1, three values: half width 4.3027 / sqrt(3)
    found = seeds.spread([1.0, 2.0, 3.0])
    assert (found["value"], found["sd"]) == (2.0, 1.0)
    assert found["low"] == pytest.approx(2 - 2.48416, abs=1e-5)
    assert found["high"] == pytest.approx(2 + 2.48416, abs=1e-5)


def test_runs_become_a_json(seeds, tmp_path, capsys):
    runs = [a_run(tmp_path / f"s{i}", i) for i in range(3)]
    out = tmp_path / "seeds.json"
    assert seeds.run(*runs, "--json", out) == 0
    r = json.loads(out.read_text())
    assert r["auc"]["low"] < r["auc"]["value"] < r["auc"]["high"]
    assert r["auc"]["values"] == [e["auc"] for e in r["runs"]]
    assert r["seeds"] == [0, 1, 2]
    assert r["runs"][1]["git"] == {"commit": "c"}
    assert "firstread train default --seed 1" in r["runs"][1]["command"]
    assert str(tmp_path) not in out.read_text()
    assert capsys.readouterr().out.startswith("auc")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"seed": 1, "size": 64}, "another recipe"),
        ({"seed": 0}, "one seed"),
        ({"seed": 1, "skip": 3}, "other validation films"),
    ],
)
def test_runs_that_differ_in_more_are_refused(seeds, tmp_path, capsys, other, says):
    runs = [a_run(tmp_path / "a", 0), a_run(tmp_path / "b", **other)]
    assert seeds.run(*runs, "--json", tmp_path / "seeds.json") == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "seeds.json").exists()
