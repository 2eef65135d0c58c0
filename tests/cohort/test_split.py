"""No patient on both sides, whatever is split and however."""

import csv
import os
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from firstread.cohort.split import (
    SplitPlan,
    load_split,
    make_split,
    save_split,
    split_of,
    trainable,
)
from firstread.cohort.split_checks import COLUMNS, assert_both_classes, assert_disjoint
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, FilmRow, load_cohort
from firstread.errors import FolderNotFound, NoFilms, OutputError, SplitError, TableError

PLANS = [
    SplitPlan(),
    SplitPlan(block=3),
    SplitPlan(fraction=0.4),
    SplitPlan("patient"),
    SplitPlan("patient", fraction=0.5, seed=7),
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return load_cohort(write_folder(tmp_path_factory.mktemp("films"), 60, size=16))


def sides(split: Cohort) -> tuple[set[str], set[str]]:
    return set(split.part("train").patients), set(split.part("val").patients)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_no_patient_on_both_sides_and_no_film_lost(films: Cohort, plan: SplitPlan) -> None:
    split = make_split(films, plan)
    train, val = sides(split)
    assert train
    assert val
    assert not train & val
    assert [r.file for r in split.rows] == [r.file for r in films.rows]
    assert {r.part for r in split.rows} == {"train", "val"}
    assert_disjoint(split)


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_share_of_patients_in_every_etiology(films: Cohort, plan: SplitPlan) -> None:
    split = make_split(films, plan)
    for series in {r.series for r in films.rows}:
        all_of = {r.patient for r in films.rows if r.series == series}
        held = {r.patient for r in split.part("val").rows if r.series == series}
        assert 0 < len(held) < len(all_of)
        if plan.by == "blocks":
            assert len(held) == max(1, round(len(all_of) * plan.fraction))


def test_same_plan_same_split_and_seeds_differ(films: Cohort) -> None:
    one = make_split(films, SplitPlan("patient", seed=1))
    assert one.rows == make_split(films, SplitPlan("patient", seed=1)).rows
    assert sides(one) != sides(make_split(films, SplitPlan("patient", seed=2)))


def test_blocks_are_contiguous_and_do_not_overlap(films: Cohort) -> None:
    seen: Counter[str] = Counter()
    for block in range(3):
        split = make_split(films, SplitPlan(block=block))
        held = sides(split)[1]
        seen.update(held)
        for series in {r.series for r in films.rows}:
            numbers = sorted({r.number or 0 for r in films.rows if r.series == series})
            taken = sorted({r.number or 0 for r in split.part("val").rows if r.series == series})
            at = numbers.index(taken[0])
            assert numbers[at : at + len(taken)] == taken
            if block == 0:
                assert taken[-1] == numbers[-1]
    assert set(seen.values()) == {1}


@pytest.mark.parametrize("by", ["blocks", "patient", "series"])
def test_a_part_kept_apart_is_no_ones_and_the_rest_is_split_as_if_alone(
    films: Cohort, by: str
) -> None:
    split = make_split(films, SplitPlan(by, test=0.25))
    assert_disjoint(split)
    assert [r.file for r in split.rows] == [r.file for r in films.rows]
    rest = films.subset(i for i, r in enumerate(split.rows) if r.part != "test")
    assert make_split(rest, SplitPlan(by)).rows == split.part("train", "val").rows
    for series in {r.series for r in films.rows}:
        numbers = sorted({r.number or 0 for r in films.rows if r.series == series})
        apart = sorted({r.number or 0 for r in split.part("test").rows if r.series == series})
        assert apart
        assert by == "patient" or apart == numbers[: round(len(numbers) / 4)]


def test_patients_with_the_same_film_are_kept_apart_together(tmp_path: Path) -> None:
    write_folder(tmp_path, 40, size=16)
    normal = sorted((tmp_path / "NORMAL").glob("IM-*"))
    shutil.copy(normal[0], normal[-1])
    split = make_split(load_cohort(tmp_path), SplitPlan(test=0.2))
    of = {r.path: r.part for r in split.rows}
    assert of[normal[0]] == of[normal[-1]] == "test"
    assert_disjoint(split)


def test_block_beyond_the_first_is_refused(films: Cohort) -> None:
    with pytest.raises(SplitError, match="use a smaller number"):
        make_split(films, SplitPlan(block=8))


def test_series_stand_against_each_other(films: Cohort) -> None:
    halves = [make_split(films, SplitPlan("series", block=b)) for b in (0, 1)]
    normals = [{r.series for r in s.part("val").rows if r.label == 0} for s in halves]
    assert normals == [{"NORMAL2-IM"}, {"IM"}]
    for split in halves:
        assert_disjoint(split)
        assert len(split) == len(films)
    assert {r.file for r in halves[0].part("val").rows} == {
        r.file for r in halves[1].part("train").rows
    }
    upper, lower = (s.part("val").rows for s in halves)
    for series in ("bacteria", "virus"):
        first, last = (
            [r.number or 0 for r in rows if r.series == series] for rows in (lower, upper)
        )
        assert max(first) < min(last)


@pytest.mark.parametrize("by", ["blocks", "patient"])
def test_patients_with_the_same_film_stay_together(tmp_path: Path, by: str) -> None:
    write_folder(tmp_path, 40, size=16)
    normal = sorted((tmp_path / "NORMAL").glob("IM-*"))
    # The first and the last patient share a film: a block at the end would part them.
    shutil.copy(normal[0], normal[-1])
    cohort = load_cohort(tmp_path)
    pair = [cohort.rows.index(r) for r in cohort.rows if r.path in (normal[0], normal[-1])]
    assert cohort.rows[pair[0]].patient != cohort.rows[pair[1]].patient
    for seed in range(5):
        split = make_split(cohort, SplitPlan(by, seed=seed))
        assert split.rows[pair[0]].part == split.rows[pair[1]].part
        assert_disjoint(split)


def test_official_val_and_test_are_left_alone(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_folder(tmp_path, 20, size=16, part=part)
    cohort = load_cohort(tmp_path)
    assert {r.part for r in trainable(cohort).rows} == {"train"}
    split = make_split(cohort, SplitPlan())
    assert all(r.file.startswith("train/") for r in split.rows)
    with pytest.raises(NoFilms, match=r"no `train` part \(has test, val\)"):
        trainable(cohort.part("val", "test"))


def test_films_without_telling_names_can_be_split(tmp_path: Path) -> None:
    for label in ("NORMAL", "PNEUMONIA"):
        (tmp_path / label).mkdir()
        for i in range(20):
            (tmp_path / label / f"scan{i}.png").write_bytes(f"{label}{i}".encode())
    for by in ("blocks", "patient"):
        split = make_split(load_cohort(tmp_path), SplitPlan(by, fraction=0.25))
        assert Counter(r.label for r in split.part("val").rows) == {0: 5, 1: 5}


@pytest.mark.parametrize("kinds", [2, 3])
def test_patients_with_films_of_several_kinds_are_drawn_once(tmp_path: Path, kinds: int) -> None:
    rows = []
    for patient in range(80):
        for kind in ("normal", "bacterial", "viral")[:kinds]:
            path = tmp_path / f"{patient}-{kind}.png"
            path.write_bytes(path.name.encode())
            label = int(kind != "normal")
            rows.append(FilmRow(path.name, path, label, f"p{patient}", etiology=kind))
    split = make_split(Cohort(tmp_path, tuple(rows)), SplitPlan("patient", fraction=0.25))
    assert [len(side) for side in sides(split)] == [60, 20]


def test_rare_mixtures_of_kinds_are_not_all_held_out(tmp_path: Path) -> None:
    """A patient of another mixture than any other is a stratum of one."""
    rows = []
    for patient in range(24):
        both = ("normal", "bacterial") if patient == 0 else ("viral", "normal")[patient % 2 :][:1]
        for kind in both:
            path = tmp_path / f"{patient}-{kind}.png"
            path.write_bytes(path.name.encode())
            label = int(kind != "normal")
            rows.append(FilmRow(path.name, path, label, f"p{patient}", etiology=kind))
    for seed in range(4):
        plan = SplitPlan("patient", fraction=0.25, seed=seed)
        assert "p0" in sides(make_split(Cohort(tmp_path, tuple(rows)), plan))[0]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SplitPlan("image"), "'image' is not known; use blocks, patient, series"),
        (SplitPlan(fraction=0), "between 0 and 1"),
        (SplitPlan(fraction=1), "between 0 and 1"),
        (SplitPlan("series", block=2), "use 0 or 1"),
        (SplitPlan(test=-0.1), "a test fraction of -0.1 must lie between 0 and 1"),
        (SplitPlan("patient", test=1), "a test fraction of 1 must lie"),
        (SplitPlan("patient", test=0.99), "a test fraction of 0.99 leaves no films of one class"),
        (SplitPlan(test=0.99), "leaves no films of one class to train on; use a smaller one"),
        (SplitPlan("series", test=0.99), "leaves no films of one class"),
    ],
)
def test_impossible_plans(films: Cohort, plan: SplitPlan, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        make_split(films, plan)


@pytest.mark.parametrize("plan", [SplitPlan(), SplitPlan(block=1), SplitPlan("patient")], ids=str)
def test_one_film_with_a_name_of_its_own_is_not_held_out_by_every_draw(
    tmp_path: Path, plan: SplitPlan
) -> None:
    write_folder(tmp_path, 40, size=16)
    (tmp_path / "PNEUMONIA" / "scan.png").write_bytes(b"a film")
    split = make_split(load_cohort(tmp_path), plan)
    [own] = [r for r in split.rows if r.file.endswith("scan.png")]
    assert own.part == "train"
    assert {r.series for r in split.part("val").rows} == {"IM", "NORMAL2-IM", "bacteria", "virus"}


def test_a_series_of_fewer_patients_than_blocks_gives_one_to_each(tmp_path: Path) -> None:
    write_folder(tmp_path, 80, size=16)
    few = [f"scan{i}.png" for i in range(3)]
    for name in few:
        (tmp_path / "NORMAL" / name).write_bytes(name.encode())
    cohort = load_cohort(tmp_path)
    held = [
        [Path(r.file).name for r in make_split(cohort, SplitPlan(block=b)).part("val").rows]
        for b in range(5)
    ]
    assert [[n for n in names if n in few] for names in held] == [*([n] for n in few[::-1]), [], []]


def test_a_film_named_twice_is_refused(films: Cohort) -> None:
    twice = films.subset([*range(len(films)), 3])
    with pytest.raises(SplitError, match=f"{films.rows[3].file} is named 2 times; keep one"):
        make_split(twice, SplitPlan())


def test_too_few_films_for_two_sides(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match="both classes"):
        make_split(load_cohort(write_folder(tmp_path, 1, size=16)), SplitPlan())


@pytest.mark.parametrize("by", ["blocks", "patient"])
def test_films_of_one_patient_are_told_as_such(tmp_path: Path, by: str) -> None:
    cohort = load_cohort(write_folder(tmp_path, 6, size=16))
    one = Cohort(cohort.root, tuple(replace(r, patient="P") for r in cohort.rows))
    with pytest.raises(SplitError, match="all films are of one patient: give films of more"):
        make_split(one, SplitPlan(by))


def test_saved_split_comes_back(films: Cohort, tmp_path: Path) -> None:
    split = make_split(films, SplitPlan())
    save_split(split, tmp_path / "split.csv")
    with (tmp_path / "split.csv").open(newline="") as f:
        records = list(csv.DictReader(f))
    assert tuple(records[0]) == COLUMNS
    assert len(records) == len(films)
    assert all(len(r["sha256"]) == 64 for r in records)
    assert load_split(tmp_path / "split.csv", films).rows == split.rows


def test_split_that_no_longer_fits(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path / "films", 20, size=16))
    path = tmp_path / "split.csv"
    save_split(make_split(cohort, SplitPlan()), path)
    with pytest.raises(SplitError, match="1 of its films is not in"):
        load_split(path, cohort.subset(range(1, len(cohort))))
    cohort.paths[3].write_bytes(b"another film")
    with pytest.raises(SplitError, match="is not the film it was; split anew"):
        load_split(path, load_cohort(tmp_path / "films"))


