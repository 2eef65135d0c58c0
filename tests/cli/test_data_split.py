"""`firstread data split`: counts printed, a CSV written, no patient on both sides."""

import csv
from pathlib import Path

import pytest

from firstread.cli.main import main
from firstread.cohort.synthetic import write_folder


@pytest.mark.parametrize("by", ["blocks", "patient"])
def test_no_patient_on_both_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    write_folder(tmp_path / "set", 24, size=32)
    out = tmp_path / "split.csv"
    args = ["data", "split", str(tmp_path / "set"), "--out", str(out), "--by", by]
    assert main([*args, "--fraction", "0.25"]) == 0
    with out.open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 48
    sides = {p: {r["patient"] for r in rows if r["part"] == p} for p in ("train", "val")}
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]
    printed = capsys.readouterr().out
    table = {" ".join(line.split()[:-2]): line.split()[-2:] for line in printed.splitlines()}
    for part, n in zip(("train", "val"), table["films"], strict=True):
        assert int(n) == sum(r["part"] == part for r in rows)
    assert {"normal", "pneumonia", "bacterial", "viral", "series IM"} <= set(table)


def test_a_part_for_one_look_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path / "set", 24, size=32)
    out = tmp_path / "split.csv"
    assert main(["data", "split", str(tmp_path / "set"), "--out", str(out), "--test", "0.25"]) == 0
    with out.open(newline="") as f:
        parts = [r["part"] for r in csv.DictReader(f)]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["train", "val", "test"]
    [films] = [line.split()[1:] for line in lines if line.startswith("films")]
    assert [int(n) for n in films] == [parts.count(p) for p in ("train", "val", "test")]
    assert parts.count("test") > 6


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", 24, size=32)
    texts = []
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        out = tmp_path / name
        args = ["data", "split", str(tmp_path / "set"), "--out", str(out), "--by", "patient"]
        assert main([*args, "--seed", seed]) == 0
        texts.append(out.read_text())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_blocks_differ_and_folders_val_and_test_stay_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, n in (("train", 20), ("val", 2), ("test", 3)):
        write_folder(tmp_path / "set", n, size=32, part=part)
    held = []
    for block in ("0", "1"):
        out = tmp_path / f"{block}.csv"
        args = ["data", "split", str(tmp_path / "set"), "--out", str(out), "--block", block]
        assert main(args) == 0
        with out.open(newline="") as f:
            rows = list(csv.DictReader(f))
        assert all(r["file"].startswith("train/") for r in rows)
        held.append({r["patient"] for r in rows if r["part"] == "val"})
    assert not held[0] & held[1]
    assert "left out: 10 films (test 6, val 4)" in capsys.readouterr().out


def test_films_of_a_table_without_a_part_are_left_out_by_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, 20, size=32)
    rows = [
        f"{p.parent.name}/{p.name},{p.parent.name},{'train' if i % 20 < 14 else ''}"
        for i, p in enumerate(sorted(tmp_path.glob("*/*")))
    ]
    (tmp_path / "films.csv").write_text("\n".join(["file,label,part", *rows]))
    out = tmp_path / "split.csv"
    assert main(["data", "split", str(tmp_path / "films.csv"), "--out", str(out)]) == 0
    assert "left out: 12 films (in no part 12)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "more", [["--fraction", "1.5"], ["--seed", "-1"], ["--block", "99"], ["--by", "chance"]]
)
def test_what_cannot_be(tmp_path: Path, more: list[str]) -> None:
    write_folder(tmp_path / "set", 6, size=32)
    out = tmp_path / "split.csv"
    assert main(["data", "split", str(tmp_path / "set"), "--out", str(out), *more]) == 2
    assert not out.exists()


def test_a_film_of_the_table_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, 4, size=32)
    films = [f"{p.parent.name}/{p.name},{p.parent.name}" for p in sorted(tmp_path.glob("*/*"))]
    csv_path = tmp_path / "films.csv"
    csv_path.write_text("\n".join(["file,label", *films, "NORMAL/gone.jpeg,NORMAL"]))
    assert main(["data", "split", str(csv_path), "--out", str(tmp_path / "split.csv")]) == 2
    assert "1 of 9 films is not there (first:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("by", "option", "said"),
    [
        ("blocks", "--seed", "--seed has no say in a split by blocks; it goes with --by patient"),
        ("patient", "--block", "it goes with --by blocks or --by series"),
        ("series", "--fraction", "it goes with --by blocks or --by patient"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str, option: str, said: str
) -> None:
    write_folder(tmp_path / "set", 4, size=32)
    args = ["data", "split", str(tmp_path / "set"), "--out", str(tmp_path / "split.csv")]
    assert main([*args, "--by", by, option, "0"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "split.csv").exists()


def test_patients_nobody_knows_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each film is then a patient of its own, and a child with two may be on both sides."""
    films = write_folder(tmp_path / "set", 12, size=32)
    args = ["data", "split", str(films), "--out", str(tmp_path / "s.csv")]
    assert main(args) == 0
    assert "not known" not in capsys.readouterr().out
    for i, film in enumerate(sorted((films / "NORMAL").iterdir())):
        film.rename(film.with_name(f"scan{i}.jpeg"))
    assert main(args) == 0
    assert "warning: the patient of 12 of 24 films is not known" in capsys.readouterr().out
