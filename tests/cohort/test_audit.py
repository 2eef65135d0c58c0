"""The audit over folders with everything wrong that we know of."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from firstread.cohort import audit as audit_room
from firstread.cohort import findings
from firstread.cohort.audit import audit, load_for_audit, misnamed_folders
from firstread.cohort.audit_page import render_audit_page, write_audit_page
from firstread.cohort.synthetic import write_folder
from firstread.errors import FolderNotFound, NoFilms, SplitError, TableError
from firstread.film import files


def _codes(report: dict[str, Any]) -> dict[str, str]:
    return {f["code"]: f["severity"] for f in report["findings"]}


def _audit(root: Path, **more: Any) -> dict[str, Any]:
    return audit(load_for_audit(root), **more)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for part in ("train", "test"):
        write_folder(tmp_path / "set", 8, size=64, part=part)
    return tmp_path / "set"


def test_a_clean_set(parts: Path) -> None:
    report = _audit(parts)
    assert report["films"] == report["readable"] == 32
    assert report["counts"]["class"] == {"NORMAL": 16, "PNEUMONIA": 16}
    assert report["counts"]["part"] == {"test": 16, "train": 16}
    assert report["pictures"]["NORMAL"]["width"]["median"] == 64
    assert report["pictures"]["PNEUMONIA"]["mode"] == {"L": 16}
    assert not report["leaks_found"]
    assert not {s for s in _codes(report).values() if s == "leak"}
    assert json.loads(json.dumps(report)) == report


def test_a_patient_on_both_sides(parts: Path) -> None:
    film = next((parts / "test" / "PNEUMONIA").glob("*_bacteria_*"))
    film.rename(film.with_name("person1_bacteria_900.jpeg"))
    report = _audit(parts)
    assert report["leaks_found"]
    [cross] = report["between"]
    assert cross["between"] == ["test", "train"]
    assert (cross["patients"], cross["exact"], cross["near"]) == (1, 0, 0)
    assert cross["examples"]["patients"] == ["bacteria-1"]


def test_copies_on_both_sides(parts: Path) -> None:
    films = sorted((parts / "train" / "NORMAL").iterdir())
    shutil.copy(films[0], parts / "test" / "NORMAL" / "IM-7777-0001.jpeg")
    Image.open(films[1]).resize((90, 80)).save(parts / "test" / "NORMAL" / "IM-7778-0001.png")
    report = _audit(parts)
    [cross] = report["between"]
    assert (cross["patients"], cross["exact"], cross["near"]) == (0, 1, 1)
    codes = _codes(report)
    assert codes["both-sides"] == "leak"
    assert codes["exact-two-patients"] == codes["near-two-patients"] == "warning"
    assert report["duplicates"]["exact"]["across_parts"] == 1
    page = render_audit_page(report)
    assert "It leaks." in page
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page.replace("http-equiv", "")


def test_a_film_saved_again_leaks_beside_a_copy_outside_of_the_split(
    parts: Path, tmp_path: Path
) -> None:
    folder = parts / "train" / "NORMAL"
    film = sorted(folder.iterdir())[2]
    shutil.copy(film, folder / "A-copy.jpeg")
    Image.open(film).resize((90, 80)).save(folder / "IM-7778-0001.png")
    cohort = load_for_audit(parts)
    assert cohort.rows[0].file.endswith("A-copy.jpeg")
    rows = [(r.file, "val" if "7778" in r.file else "train", "") for r in cohort.part("train").rows]
    report = audit(cohort, _write_split(tmp_path / "s.csv", rows[1:]))
    [cross] = [c for c in report["between"] if c["between"] == ["train", "val"]]
    assert (cross["patients"], cross["exact"], cross["near"]) == (0, 0, 1)
    assert report["leaks_found"]


def test_one_film_under_two_labels(parts: Path) -> None:
    film = sorted((parts / "train" / "NORMAL").iterdir())[0]
    shutil.copy(film, parts / "train" / "PNEUMONIA" / "person77_virus_1.jpeg")
    assert _codes(_audit(parts))["exact-two-labels"] == "warning"


def test_bad_films_are_listed_and_do_not_stop_it(parts: Path) -> None:
    folder = parts / "train" / "NORMAL"
    (folder / "IM-0900-0001.png").write_text("no picture")
    whole = sorted(folder.glob("*.jpeg"))[0].read_bytes()
    (folder / "IM-0901-0001.jpeg").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (64, 64), 90).save(folder / "IM-0902-0001.png")
    Image.new("L", (1, 1)).save(folder / "IM-0903-0001.png")
    report = _audit(parts)
    bad = {Path(f["file"]).name: f["reason"] for f in report["unreadable"]}
    assert set(bad) == {"IM-0900-0001.png", "IM-0901-0001.jpeg"}
    assert {Path(f["file"]).name for f in report["doubtful"]} == {
        "IM-0902-0001.png",
        "IM-0903-0001.png",
    }
    assert report["readable"] == report["films"] - 2
    assert not report["leaks_found"]
    assert "damaged" in render_audit_page(report)


def test_nothing_readable(tmp_path: Path) -> None:
    for name in ("NORMAL", "PNEUMONIA"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_text("no picture")
    with pytest.raises(NoFilms, match="none of 2 films"):
        _audit(tmp_path)
    with pytest.raises(FolderNotFound):
        load_for_audit(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoFilms):
        load_for_audit(tmp_path / "empty")


def test_misnamed_class_folders_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, size=48)
    (tmp_path / "PNEUMONIA").rename(tmp_path / "Pnuemonia")
    report = _audit(tmp_path)
    assert misnamed_folders(tmp_path) == [{"folder": "Pnuemonia", "should_be": "PNEUMONIA"}]
    assert report["counts"]["class"] == {"NORMAL": 4, "unlabelled": 4}
    assert _codes(report)["folder-name"] == "warning"


@pytest.mark.parametrize(
    ("given", "renamed"), [("PNEUMONIA", "ABNORMAL"), ("NORMAL", "NO_PNEUMONIA")]
)
def test_a_folder_that_means_the_other_class_is_not_to_be_renamed(
    tmp_path: Path, given: str, renamed: str
) -> None:
    write_folder(tmp_path, 4, size=48)
    (tmp_path / given).rename(tmp_path / renamed)
    report = _audit(tmp_path)
    assert misnamed_folders(tmp_path) == []
    assert not any("rename" in f["do"] + f["text"] for f in report["findings"])
    assert _codes(report)["layout"] == "warning"


def test_a_folder_too_high_up_and_films_beside(tmp_path: Path) -> None:
    write_folder(tmp_path / "chest_xray", 4, size=48, part="train")
    high = _audit(tmp_path)
    assert high["counts"]["class"] == {"NORMAL": 4, "PNEUMONIA": 4}
    assert high["counts"]["part"] == {"train": 8}
    assert _codes(high)["layout"] == "warning"
    inner = tmp_path / "chest_xray"
    shutil.copytree(inner / "train", inner / "chest_xray" / "train")
    report = _audit(inner)
    assert report["films"] == 8
    assert len(report["outside"]) == 8
    assert _codes(report)["outside"] == "warning"


def test_names_that_tell_no_patient(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, size=48)
    film = sorted((tmp_path / "NORMAL").iterdir())[0]
    film.rename(tmp_path / "NORMAL" / "scan <b>.jpeg")
    report = _audit(tmp_path)
    assert report["patients"]["unknown"]["files"] == ["NORMAL/scan <b>.jpeg"]
    assert _codes(report)["patients-unknown"] == "warning"
    page = render_audit_page(report)
    assert "scan &lt;b&gt;" in page
    assert "scan <b>" not in page


def test_size_that_betrays_the_label(tmp_path: Path) -> None:
    write_folder(tmp_path, 16, size=64)
    for film in (tmp_path / "PNEUMONIA").iterdir():
        Image.open(film).convert("RGB").resize((80, 60)).save(film)
    report = _audit(tmp_path)
    named = {k["name"]: k for k in report["metadata"]}
    assert named["width"]["warning"]
    assert named["width"]["higher_in"] == "PNEUMONIA"
    assert named["mode"]["auc"] == 1.0
    assert named["format"]["constant"]
    codes = _codes(report)
    assert codes["metadata"] == codes["one-class-only"] == "warning"
    assert any(f["text"] == "all 16 films of mode RGB are PNEUMONIA" for f in report["findings"])


def _write_split(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="") as f:
        csv.writer(f).writerows([("file", "part", "sha256"), *rows])
    return path


def test_a_split_is_judged_instead_of_the_folders(parts: Path, tmp_path: Path) -> None:
    cohort = load_for_audit(parts)
    train = cohort.part("train")
    good = {p: "val" if i % 3 == 0 else "train" for i, p in enumerate(sorted(set(train.patients)))}
    rows = [(r.file, good[r.patient], h) for r, h in zip(train.rows, train.hashes, strict=True)]
    clean = audit(cohort, _write_split(tmp_path / "good.csv", rows))
    assert not clean["leaks_found"]
    assert clean["split_check"] == {"films": 16, "missing": [], "changed": [], "unassigned": 16}
    assert {tuple(c["between"]) for c in clean["between"] if c["judged"]} == {
        ("train", "val"),
        ("test folder", "train"),
        ("test folder", "val"),
    }
    # The first two films of a series are one patient's.
    ours = [r.file for r in train.rows if r.patient == train.rows[0].patient]
    assert len(ours) > 1
    bad = [(f, "val" if f == ours[0] else "train" if f in ours else p, h) for f, p, h in rows]
    leaky = audit(cohort, _write_split(tmp_path / "bad.csv", bad))
    assert leaky["leaks_found"]
    assert _codes(leaky)["both-sides"] == "leak"


def test_a_split_of_other_films(parts: Path, tmp_path: Path) -> None:
    cohort = load_for_audit(parts)
    rows = [(cohort.rows[0].file, "train", "0" * 64), ("gone.jpeg", "val", "")]
    report = audit(cohort, _write_split(tmp_path / "s.csv", rows))
    assert report["split_check"]["missing"] == ["gone.jpeg"]
    assert report["split_check"]["changed"] == [cohort.rows[0].file]
    with pytest.raises(SplitError, match="none of its films"):
        audit(cohort, _write_split(tmp_path / "s.csv", [("gone.jpeg", "val", "")]))
    twice = [(cohort.rows[0].file, part, "") for part in ("train", "val")]
    with pytest.raises(SplitError, match="in train and in val"):
        audit(cohort, _write_split(tmp_path / "s.csv", twice))
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError):
        audit(cohort, tmp_path / "s.csv")
    with pytest.raises(FolderNotFound):
        audit(cohort, tmp_path / "none.csv")


def test_a_table_with_columns_and_a_missing_file(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, size=48)
    table = tmp_path / "films.csv"
    with table.open("w", newline="") as f:
        out = csv.writer(f)
        out.writerow(("file", "label", "patient", "age", "view"))
        for name, view in (("NORMAL", "PA"), ("PNEUMONIA", "AP")):
            for i, film in enumerate(sorted((tmp_path / name).iterdir())):
                out.writerow((f"{name}/{film.name}", name, f"{name}{i // 2}", i % 7, view))
        out.writerow(("NORMAL/gone.jpeg", "NORMAL", "x", "old", "PA"))
    report = audit(load_for_audit(table), walk=False)
    assert [f["file"] for f in report["unreadable"]] == ["NORMAL/gone.jpeg"]
    assert report["patients"]["patients"] == 13
    assert report["ages_unused"] == "ages are not used: NORMAL/gone.jpeg holds 'old', no age"
    assert report["ages_unused"] in [finding["text"] for finding in report["findings"]]
    named = {k["name"]: k for k in report["metadata"]}
    assert named["column view"]["auc"] == 1.0
    assert not named["column age"]["warning"]
    assert report["outside"] == []


def test_columns_that_betray_the_label_however_they_are_filled(tmp_path: Path) -> None:
    write_folder(tmp_path, 20, size=48)
    table = tmp_path / "films.csv"
    with table.open("w", newline="") as f:
        out = csv.writer(f)
        out.writerow(("file", "label", "dose", "years", "tube", "note"))
        for k, name in enumerate(("NORMAL", "PNEUMONIA")):
            for i, film in enumerate(sorted((tmp_path / name).iterdir())):
                dose = "NA" if i == 0 else f"{k + i / 20}".replace(".", ",")
                tube = "in place" if k and i > 4 else ""
                years = f"{30 * k + i + 1:03}Y"
                out.writerow((f"{name}/{film.name}", name, dose, years, tube, f"no {k} {i}"))
    report = audit(load_for_audit(table), walk=False)
    warned = {k["name"] for k in report["metadata"] if k["warning"]}
    assert {"column dose", "column years", "column tube (filled or not)"} <= warned
    assert set(report["not_judged"]) == {"column tube", "column note"}
    [told] = [f["text"] for f in report["findings"] if f["code"] == "not-judged"]
    assert told.startswith("2 columns not judged: tube (known for under nine")
    assert "note (more than 10" in told
    assert "column tube (filled or not)" in render_audit_page(report)


def test_the_page_is_written_whole(parts: Path, tmp_path: Path) -> None:
    report = _audit(parts)
    write_audit_page(report, tmp_path / "out" / "page.html")
    page = (tmp_path / "out" / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "No leak found" in page
    assert "default-src 'none'" in page


@pytest.mark.films
def test_the_real_originals_betray_their_label(films_dir: Path) -> None:
    report = audit(load_for_audit(films_dir / "chest_xray_original"))
    assert report["films"] == report["readable"] == 260
    named = {k["name"]: k for k in report["metadata"]}
    assert named["area"]["auc"] > 0.85
    assert named["aspect"]["higher_in"] == "PNEUMONIA"


def test_what_may_be_films_and_is_passed_over(tmp_path: Path) -> None:
    """A folder of links or an ending not known here made a class smaller without a word."""
    films = write_folder(tmp_path / "set", 4, size=64)
    shutil.move(films / "NORMAL", tmp_path / "elsewhere")
    (films / "NORMAL").symlink_to(tmp_path / "elsewhere")
    assert _audit(films)["passed_over"] == {"links": [], "lost": [], "endings": {}}
    (films / "PNEUMONIA" / "ward 7").symlink_to(tmp_path / "elsewhere")
    for name in ("a.jfif", "b.JFIF", "c.webp", "notes.txt", ".hidden.gif"):
        (films / "PNEUMONIA" / name).write_bytes(b"x")
    (films / "PNEUMONIA" / "z.dcm").symlink_to(tmp_path / "not fetched")
    report = _audit(films)
    told = {
        "links": ["PNEUMONIA/ward 7"],
        "lost": ["PNEUMONIA/z.dcm"],
        "endings": {".jfif": 2, ".webp": 1},
    }
    assert report["films"] == 8
    assert report["passed_over"] == told
    texts = [f["text"] for f in report["findings"]]
    assert "1 linked folder not followed (first: PNEUMONIA/ward 7)" in texts
    assert "1 film linked to nothing (first: PNEUMONIA/z.dcm)" in texts
    assert "3 files passed over for the ending: 2 .jfif, 1 .webp" in texts


def test_junctions_of_windows_are_passed_over_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To Windows they are folders and no links, and nothing was said of the films behind them."""
    films = write_folder(tmp_path / "set", 4, size=64)
    (films / "NORMAL" / "ward 8").mkdir()
    shutil.copy(next((films / "NORMAL").glob("*.jpeg")), films / "NORMAL" / "ward 8" / "x.jpeg")
    for room in (files, audit_room):
        monkeypatch.setattr(room, "is_junction", lambda place: place.name == "ward 8")
    report = _audit(films)
    assert report["films"] == 8
    assert report["passed_over"]["links"] == ["NORMAL/ward 8"]


