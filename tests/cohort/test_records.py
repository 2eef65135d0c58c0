"""Tables as people keep them, and those whose rows would slide in silence."""

import zipfile
from pathlib import Path

import pytest

from firstread.cohort.records import read_lines, read_records
from firstread.errors import TableError


def table(folder: Path, text: str) -> Path:
    (folder / "t.csv").write_text(text, encoding="utf-8", newline="")
    return folder / "t.csv"


def test_columns_and_a_dict_a_line(tmp_path: Path) -> None:
    path = table(tmp_path, 'file,note\r\n\r\na.png,"6"" pipe"\r\nb.png,"x,\r\ny"\r\nc.png\r\n')
    columns, records = read_records(path)
    assert columns == ["file", "note"]
    assert [r["file"] for r in records] == ["a.png", "b.png", "c.png"]
    assert [r["note"] for r in records] == ['6" pipe', "x,\r\ny", None]
    assert read_records(table(tmp_path, "")) == ([], [])


def test_a_quote_inside_of_a_cell_is_only_a_sign(tmp_path: Path) -> None:
    _, [record] = read_records(table(tmp_path, 'file,note\na.png,6" pipe\n'))
    assert record["note"] == '6" pipe'


@pytest.mark.parametrize("later", ["", 'd.png,"again\n'])
def test_a_stray_quote_swallows_no_rows(tmp_path: Path, later: str) -> None:
    text = f'file,note\na.png,x\nb.png,"oops\nc.png,x\n{later}'
    with pytest.raises(TableError, match="line 3 has a cell whose quotes"):
        read_records(table(tmp_path, text))


def test_a_stray_quote_among_the_columns(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="line 1 has a cell whose quotes"):
        read_records(table(tmp_path, 'file,"note\na.png,x\n'))


@pytest.mark.parametrize("row", ["b.png,1,Doe, J,5", "b.png,1,Doe, J,"])
def test_a_row_with_too_many_cells_is_refused(tmp_path: Path, row: str) -> None:
    text = f"file,label,patient,age\n\na.png,0,P1,4\n{row}\n"
    with pytest.raises(TableError, match="line 4 has 5 cells and the table 4 columns"):
        read_records(table(tmp_path, text))


def test_a_line_may_end_in_a_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label\na.png,0,\nb.png,1, \n")
    _, records = read_records(tmp_path / "t.csv")
    assert list(records) == [{"file": "a.png", "label": "0"}, {"file": "b.png", "label": "1"}]


def test_rows_of_nothing_but_separators_are_blank(tmp_path: Path) -> None:
    text = "file;label\n;\na.png;0\n ; \nb.png;1\n;\n;\n"
    _, lines = read_lines(table(tmp_path, text))
    assert [(n, r["file"]) for n, r in lines] == [(3, "a.png"), (5, "b.png")]


@pytest.mark.parametrize("head", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_that_tells_excel_what_parts_the_columns(tmp_path: Path, head: str) -> None:
    columns, lines = read_lines(table(tmp_path, f"{head}\r\nfile;label\r\na,b.png;0\r\n"))
    assert columns == ["file", "label"]
    assert lines == [(3, {"file": "a,b.png", "label": "0"})]


@pytest.mark.parametrize("head", ["sep=", 'sep="', "sep=a", "sep= "])
def test_what_can_part_no_columns_is_no_such_line(tmp_path: Path, head: str) -> None:
    """With "sep=" alone the end of the line was taken for it."""
    columns, _ = read_records(table(tmp_path, f"{head}\r\n"))
    assert columns[0].startswith("sep=")


def test_an_archive_is_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", bytes(range(256)))
    with pytest.raises(TableError, match="is packed; unpack it"):
        read_records(tmp_path / "films.zip")
