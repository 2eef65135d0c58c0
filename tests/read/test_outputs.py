import csv
import io
import json
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bundles import tiny_bundle
from firstread.errors import OutputError
from firstread.read.bundle import Bundle
from firstread.read.entry import entry_of
from firstread.read.opinion import Opinion, rejected
from firstread.read.outputs import (
    Table,
    check_folder,
    check_writable,
    csv_parts,
    files_of,
    json_line,
    json_parts,
    summary,
    write_outputs,
)
from firstread.read.page import page_parts

NOTICE = "Not a medical device. The model was trained on films of children of one to five years."


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.load(tiny_bundle(tmp_path / "tiny"))


def opinion(file: str, decision: str = "pneumonia", **more: object) -> Opinion:
    fields = {"probability": 0.9, "logit": 2.2, "threshold": 0.5, "notices": (NOTICE,)} | more
    return Opinion(file=file, decision=decision, **fields)  # type: ignore[arg-type]


def to_json(films: list[Opinion]) -> str:
    return b"".join(json_parts(map(entry_of, films))).decode()


def to_csv(films: list[Opinion]) -> str:
    return b"".join(csv_parts(map(entry_of, films))).decode()


def page_html(films: list[Opinion], bundle: Bundle, total: int | None = None) -> str:
    entries = [entry_of(film, pictured=True) for film in films]
    return "".join(page_parts(entries, Counter(f.decision for f in films), bundle, total))


def test_json_and_csv_say_the_same(bundle: Bundle) -> None:
    films = [opinion("a.png"), rejected("b.png", "damaged; copy it again", bundle)]
    listed = json.loads(to_json(films))
    rows = list(csv.DictReader(io.StringIO(to_csv(films))))
    assert [r["file"] for r in rows] == [x["file"] for x in listed] == ["a.png", "b.png"]
    assert float(rows[0]["probability"]) == listed[0]["probability"] == 0.9
    assert rows[1]["probability"] == ""
    assert listed[1]["probability"] is None
    assert all(NOTICE in r["notices"] for r in rows)
    assert all(NOTICE in x["notices"] for x in listed)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_file_name_becomes_a_formula(start: str) -> None:
    name = start + 'HYPERLINK("x"),y.png'
    row = next(csv.DictReader(io.StringIO(to_csv([opinion(name, logit=-3.5)]), newline="")))
    assert row["file"] == "'" + name
    assert row["logit"] == "-3.5"