def test_a_corrected_label_wants_a_new_split(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path / "films", 20, size=16))
    path = tmp_path / "split.csv"
    save_split(make_split(cohort, SplitPlan()), path)
    rows = (replace(cohort.rows[0], label=1), *cohort.rows[1:])
    with pytest.raises(SplitError, match="has not the label it had; split anew"):
        load_split(path, Cohort(cohort.root, rows))


def test_split_edited_into_a_leak(films: Cohort, tmp_path: Path) -> None:
    split = make_split(films, SplitPlan())
    several = next(p for p, n in Counter(split.patients).items() if n > 1)
    at = split.patients.index(several)
    moved = "val" if split.rows[at].part == "train" else "train"
    rows = list(split.rows)
    rows[at] = replace(rows[at], part=moved)
    save_split(Cohort(split.root, tuple(rows)), tmp_path / "split.csv")
    with pytest.raises(SplitError, match="one patient is in"):
        load_split(tmp_path / "split.csv", films)


def test_same_bytes_under_two_patients_leak(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path, 10, size=16))
    first, last = cohort.rows[0], cohort.rows[9]
    assert first.patient != last.patient
    shutil.copy(first.path, last.path)
    rows = (replace(first, part="train"), replace(last, part="val"))
    with pytest.raises(SplitError, match="one film content is in train and in val"):
        assert_disjoint(Cohort(tmp_path, rows))


