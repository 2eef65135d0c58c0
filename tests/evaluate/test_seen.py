"""What is told of films that a model has seen before."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from firstread.cohort import hashes
from firstread.cohort.copies import copies_warning
from firstread.cohort.hashes import file_sha256
from firstread.cohort.split import SplitPlan, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import load_cohort
from firstread.evaluate import score
from firstread.evaluate.seen import own_names, seen_warnings


def export(root: Path, films: int, first: int = 0) -> Path:
    """A table of an archive's export: a folder a patient and a study, one name for all films."""
    lines = ["file,label,patient"]
    for i in range(films):
        path = root / f"p{i}/study1/frontal.jpg"
        path.parent.mkdir(parents=True)
        path.write_bytes(f"film {first + i}".encode())
        lines.append(f"p{i}/study1/frontal.jpg,{i % 2},{root.name}-{i}")
    table = root / "films.csv"
    table.write_text("\n".join(lines))
    return table


def run_of(table: Path, run: Path) -> Path:
    """What a run validated on these films keeps of them."""
    run.mkdir()
    rows = load_cohort(table, need_labels=False).rows
    for name, columns in (
        ("val.csv", ("file", "label", "patient", "logit")),
        ("split.csv", ("file", "label", "part", "patient", "series", "etiology", "sha256")),
    ):
        with (run / name).open("w", newline="") as f:
            out = csv.DictWriter(f, columns, extrasaction="ignore")
            out.writeheader()
            for r in rows:
                told = {"file": r.file, "label": r.label, "patient": r.patient, "part": "val"}
                out.writerow(told | {"sha256": file_sha256(r.path), "logit": 0.0})
    return run


def test_a_name_that_several_films_bear_is_nobodys() -> None:
    assert own_names(["a/NORMAL/1.png", "b/NORMAL/2.png"]) == ["NORMAL/1.png", "NORMAL/2.png"]
    assert own_names(["a/s/1.png", "b/s/1.png", "c/t/1.png"]) == ["", "", "t/1.png"]


def test_films_of_one_name_are_told_apart_by_their_content(tmp_path: Path) -> None:
    seen = export(tmp_path / "seen", 6)
    run = run_of(seen, tmp_path / "run")
    assert (
        "6 of 6 films are validation films of the run"
        in seen_warnings(load_cohort(seen), {}, run)[0]
    )
    # Another hospital's, laid out alike: no film of it was seen, whatever it is called.
    assert not seen_warnings(load_cohort(export(tmp_path / "new", 6, first=6)), {}, run)


def test_a_film_stored_anew_is_known_by_its_name(tmp_path: Path) -> None:
    run = run_of(export(tmp_path / "seen", 1), tmp_path / "run")
    told = seen_warnings(
        load_cohort(export(tmp_path / "new", 1, first=9), need_labels=False), {}, run
    )
    assert "1 of 1 films is a validation film" in told[0]


def test_a_copy_at_another_size_is_of_a_patient_it_learnt_from(tmp_path: Path) -> None:
    """Names of the public set mean the same patient in whatever copy of it."""
    films = load_cohort(write_folder(tmp_path / "films", 12, seed=2, size=48))
    split = make_split(films, SplitPlan(by="patient", fraction=0.4))
    save_split(split, tmp_path / "run" / "split.csv")
    for row in split.part("train").rows:
        Image.open(row.path).resize((64, 64)).save(row.path)
    n = len(split.part("train"))
    (told,) = seen_warnings(
        load_cohort(films.root).subset(
            i
            for i, r in enumerate(films.rows)
            if r.file in {t.file for t in split.part("train").rows}
        ),
        {},
        tmp_path / "run",
    )
    assert f"{n} of {n} films are of patients the run trained on" in told


def test_a_missing_film_has_no_other_read_again_for_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a hundred thousand films each reading takes minutes, and one is always gone."""
    films = load_cohort(export(tmp_path / "a", 5))
    films.paths[3].unlink()
    read: Counter[Path] = Counter()

    def counted(path: Path) -> str:
        read[path] += 1
        return file_sha256(path)

    monkeypatch.setattr(hashes, "file_sha256", counted)
    assert score._data_hash(films).startswith("names:")
    assert seen_warnings(films, {"sha256": "0" * 64}, None) == []
    assert copies_warning(films.subset(range(4))) == []
    assert read == Counter(path for path in films.paths if path.exists())
