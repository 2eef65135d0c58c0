"""run.json: what it tells of where the code came from, and what no record is."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import load_cohort
from firstread.errors import RunError
from firstread.train import record


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_below_another_project_its_commit_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `.venv/lib/.../site-packages/firstread` of somebody's project."""

    def git(*words: str) -> None:
        told = ("-c", "user.name=n", "-c", "user.email=e@x")
        subprocess.run(["git", "-C", str(tmp_path), *told, *words], check=True, capture_output=True)

    file = tmp_path / "lib" / "record.py"
    file.parent.mkdir()
    file.write_text("")
    monkeypatch.setattr(record, "__file__", str(file))
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "theirs")
    assert record._git_state() == {"commit": None, "clean": None}
    git("add", "lib")
    git("commit", "-q", "-m", "ours")
    state = record._git_state()
    assert state["clean"] is True
    assert len(state["commit"]) == 40
    index = tmp_path / ".git" / "index"
    before = index.read_bytes()
    os.utime(file, (1e9, 1e9))  # what the index tells of it is old, and git would like to renew it
    assert record._git_state()["clean"] is True
    assert index.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", "7", '"a"', "[1]", "null"])
def test_a_record_that_is_none_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match="damaged"):
        record.taken_up(tmp_path, "identity", "films")


def test_a_split_that_lost_films_is_told_and_not_another_run(tmp_path: Path) -> None:
    films = load_cohort(write_folder(tmp_path / "films", 12, size=16))
    split = make_split(films, SplitPlan())
    kept = tmp_path / "run" / "split.csv"
    save_split(split, kept)
    state = {"identity": "as begun", "data_sha256": split.data_hash()}
    (tmp_path / "run" / "run.json").write_text(json.dumps(state))
    with pytest.raises(RunError, match="holds another run"):
        record.taken_up(tmp_path / "run", "another", "films")
    lines = kept.read_text().splitlines(keepends=True)
    for left in (lines[:-1], lines[:1], ["firstread\n"], ['"'], []):
        kept.write_text("".join(left))
        assert record.taken_up(tmp_path / "run", "as begun", "films") == state
        with pytest.raises(RunError, match=r"split\.csv: damaged; delete it"):
            record.taken_up(tmp_path / "run", "another", "films")