def test_what_is_no_split(films: Cohort, tmp_path: Path) -> None:
    with pytest.raises(FolderNotFound, match="firstread data split"):
        load_split(tmp_path / "none.csv", films)
    (tmp_path / "a.csv").write_text("file,label\na.png,0\n")
    with pytest.raises(TableError, match="not a split"):
        load_split(tmp_path / "a.csv", films)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_split(make_split(films, SplitPlan()), tmp_path / "file" / "split.csv")


def test_a_split_that_a_spreadsheet_saved(films: Cohort, tmp_path: Path) -> None:
    split = make_split(films, SplitPlan())
    save_split(split, tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text()
    (tmp_path / "e.csv").write_text(text.replace(",", ";").replace("\n", "\r\n"), "utf-8-sig")
    assert load_split(tmp_path / "e.csv", films).rows == load_split(tmp_path / "s.csv", films).rows
    (tmp_path / "w.csv").write_text(text, "utf-16")
    with pytest.raises(TableError, match="not a CSV in UTF-8"):
        load_split(tmp_path / "w.csv", films)


def test_a_split_edited_by_hand_drops_no_film_in_silence(films: Cohort, tmp_path: Path) -> None:
    save_split(make_split(films, SplitPlan()), tmp_path / "s.csv")
    text = (tmp_path / "s.csv").read_text()
    (tmp_path / "p.csv").write_text(text.replace(",train,", ",Train,", 3))
    with pytest.raises(SplitError, match="3 of its films are in a part called 'Train'"):
        load_split(tmp_path / "p.csv", films)
    some = re.sub(r",train,(virus-\d+),", r",,\1,", text, count=1)
    (tmp_path / "n.csv").write_text(some)
    with pytest.raises(SplitError, match="one patient is in no part and in train"):
        load_split(tmp_path / "n.csv", films)
    (tmp_path / "d.csv").write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(SplitError, match="2 times; keep one"):
        load_split(tmp_path / "d.csv", films)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_of_one_class_alone(films: Cohort, part: str) -> None:
    split = make_split(films, SplitPlan())
    assert_both_classes(split)
    rows = [r for r in split.rows if r.part != part or r.label == 0]
    with pytest.raises(SplitError, match=f"part {part} holds no pneumonia film"):
        assert_both_classes(Cohort(split.root, tuple(rows)))
    with pytest.raises(SplitError, match=f"part {part} holds no normal film"):
        assert_both_classes(Cohort(split.root, tuple(r for r in split.rows if r.part != part)))


@pytest.mark.films
@pytest.mark.parametrize("plan", [SplitPlan(), SplitPlan("patient")], ids=str)
def test_the_real_train_folder(films_dir: Path, plan: SplitPlan) -> None:
    split = make_split(load_cohort(films_dir / "chest_xray"), plan)
    assert_disjoint(split)
    assert len(split) == 5216
    assert 400 < len(split.part("val")) < 900
    assert {r.etiology for r in split.part("val").rows} == {"normal", "bacterial", "viral"}


@pytest.mark.skipif(sys.platform != "linux", reason="names are no bytes there")
def test_a_film_whose_name_is_no_utf8_is_split_and_found_again(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "films", 12, size=16)
    film = os.fsencode(root) + b"/NORMAL/M\xfcller.jpeg"
    Path(root / "NORMAL" / "IM-0001-0001.jpeg").rename(os.fsdecode(film))
    cohort = load_cohort(root)
    split = make_split(cohort, SplitPlan("patient"))
    save_split(split, tmp_path / "split.csv")
    assert r"NORMAL/M\udcfcller.jpeg,0," in (tmp_path / "split.csv").read_text("utf-8")
    again = load_split(tmp_path / "split.csv", cohort)
    assert again.rows == split.rows
    Path(os.fsdecode(film)).write_bytes(b"another")
    with pytest.raises(SplitError, match="is not the film it was"):
        load_split(tmp_path / "split.csv", load_cohort(root))


def numbered(folder: Path, films: int = 40) -> Path:
    """A table of films by patients P1 to P20, two each, whose names tell nothing."""
    folder.mkdir()
    lines = ["file,label,patient"]
    for i in range(films):
        label = "NORMAL" if i % 4 < 2 else "PNEUMONIA"
        (folder / label).mkdir(exist_ok=True)
        (folder / label / f"scan{i}.png").write_bytes(f"film {i}".encode())
        lines.append(f"{label}/scan{i}.png,{label},P{1 + i // 2}")
    (folder / "films.csv").write_text("\n".join(lines))
    return folder


def test_blocks_are_of_numbers_where_names_hold_them(tmp_path: Path) -> None:
    films = load_cohort(numbered(tmp_path / "films") / "films.csv")
    val = sides(make_split(films, SplitPlan(fraction=0.2)))[1]
    assert val == {"P17", "P18", "P19", "P20"}


def test_a_split_knows_the_patients_whom_a_folder_does_not(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "films")
    split = make_split(load_cohort(folder / "films.csv"), SplitPlan())
    save_split(split, tmp_path / "split.csv")
    bare = load_cohort(folder)
    assert len(set(bare.patients)) == 40
    again = load_split(tmp_path / "split.csv", bare)
    assert again.patients == split.patients
    # Nobody is not one patient of many films.
    unknown = [replace(r, patient="unknown") for r in split.rows]
    save_split(split.retold(unknown), tmp_path / "unknown.csv")
    assert len(set(load_split(tmp_path / "unknown.csv", bare).patients)) == 40
    # What a table tells stays.
    told = Cohort(bare.root, tuple(replace(r, patient=f"{r.file}-child") for r in bare.rows))
    assert load_split(tmp_path / "split.csv", told).patients[0].endswith("-child")


def test_neither_the_split_nor_the_table_may_have_a_patient_on_both_sides(tmp_path: Path) -> None:
    """They name other patients for the same films; who is right cannot be known."""
    films = load_cohort(numbered(tmp_path / "films") / "films.csv")
    split = make_split(films, SplitPlan())
    at = split.patients.index(split.part("val").patients[0])
    rows = [replace(r, patient=f"child-{r.file}") for r in films.rows]
    table = Cohort(films.root, tuple(rows))
    path = tmp_path / "split.csv"
    save_split(split, path)
    assert load_split(path, table).patients == table.patients
    moved = [replace(r, part="train") if i == at else r for i, r in enumerate(split.rows)]
    save_split(split.retold(moved), path)
    with pytest.raises(SplitError, match="leaks: one patient, by the split's own column, is in"):
        load_split(path, table)
    nobody = [replace(r, patient="unknown") for r in moved]
    save_split(split.retold(nobody), path)
    assert load_split(path, table).patients == table.patients


def test_a_run_is_split_as_it_was_whatever_the_rule_is_by_now(tmp_path: Path) -> None:
    films = load_cohort(numbered(tmp_path / "films") / "films.csv")
    run = tmp_path / "run"
    run.mkdir()
    default = make_split(films, SplitPlan())
    assert split_of(films, None, run).rows == default.rows
    other = make_split(films, SplitPlan(block=2))
    save_split(other, run / "split.csv")
    assert split_of(films, None, run).rows == other.rows
    save_split(default, tmp_path / "given.csv")
    assert split_of(films, tmp_path / "given.csv", run).rows == default.rows
    fewer = films.subset(range(4, len(films)))
    assert split_of(fewer, None, run).rows == make_split(fewer, SplitPlan()).rows


@pytest.mark.parametrize("what", ["nothing", "torn", "cut", "blank", "bytes"])
def test_a_split_that_is_damaged_in_a_run_is_told_as_such(what: str, tmp_path: Path) -> None:
    films = load_cohort(numbered(tmp_path / "films") / "films.csv")
    kept = tmp_path / "run" / "split.csv"
    save_split(make_split(films, SplitPlan(block=2)), kept)
    whole = kept.read_bytes()
    left = {
        "nothing": b"",
        "torn": whole[:-30],
        "cut": whole[:-70],
        "blank": b"\n",
        "bytes": b"\xff" * 99,
    }
    kept.write_bytes(left[what])
    with pytest.raises(TableError, match=r"split.csv: damaged; delete it, and where"):
        split_of(films, None, kept.parent)
