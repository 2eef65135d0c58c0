"""No command writes over what it reads."""

from pathlib import Path

import pytest

from firstread.cli.main import main
from firstread.cohort.inputs import keep_inputs
from firstread.cohort.synthetic import write_folder
from firstread.errors import OutputError


def test_tables_and_films_are_kept(tmp_path: Path) -> None:
    table, film, other = (tmp_path / name for name in ("a.csv", "f/a.png", "b.json"))
    film.parent.mkdir()
    for path in (table, film, other):
        path.write_text("x")
    link = tmp_path / "link.csv"
    link.symlink_to(table)
    for out in (table, tmp_path / "f/../a.csv", link, film):
        with pytest.raises(OutputError, match="would be written over"):
            keep_inputs([None, out], [table, None], [film])
    keep_inputs([other, tmp_path / "new.json"], [table], [film])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="named for two outputs"):
        keep_inputs([tmp_path / "a", tmp_path / "b" / ".." / "a"], [])
    keep_inputs([Path("/dev/null"), Path("/dev/null")], [])


def test_the_verbs_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = write_folder(tmp_path / "films", 6, size=48)
    film = next(films.rglob("*.jpeg"))
    table = tmp_path / "t.csv"
    rows = "".join(f"{p},{p.parent.name}\n" for p in sorted(films.rglob("*.jpeg")))
    table.write_text(f"file,label\n{rows}")
    before = table.read_bytes(), film.read_bytes()
    for command in (
        ["data", "split", str(table), "--by", "patient", "--out", str(table)],
        ["data", "split", str(films), "--by", "patient", "--out", str(film)],
        ["data", "check", str(table), "--json", str(table)],
        ["evaluate", "shipped", "--data", str(table), "--json", str(table)],
        ["evaluate", "shipped", "--data", str(table), "--html", str(film)],
    ):
        assert main(command) == 2
        assert "would be written over" in capsys.readouterr().err
    both = ["--json", str(tmp_path / "x"), "--html", str(tmp_path / "x")]
    assert main(["evaluate", "shipped", "--data", str(table), *both]) == 2
    assert "named for two outputs" in capsys.readouterr().err
    assert before == (table.read_bytes(), film.read_bytes())


def test_runs_and_bundles_are_kept_and_reports_beside_them_are_not(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    card, run, report = (tmp_path / n for n in ("bundle/card.json", "run.json", "metrics.json"))
    for path in (card, run, report):
        path.write_text("{}")
    for out in (card, run):
        with pytest.raises(OutputError, match="would be written over"):
            keep_inputs([out], [tmp_path])
    with pytest.raises(OutputError, match="would be written over"):
        keep_inputs([card], [tmp_path / "bundle"])
    keep_inputs([report], [tmp_path])
