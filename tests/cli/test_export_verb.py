"""The verb `export`: a run's bundle in a folder of its own, or why not."""

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from firstread.cli.main import main
from firstread.read.bundle import Bundle
from runs_for_tests import write_run


def export(*words: object) -> int:
    return main(["export", *map(str, words)])


def test_a_runs_bundle_is_copied_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", noise=1.0)
    out = tmp_path / "deep" / "bundle"
    assert export(run, "--out", out) == 0
    assert f"tiny written to {out}" in capsys.readouterr().out
    made, old = Bundle.load(out), Bundle.load(run / "bundle")
    assert made.onnx_path.read_bytes() == old.onnx_path.read_bytes()
    assert made.card.raw == old.card.raw


def test_a_name_of_ones_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", noise=1.0)
    assert export(run, "--out", tmp_path / "bundle", "--name", "ward-3") == 0
    assert Bundle.load(tmp_path / "bundle").name == "ward-3"


def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"

    def says(text: str, run: Path) -> None:
        assert export(run, "--out", out) == 2
        err = capsys.readouterr().err
        assert text in err
        assert err.count("\n") == 1
        assert not out.exists()

    says("not a training run", tmp_path / "nowhere")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text("{}")
    says("not finished, or its bundle is gone; run the same `firstread train` again", unfinished)
    (tmp_path / "study.db").write_bytes(b"")
    says(f"firstread train {unfinished / 'recipe.json'}", unfinished)
    changed = write_run(tmp_path / "changed", noise=1.0)
    model = changed / "bundle" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    says("changed", changed)
