"""The verb `compare`: table on the terminal, page and numbers on disk."""

import json

import pytest

from firstread.cli.main import main
from runs_for_tests import write_run


@pytest.fixture
def two(tmp_path):
    return [
        str(write_run(tmp_path / "small", 3.0)),
        str(write_run(tmp_path / "large", 0.2, size=64, seconds=1200.0)),
    ]


def test_table_page_and_numbers(two, tmp_path, capsys):
    page, numbers = tmp_path / "out" / "table.html", tmp_path / "out" / "table.json"
    assert main(["compare", *two, "--html", str(page), "--json", str(numbers)]) == 0
    out = capsys.readouterr().out
    assert "* large" in out
    assert "20.0 min" in out
    assert "Not a medical device" in out
    result = json.loads(numbers.read_text())
    assert result["best"] == "large"
    assert result["runs"][0]["read_ms"] > 0
    assert "--json .../table.json" in result["command"]
    assert "large (best)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("wrong", [[], ["nowhere"]])
def test_one_line_and_nothing_written(two, tmp_path, capsys, wrong):
    page = tmp_path / "table.html"
    assert main(["compare", two[0], *wrong, "--html", str(page)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("firstread: ")
    assert err.count("\n") == 1
    assert not page.exists()


def test_a_page_that_cannot_be_written(two, tmp_path, capsys):
    assert main(["compare", *two, "--html", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
