"""Several runs as one reader: their mean, with thresholds of its own."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from firstread.cohort.table import load_cohort
from firstread.errors import RunError
from firstread.read.bundle import Bundle
from firstread.train.ensemble import ensemble, merged
from firstread.train.point import reader_of
from firstread.train.run import train
from tiny_training import tiny_job


@pytest.fixture(scope="module")
def runs(films: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    made = [tmp_path_factory.mktemp("runs") / "run" for _ in range(2)]
    for seed, out in enumerate(made):
        train(tiny_job(films, out, gate=True, seed=seed, epochs=1))
    return made


def test_the_logit_is_the_members_mean_to_a_thousandth(runs: list[Path]) -> None:
    graphs = [(run / "bundle" / "model.onnx").read_bytes() for run in runs]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    alone = [reader_of(graph)(pixels) for graph in graphs]
    together = reader_of(merged(graphs))(pixels)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=5e-3)
    assert len(merged(graphs)) < 0.7 * sum(map(len, graphs))


def test_a_bundle_that_reads_as_both(runs: list[Path], films: Path, tmp_path: Path) -> None:
    bundle = ensemble(runs, load_cohort(films), tmp_path / "both", "both")
    assert Bundle.load(tmp_path / "both").name == "both"
    assert bundle.card.arch == "cnn + cnn"
    assert [m["recipe"]["seed"] for m in bundle.card.raw["training"]["members"]] == [0, 1]


def test_runs_without_a_gate_go_together_too(films: Path, tmp_path: Path) -> None:
    made = [tmp_path / str(seed) for seed in range(2)]
    for seed, out in enumerate(made):
        train(tiny_job(films, out, seed=seed, epochs=1))
    both = ensemble(made, load_cohort(films), tmp_path / "both", "both")
    told = [Bundle.load(run / "bundle").card.raw["data"]["trained_on"] for run in made]
    assert both.card.raw["data"]["trained_on"] == told[0] == told[1]
    train(tiny_job(films, tmp_path / "other", arch="resnet10", epochs=1))
    with pytest.raises(RunError, match="a map of another size"):
        ensemble([made[0], tmp_path / "other"], load_cohort(films), tmp_path / "x", "x")


def test_what_any_member_goes_on_from_is_told(
    runs: list[Path], films: Path, tmp_path: Path
) -> None:
    job = replace(tiny_job(films, tmp_path / "on", epochs=1), start=runs[1])
    train(job)
    card = ensemble([runs[0], job.out], load_cohort(films), tmp_path / "both", "both").card.raw
    origin = json.loads((job.out / "run.json").read_text())["start"]
    assert card["data"]["earlier_sha256"] == [origin["data_sha256"]]
    assert [m.get("start") for m in card["training"]["members"]] == [None, origin]


def test_runs_that_do_not_belong_together(runs: list[Path], films: Path, tmp_path: Path) -> None:
    cohort = load_cohort(films)
    with pytest.raises(RunError, match="not a training run"):
        ensemble([runs[0], tmp_path], cohort, tmp_path / "x", "x")
    for text, said in (("{", "damaged"), ("[]", "not finished"), ('{"finished": true}', "not fin")):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(RunError, match=said):
            ensemble([runs[0], tmp_path], cohort, tmp_path / "x", "x")
    shutil.copytree(runs[1], tmp_path / "bare")
    (tmp_path / "bare" / "split.csv").unlink()
    with pytest.raises(RunError, match="nobody can tell whom"):
        ensemble([runs[0], tmp_path / "bare"], cohort, tmp_path / "x", "x")
    with pytest.raises(RunError, match="named twice"):
        ensemble([*runs, runs[0] / ".." / runs[0].name], cohort, tmp_path / "x", "x")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("run.json", "bundle"):
        (other / name).symlink_to(runs[1] / name)
    text = (runs[1] / "split.csv").read_text()
    (other / "split.csv").write_text(text.replace(",val,", ",train,"))
    with pytest.raises(RunError, match="another split"):
        ensemble([runs[0], other], cohort, tmp_path / "x", "x")
    assert not (tmp_path / "x").exists()
