"""Mean and spread over seeds, by hand, and only of runs that belong together."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from firstread.read.bundle import Bundle
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


def a_result(bundle, films, low, given="films.csv"):
    """What `firstread evaluate` writes, as far as it is looked at here."""
    estimate = {"value": low}
    return {
        "auc": estimate,
        "bundle": {"sha256": bundle},
        "data": {"given": given, "part": "val", "films": 4, "sha256": films},
        "occlusion": [{"how": "box", "auc": estimate, "distance_left": None}],
        "heat_energy": {"lift": {"value": 1.5}},
        "groups": {
            "view": [{"value": "PA", "auc": {"value": 0.5}}, {"value": "AP", "auc": {"value": low}}]
        },
        "command": f"firstread evaluate {bundle[:4]}",
    }


@pytest.fixture
def two_runs(tmp_path):
    """Runs of two seeds, and the sha256 of their bundles, which differ."""
    runs = [a_run(tmp_path / f"s{i}", i) for i in range(2)]
    for i, run in enumerate(runs):
        data = {"source": str(i), "films": 1, "patients": 1, "sha256": "0" * 64}
        shutil.rmtree(run / "bundle")
        tiny_bundle(run / "bundle", data=data)
    return runs, [Bundle.load(run / "bundle").sha256 for run in runs]


def written(folder, *results):
    files = [folder / f"{i}.json" for i in range(len(results))]
    for file, result in zip(files, results, strict=True):
        file.write_text(json.dumps(result))
    return files


def test_studies_are_put_together_by_their_films(seeds, two_runs, tmp_path, capsys):
    runs, (a, b) = two_runs
    files = written(
        tmp_path,
        a_result(a, "x", 0.6),
        a_result(b, "y", 0.9, "other.csv"),
        a_result(b, "x", 0.2),
        a_result(a, "y", 0.7, "other.csv"),
    )
    out = tmp_path / "seeds.json"
    assert seeds.run(*runs, "--studies", *files, "--json", out) == 0
    here, there = json.loads(out.read_text())["studies"]
    assert (here["given"], here["films"], here["sha256"]) == ("films.csv", 4, "x")
    assert here["box_auc"]["values"] == [0.6, 0.2]
    assert here["box_auc_either_way"]["values"] == [0.6, 0.8]
    assert here["box_auc"]["value"] == pytest.approx(0.4)
    assert here["lift"]["sd"] == 0
    assert there["box_auc_either_way"]["values"] == [0.7, 0.9]
    assert here["auc_within_view"]["values"] == [0.55, 0.35]
    assert "box_distance_left" not in here
    assert there["auc_view_AP"]["values"] == [0.7, 0.9]
    assert there["commands"] == [f"firstread evaluate {s[:4]}" for s in (a, b)]
    assert "other.csv, val:" in capsys.readouterr().out


def test_studies_of_other_models_or_too_few_are_refused(seeds, two_runs, tmp_path, capsys):
    runs, (a, b) = two_runs
    for says, results in (
        ("of none of the runs", [a_result("other", "x", 0.5)]),
        ("films.csv: not evaluated: s1", [a_result(a, "x", 0.5)]),
        ("the second of s0", [a_result(a, "x", 0.5), a_result(a, "x", 0.5), a_result(b, "x", 1)]),
    ):
        files = written(tmp_path, *results)
        assert seeds.run(*runs, "--studies", *files, "--json", tmp_path / "out.json") == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