def test_no_part_of_a_name_becomes_a_formula_where_semicolons_part_cells() -> None:
    """As a spreadsheet set to German opens the table: a cell begins after each semicolon."""
    name = "a;=HYPERLINK(1);-2+3;b;c = d.png"
    text = to_csv([opinion(name, "refer", reasons=(f"{name}: dim", "a; -b"), logit=-3.5)])
    cells = [cell for row in csv.reader(io.StringIO(text), delimiter=";") for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["file"] == "a;'=HYPERLINK(1);'-2+3;b;c = d.png"
    assert row["reasons"].endswith(": dim; a; -b")


def test_a_line_break_in_a_name_begins_no_cell() -> None:
    for end in "\r\n":
        name = f"a{end}=cmd|'!C calc'!A0.png"
        text = to_csv([opinion(name), opinion("b.png")])
        assert [len(row) for row in csv.reader(io.StringIO(text, newline=""))] == [14] * 3
        assert f'\n"{name}",' in text
        assert text.replace(name, "").count("\r") == 0


def test_page_is_offline_escaped_and_says_decisions_in_words(bundle: Bundle) -> None:
    heat = np.ones((4, 4), np.float32)
    pixels = np.zeros((32, 32), np.uint8)
    films = [
        opinion("<script>alert(1)</script>.png", heat=heat, pixels=pixels, aspect=1.25),
        opinion("n.png", "no pneumonia"),
        opinion("r.png", "refer", reasons=("in the band",)),
        rejected("x.png", "<b>damaged</b>", bundle),
    ]
    page = page_html(films, bundle)
    assert "<script" not in page
    assert "<b>damaged" not in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "http" not in page
    assert page.count("data:image/png;base64,") == 2
    assert "aspect-ratio: 1.2500" in page
    assert "looked most at" in page
    assert NOTICE in page
    for decision in ("pneumonia", "no pneumonia", "refer", "rejected"):
        assert page.count(f'">{decision}</span>') == 2
    assert "Stopped early" not in page
    assert "4 of 9 films" in page_html(films, bundle, total=9)


def test_no_mark_in_a_name_turns_the_page_round(bundle: Bundle) -> None:
    """U+202E shows what follows from right to left; letters of Arabic and spaces are no marks."""
    name = "a\u202egnp\u2066\x1b \u00a0\u0639\u0631\u0628.png"
    page = page_html([rejected(name, f"{name}: broken; copy it again", bundle)], bundle)
    assert not {"\u202e", "\u2066", "\x1b"} & set(page)
    assert page.count("a?gnp?? \u00a0\u0639\u0631\u0628.png") == 2


def test_odd_names_survive_every_output(bundle: Bundle, tmp_path: Path) -> None:
    name = "bild-\udcff-\N{CJK UNIFIED IDEOGRAPH-80BA}.png"
    written = write_outputs(
        lambda: [entry_of(opinion(name))],
        {"pneumonia": 1},
        bundle,
        json_path=tmp_path / "o.json",
        csv_path=tmp_path / "o.csv",
        html_path=tmp_path / "o.html",
    )
    assert [p.name for p in written] == ["o.json", "o.csv", "o.html"]
    assert json.loads((tmp_path / "o.json").read_text())[0]["file"] == name


def test_writability_is_checked_without_a_trace(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(b"film")
    films = files_of([film, tmp_path / "gone.png"])
    check_writable(tmp_path / "new" / "folder" / "out.json", films)
    assert [p.name for p in tmp_path.iterdir()] == ["film.png"]
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path, films)
    with pytest.raises(OutputError, match="one of the films"):
        check_writable(tmp_path / "." / "film.png", films)
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(film / "below.json", films)


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_links_are_followed_to_where_they_lead(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(b"film")
    os.link(film, tmp_path / "hard")
    for name, to in (
        ("soft", "film.png"),
        ("loop", "loop"),
        ("nowhere", "gone/o.json"),
        ("new", "o.json"),
    ):
        (tmp_path / name).symlink_to(to)
    for name, says in (
        ("hard", "one of the films"),
        ("soft", "one of the films"),
        ("loop", "a link that leads nowhere"),
        ("nowhere", "a link that leads nowhere"),
        ("loop/o.json", "cannot be written"),
        ("nowhere/o.json", "cannot be written"),
    ):
        with pytest.raises(OutputError, match=says):
            check_writable(tmp_path / name, files_of([film]))
    for name in ("loop", "nowhere", "nowhere/below"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_folder(tmp_path / name)
    check_writable(tmp_path / "new", files_of([film]))
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.skipif(os.name == "nt", reason="devices")
def test_a_pipe_or_a_device_is_written_to_and_nothing_beside_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = tmp_path.stat().st_mtime_ns
    check_writable(tmp_path / "pipe", set())
    check_writable(Path(os.devnull), set())
    assert tmp_path.stat().st_mtime_ns == before


def test_table_lines_up_and_steers_no_terminal(bundle: Bundle) -> None:
    films = [opinion("a.png"), opinion("x" * 200 + "/end.png"), rejected("\x1b[2J\n", "no", bundle)]
    table = Table([f.file for f in films], width=80)
    lines = [table.header(), *map(table.row, films)]
    assert {line[table.width + 2 :][:5] for line in lines} == {"prob.", "0.900", "    -"}
    assert "end.png" in lines[2]
    assert all(line.isprintable() for line in lines)
    counts = Counter(f.decision for f in films)
    assert summary(counts) == "3 films read: 2 pneumonia, 0 no pneumonia, 0 refer, 1 rejected"


def test_what_limits_all_opinions_is_said_once() -> None:
    films = [opinion(f"{i}.png", reasons=("the age is not known",)) for i in range(3)]
    films.append(opinion("3.png", "refer", reasons=("too near", "the age is not known")))
    table = Table([f.file for f in films], width=80)
    rows = [table.row(f) for f in films]
    assert [("age" in row) for row in rows] == [False, False, False, True]
    assert table.footer() == ["of 3 films decided: the age is not known"]
    assert Table([]).footer() == []


def test_json_in_pieces_is_the_json_of_the_whole(bundle: Bundle) -> None:
    films = [opinion("a\n[.png", notes=("dark",)), rejected("b.png", "damaged", bundle)]
    whole = [entry_of(f).fields for f in films]
    assert to_json(films) == json.dumps(whole, indent=1) + "\n"
    assert to_json([]) == "[]\n"
    assert [json.loads(json_line(entry_of(f))) for f in films] == whole
    assert "\n" not in json_line(entry_of(films[0]))


def test_notes_stand_in_table_and_page_and_a_rejected_film_shows_no_map(bundle: Bundle) -> None:
    heat, pixels = np.ones((4, 4), np.float32), np.zeros((32, 32), np.uint8)
    film = opinion("a.png", "rejected", notes=("a photo",), heat=heat, pixels=pixels)
    page = page_html([film], bundle)
    assert page.count("data:image/png") == 1
    assert "looked most" not in page
    assert "a photo" in page
    assert Table(["a.png"], 80).row(film).endswith("\n" + " " * 14 + "a photo")


def test_a_folder_to_write_to_is_checked_without_a_trace(tmp_path: Path) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        check_folder(tmp_path / "file")