def test_ids_that_may_be_those_of_films_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = write_folder(tmp_path / "set", 4, size=64)
    names = [p.relative_to(tmp_path).as_posix() for p in sorted(films.rglob("*.jpeg"))]
    rows = [f"{name},{int('PNEU' in name)},P{i}" for i, name in enumerate(names)]
    table = tmp_path / "films.csv"
    table.write_text("file,label,patientId\n" + "\n".join(rows) + "\n")
    assert "one-film-each" not in _codes(_audit(table, walk=False))  # so few may well be so
    monkeypatch.setattr(findings, "LONERS", 8)
    assert _codes(_audit(table, walk=False))["one-film-each"] == "note"
    table.write_text(table.read_text().replace(",P7", ",P6"))
    assert "one-film-each" not in _codes(_audit(table, walk=False))


def test_a_class_inside_of_the_other_is_named(tmp_path: Path) -> None:
    films = write_folder(tmp_path / "set", 4, size=64)
    shutil.move(films / "NORMAL", films / "PNEUMONIA" / "NORMAL")
    (films / "NORMAL").mkdir()
    report = _audit(films)
    assert report["counts"]["class"] == {"NORMAL": 4, "PNEUMONIA": 4}
    assert _codes(report)["layout"] == "warning"
    assert "NORMAL lies inside of PNEUMONIA" in report["layout_problem"]
