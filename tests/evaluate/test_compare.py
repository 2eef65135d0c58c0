"""Comparison of runs: paired on what they share, corrected, drawn, and calm on bad runs."""

import json

import pytest

from firstread.errors import RunError
from firstread.evaluate.compare import compare_runs, holm, write_comparison
from firstread.evaluate.runs import load_run, load_runs, reading_times
from runs_for_tests import write_run


def no_times(runs):
    return [1.0 + i for i in range(len(runs))]


@pytest.fixture
def two(tmp_path):
    return [write_run(tmp_path / "sure", 0.2), write_run(tmp_path / "unsure", 3.0, seconds=None)]


def test_a_clear_difference_is_found(two):
    result = compare_runs(two, "firstread compare", no_times)
    assert result["best"] == "sure"
    assert (result["films"], result["positives"], result["patients"]) == (200, 100, 67)
    sure, unsure = result["runs"]
    assert sure["against_best"] is None
    against = unsure["against_best"]
    assert against["mcnemar_p_holm"] < 0.001
    assert against["delong_p_holm"] < 0.001
    assert against["finding"] == "less accurate, lower AUC"
    difference = against["accuracy_difference"]
    assert difference["low"] < difference["value"] < difference["high"] < 0
    assert difference["value"] == pytest.approx(
        unsure["accuracy"]["value"] - sure["accuracy"]["value"]
    )
    assert sure["train_seconds"] == 60.0
    assert unsure["train_seconds"] is None
    json.dumps(result, allow_nan=False)


def test_equal_runs_show_no_difference(tmp_path):
    runs = [write_run(tmp_path / name, 1.0, size=size) for name, size in (("b", 64), ("a", 32))]
    result = compare_runs(runs, "", lambda runs: [9.0, 1.0])
    assert result["best"] == "a"  # equally accurate, and the faster reader
    against = result["runs"][0]["against_best"]
    assert against["mcnemar_p"] == 1.0
    assert against["finding"] == "no difference shown"


def test_only_common_films_count(tmp_path):
    runs = [write_run(tmp_path / "a", 1.0), write_run(tmp_path / "b", 1.0, skip=20)]
    result = compare_runs(runs, "", no_times)
    assert result["films"] == 180
    assert result["left_out"] == {"a": 20}


def test_the_page_is_whole(two, tmp_path):
    result = compare_runs(two, "firstread compare sure unsure", no_times)
    write_comparison(tmp_path / "out" / "table.html", result)
    text = (tmp_path / "out" / "table.html").read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "<script" not in text
    for words in ("sure (best)", "McNemar", "DeLong", "Training time (minutes)", "Not a medical"):
        assert words in text
    assert "firstread compare sure unsure" in text


def test_holm_by_hand():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_reading_is_timed(two):
    times = reading_times(load_runs(two), films=9)
    assert len(times) == 2
    assert all(0 < t < 1000 for t in times)


def test_runs_of_one_name_are_told_apart(tmp_path):
    runs = [write_run(tmp_path / up / "run", 1.0) for up in ("x", "y")]
    assert [r.name for r in load_runs(runs)] == ["x/run", "y/run"]
    with pytest.raises(RunError, match="named twice"):
        load_runs([runs[0], tmp_path / "x" / ".." / "x" / "run"])


def test_runs_that_cannot_be_compared(tmp_path):
    a = write_run(tmp_path / "a", 1.0, n=20)
    with pytest.raises(RunError, match="two runs"):
        compare_runs([a])
    with pytest.raises(RunError, match=r"no validation film.*--split"):
        compare_runs([a, write_run(tmp_path / "b", 1.0, n=20, prefix="other")], "", no_times)
    turned = write_run(tmp_path / "c", 1.0, n=20)
    text = (turned / "val.csv").read_text()
    (turned / "val.csv").write_text(text.replace("3.jpeg,1", "3.jpeg,0"))
    with pytest.raises(RunError, match="disagree"):
        compare_runs([a, turned], "", no_times)


def test_other_films_of_the_same_names_are_not_compared(tmp_path):
    runs = [write_run(tmp_path / name, 1.0, n=20) for name in "ab"]
    for run in runs:
        rows = "".join(f"{i}.jpeg,{run.name}{i}\n" for i in range(20))
        (run / "split.csv").write_text(f"file,sha256\n{rows}")
    with pytest.raises(RunError, match="is another film in each of the runs"):
        compare_runs(runs, "", no_times)
    (runs[0] / "split.csv").write_text("nothing\n1\n")
    with pytest.raises(RunError, match=r"split.csv: damaged"):
        compare_runs(runs, "", no_times)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("val.csv", None, "missing or damaged"),
        ("val.csv", "file,label\nx,1\n", "needs the columns"),
        ("val.csv", "file,label,patient,logit\n", "names no films"),
        ("val.csv", "file,label,patient,logit\nx,1,p,nan\n", "cannot be read"),
        ("val.csv", "file,label,patient,logit\nx,1\n", "cannot be read"),
        ("val.csv", "file,label,patient,logit\nx,1,p,2\nx,1,p,2\n", "twice"),
        ("run.json", None, "missing or damaged"),
        ("run.json", "{", "missing or damaged"),
        ("run.json", "[]", "missing or damaged"),
        ("bundle/model.onnx", "changed", "delete it and run the same `firstread train` again"),
        ("bundle/card.json", None, "run the same `firstread train` again"),
    ],
)
def test_a_broken_run_is_named_in_one_line(tmp_path, name, content, says):
    folder = write_run(tmp_path / "run", 1.0, n=4)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(RunError, match=says) as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        load_run(tmp_path / "none")


def test_runs_that_were_chosen_here_are_told(tmp_path):
    search = tmp_path / "search"
    runs = [write_run(tmp_path / "plain", 0.2), write_run(search / "trial-003", 1.0, seconds=1.0)]
    (search / "study.db").write_bytes(b"")
    record = runs[1] / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"recipe": {"patience": 5}}))
    epoch, trial = compare_runs(runs, "", no_times)["warnings"]
    assert "trial-003: its epoch was chosen" in epoch
    assert "a trial of a search" in trial
    assert compare_runs([runs[0], write_run(tmp_path / "b", 1.0)], "", no_times)["warnings"] == []


def test_runs_that_differ_in_who_the_patients_are_are_told(two):
    table = two[1] / "val.csv"
    kept = table.read_text()
    table.write_text(kept.replace(",p1", ",child1"))  # the same patients by other names
    assert compare_runs(two, time_reading=no_times)["warnings"] == []
    table.write_text(kept.replace(",p1,", ",p2,"))
    for runs in (two, two[::-1]):
        (said,) = compare_runs(runs, time_reading=no_times)["warnings"]
        assert f"by {runs[1].name} than by {runs[0].name}, which counts" in said
