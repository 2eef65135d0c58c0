"""Films with labels and patients, from folders and tables as people keep them."""

from pathlib import Path

import numpy as np
import pytest

from firstread.cohort import hashed
from firstread.cohort.split import SplitPlan, load_split, make_split, save_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, FilmRow, load_cohort
from firstread.errors import ClassFolderError, FolderNotFound, NoFilms, TableError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def table(root: Path, text: str) -> Path:
    (root / "films.csv").write_text(text, encoding="utf-8")
    return root / "films.csv"


def test_folder_with_classes(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path, 3, size=16))
    assert len(cohort) == 6
    assert cohort.labels.dtype == np.int8
    assert cohort.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert {r.part for r in cohort.rows} == {""}
    assert all(p.is_file() for p in cohort.paths)
    assert [r.file for r in cohort.rows] == [
        p.relative_to(tmp_path).as_posix() for p in cohort.paths
    ]


def test_folder_with_parts(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        write_folder(tmp_path, 2, size=16, part=part)
    cohort = load_cohort(tmp_path)
    assert [len(cohort.part(p)) for p in ("train", "val", "test")] == [4, 4, 4]
    assert len(cohort.part("train", "test")) == 8
    assert {r.etiology for r in cohort.rows} == {"bacterial", "viral", "normal"}


def test_order_is_the_same_every_time(tmp_path: Path) -> None:
    write_folder(tmp_path, 5, size=16)
    assert load_cohort(tmp_path).rows == load_cohort(tmp_path).rows
    files = [r.file for r in load_cohort(tmp_path).rows]
    assert files == sorted(files)


def test_litter_is_no_film(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "NORMAL/IM-0001-0001.jpeg",
        "NORMAL/._IM-0001-0001.jpeg",
        "NORMAL/.hidden/IM-0002-0001.jpeg",
        "NORMAL/__MACOSX/IM-0003-0001.jpeg",
        "NORMAL/notes.txt",
        "PNEUMONIA/deeper/person1_virus_1.PNG",
    )
    assert [r.file for r in load_cohort(tmp_path).rows] == [
        "NORMAL/IM-0001-0001.jpeg",
        "PNEUMONIA/deeper/person1_virus_1.PNG",
    ]


def test_films_without_a_telling_name_are_each_a_patient(tmp_path: Path) -> None:
    touch(tmp_path, "NORMAL/a.png", "NORMAL/b.png", "PNEUMONIA/a.png")
    assert len(set(load_cohort(tmp_path).patients)) == 3


def test_misspelt_class_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "NORMAL/a.png", "PNEUMONA/b.png")
    with pytest.raises(ClassFolderError, match="PNEUMONIA is missing; rename PNEUMONA to"):
        load_cohort(tmp_path)
    touch(tmp_path / "b", "healthy/a.png", "PNEUMONIA/b.png")
    with pytest.raises(ClassFolderError, match=r"NORMAL is missing \(found PNEUMONIA, healthy"):
        load_cohort(tmp_path / "b")


def test_a_folder_of_the_other_class_is_not_to_be_renamed(tmp_path: Path) -> None:
    for i, other in enumerate(("PNEUMONIA_NEGATIVE", "PNEUMOTHORAX", "NO_PNEUMONIA")):
        touch(tmp_path / str(i), "NORMAL/a.png", f"{other}/b.png")
        with pytest.raises(ClassFolderError, match=rf"PNEUMONIA is missing \(found .*{other}"):
            load_cohort(tmp_path / str(i))
    for i, same in enumerate(("pneu", "Pneumonia all", "Pnuemonia")):
        touch(tmp_path / f"s{i}", "NORMAL/a.png", f"{same}/b.png")
        with pytest.raises(ClassFolderError, match=f"rename {same} to PNEUMONIA"):
            load_cohort(tmp_path / f"s{i}")


def test_classes_beside_a_part_are_not_left_out_unsaid(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{p}{c}/1.png" for p in ("", "test/") for c in ("NORMAL", "PNEUMONIA")))
    with pytest.raises(ClassFolderError, match="NORMAL lies beside the part test"):
        load_cohort(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FolderNotFound, match="check the path"):
        load_cohort(tmp_path / "none")
    with pytest.raises(ClassFolderError, match="found no folder"):
        load_cohort(tmp_path)
    (tmp_path / "NORMAL").mkdir()
    (tmp_path / "PNEUMONIA").mkdir()
    with pytest.raises(NoFilms, match="no film found"):
        load_cohort(tmp_path)
    touch(tmp_path, "NORMAL/a.png")
    with pytest.raises(NoFilms, match="no PNEUMONIA film"):
        load_cohort(tmp_path)


def test_folder_without_labels(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "deeper/b.dcm")
    cohort = load_cohort(tmp_path, need_labels=False)
    assert cohort.labels.tolist() == [-1, -1]
    with pytest.raises(ClassFolderError):
        load_cohort(tmp_path)


def test_labels_as_programs_write_them(tmp_path: Path) -> None:
    rows = "file,label\na.png,1.0\nb.png,0.0\nc.png,TRUE\nd.png,FALSE\n"
    assert load_cohort(table(tmp_path, rows)).labels.tolist() == [1, 0, 1, 0]
    missing = table(tmp_path, rows + "e.png,NA\nf.png,nan\ng.png,\n")
    assert load_cohort(missing, need_labels=False).labels.tolist() == [1, 0, 1, 0, -1, -1, -1]
    with pytest.raises(TableError, match=r"3 films have no label \(first: line 6, e\.png\)"):
        load_cohort(missing)


def test_table_with_everything(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "file,label,patient,part,age\n"
        "x/a.png,NORMAL,p1,train,3\n"
        "x/b.png, pneumonia ,p1,test,4\n"
        f"{tmp_path}/c.png,1,,,\n",
    )
    cohort = load_cohort(path)
    assert cohort.root == tmp_path
    assert cohort.labels.tolist() == [0, 1, 1]
    assert cohort.patients[:2] == ["p1", "p1"]
    assert cohort.patients[2] not in {"p1", ""}
    assert [r.part for r in cohort.rows] == ["train", "test", ""]
    assert cohort.rows[1].extra == {"age": "4"}
    assert cohort.paths == [tmp_path / "x/a.png", tmp_path / "x/b.png", tmp_path / "c.png"]


def test_table_of_a_spreadsheet(tmp_path: Path) -> None:
    """With a byte order mark and CRLF, as Excel writes "CSV UTF-8"."""
    path = tmp_path / "films.csv"
    path.write_bytes(b"\xef\xbb\xbffile,label\r\na.png,0\r\nb.png,1\r\n")
    assert load_cohort(path).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.png,0\n", "no column `file`"),
        ("", "no column `file`"),
        ("file,label\n,0\n", "line 2 has no `file`"),
        ("file,label\na.png,0\nb.png,maybe\n", "line 3: label 'maybe'"),
        (
            "file,label\na.png,0\nb.png,\n",
            r"films\.csv: 1 film has no label \(first: line 3, b\.png\)",
        ),
        ("file\na.png\n\nb.png\n", r"2 films have no label \(first: line 2, a\.png\)"),
    ],
)
def test_table_that_is_not_understood(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        load_cohort(table(tmp_path, text))


def test_table_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_bytes("file,label\nthörax.png,0\n".encode("latin-1"))
    with pytest.raises(TableError, match="UTF-8"):
        load_cohort(tmp_path / "films.csv")


def test_empty_table_and_one_class(tmp_path: Path) -> None:
    with pytest.raises(NoFilms):
        load_cohort(table(tmp_path, "file,label\n"))
    with pytest.raises(NoFilms, match="no NORMAL film"):
        load_cohort(table(tmp_path, "file,label\na.png,1\n"))
    assert len(load_cohort(table(tmp_path, "file\na.png\n"), need_labels=False)) == 1


def test_hash_names_the_films_not_their_order_or_place(tmp_path: Path) -> None:
    one = load_cohort(write_folder(tmp_path / "one", 3, size=16))
    two = load_cohort(write_folder(tmp_path / "two", 3, size=16))
    assert one.data_hash() == two.data_hash()
    assert one.subset([5, 4, 3, 2, 1, 0]).data_hash() == one.data_hash()
    assert one.subset(range(5)).data_hash() != one.data_hash()
    two.paths[0].write_bytes(b"changed")
    assert Cohort(two.root, two.rows).data_hash() != one.data_hash()


def test_films_that_are_not_there_are_counted_before_any_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    films = load_cohort(table(tmp_path, "file,label\na.png,0\nb.png,1\nc.png,1\n"))
    with pytest.raises(TableError, match=r"2 of 3 films are not there \(first: .*b\.png\)"):
        films.data_hash()


def test_subset_keeps_the_order_asked_for(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path, 3, size=16))
    picked = cohort.subset(np.array([4, 0]))
    assert picked.rows == (cohort.rows[4], cohort.rows[0])


def test_a_padded_cell_is_no_other_patient(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png")
    head = "file,label,patient ,part, view"
    rows = "a.png,NORMAL,P7,train,AP\nb.png,1,P7 ,train ,AP \nc.png,1, ,val,PA\n"
    cohort = load_cohort(table(tmp_path, f"{head}\n{rows}"))
    assert [r.extra["view"] for r in cohort.rows] == ["AP", "AP", "PA"]
    assert cohort.patients == ["P7", "P7", "film-c.png"]
    assert [r.part for r in cohort.rows] == ["train", "train", "val"]


def test_what_viewers_call_every_export_tells_no_patient(tmp_path: Path) -> None:
    """OsiriX and Horos name films as the set names its normals."""
    touch(tmp_path, *(f"NORMAL/pat{i}/IM-0001-0001.jpeg" for i in range(3)))
    touch(tmp_path, *(f"PNEUMONIA/pat{i}/IM-0001-0001.jpeg" for i in range(3, 6)))
    cohort = load_cohort(tmp_path)
    assert len(set(cohort.patients)) == 6
    assert {r.series for r in cohort.rows} == {""}
    assert [r.etiology for r in cohort.rows] == ["normal"] * 3 + [""] * 3


def test_names_that_a_viewer_gave_to_normals_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"NORMAL/p{i}/IM-0001-0002.jpeg" for i in range(3)))
    touch(tmp_path, *(f"PNEUMONIA/p{i}/IM-0001-0001.jpeg" for i in range(3)))
    assert len(set(load_cohort(tmp_path).patients)) == 6


def test_a_copy_at_another_size_is_still_that_patient(tmp_path: Path) -> None:
    touch(tmp_path, "NORMAL/large/IM-0001-0001.jpeg", "NORMAL/small/IM-0001-0001.jpeg")
    touch(tmp_path, "PNEUMONIA/person1_virus_1.jpeg")
    assert load_cohort(tmp_path).patients == ["IM-1", "IM-1", "virus-1"]


def test_a_told_patient_stays_whatever_the_name(tmp_path: Path) -> None:
    names = ("a/IM-0001-0001.png", "b/IM-0001-0001.png")
    touch(tmp_path, *names)
    text = f"file,label,patient\n{names[0]},0,P1\n{names[1]},1,P2\n"
    assert load_cohort(table(tmp_path, text)).patients == ["P1", "P2"]


@pytest.mark.parametrize(
    "text",
    [
        "file;label;patient\na.png;NORMAL;P1\nb.png;PNEUMONIA;P2\n",
        "File\tLABEL\tPatient\na.png\t0\tP1\nb.png\t1\tP2\n",
        '"file", "label", "patient"\na.png,0,P1\nb.png,1,P2\n',
        "\ufefffile,label,patient\r\na.png,0,P1\r\nb.png,1,P2\r\n",
    ],
    ids=["semicolons", "tabs", "spaces", "mark and CRLF"],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "a.png", "b.png")
    cohort = load_cohort(table(tmp_path, text))
    assert list(cohort.labels) == [0, 1]
    assert cohort.patients == ["P1", "P2"]


@pytest.mark.parametrize(
    ("first", "second", "ages"),
    [
        ("17.5", "58", (17.0, 58.0)),
        ('"17,5"', "58", (17.0, 58.0)),
        ("036M", "3Y", (3.0, 3.0)),
        ("17", "", None),
        ("17", "unknown", None),
        ("17", "999", None),
        ("", "", (1.0, 5.0)),
    ],
)
def test_ages_are_those_told_or_of_the_public_set(
    tmp_path: Path, first: str, second: str, ages: tuple[float, float] | None
) -> None:
    names = "IM-0115-0001.jpeg", "person1_virus_1.jpeg"
    touch(tmp_path, *names)
    text = f"file,label,age\n{names[0]},0,{first}\n{names[1]},1,{second}\n"
    assert load_cohort(table(tmp_path, text)).ages == ages


def test_films_of_nobody_knows_where_tell_no_age(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    assert load_cohort(table(tmp_path, "file,label\na.png,0\nb.png,1\n")).ages is None


def test_a_column_of_nearly_the_same_name_is_another(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    text = "file,label,Label\na.png,0,normal film\nb.png,1,opacity\n"
    assert load_cohort(table(tmp_path, text)).rows[1].extra == {"Label": "opacity"}
    with pytest.raises(TableError, match="`patient` twice"):
        load_cohort(table(tmp_path, "file,label,Patient,PATIENT\na.png,0,1,2\nb.png,1,1,2\n"))


def test_a_patients_column_is_known_as_public_tables_spell_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png")
    text = "file,label,Patient ID\na.png,0,7\nb.png,1,7\nc.png,1,None\n"
    cohort = load_cohort(table(tmp_path, text))
    assert cohort.patients == ["7", "7", "film-c.png"]
    assert [row.is_alone for row in cohort.rows] == [False, False, True]


def test_an_error_names_the_line_as_an_editor_counts_it(tmp_path: Path) -> None:
    text = 'file,label,note\n\na.png,0,"two\nlines"\n,,\nb.png,oops,\n'
    with pytest.raises(TableError, match="line 6: label 'oops'"):
        load_cohort(table(tmp_path, text))


def test_parts_are_known_in_capitals_too(tmp_path: Path) -> None:
    """Or half of the films would be left out, in silence while others are in `train`."""
    touch(tmp_path, "a.png", "b.png", "c.png")
    text = "file,label,part\na.png,0,Train\nb.png,1,TEST\nc.png,1,Fold 1\n"
    assert [r.part for r in load_cohort(table(tmp_path, text)).rows] == ["train", "test", "Fold 1"]


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("PNEUMONIA/NORMAL", "the class NORMAL lies inside of PNEUMONIA"),
        ("NORMAL/ward 7/Pneumonia", "the class Pneumonia lies inside of NORMAL"),
        ("NORMAL/test", "the part test lies inside of NORMAL"),
    ],
)
def test_what_lies_inside_of_a_class_is_not_taken_for_it(
    tmp_path: Path, inner: str, said: str
) -> None:
    """Unpacked at a wrong place, normals were pneumonia, and a test's films were trained on."""
    touch(tmp_path, "NORMAL/a.png", "PNEUMONIA/NEUMONIA/b.png", "NORMAL/NORMAL/c.png")
    assert load_cohort(tmp_path).labels.tolist() == [0, 0, 1]
    touch(tmp_path, f"{inner}/c.png")
    with pytest.raises(ClassFolderError, match=said):
        load_cohort(tmp_path)


def test_films_are_hashed_once_whatever_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A split, its parts and their caches read a set of terabytes once for this, not four times."""
    films = load_cohort(write_folder(tmp_path / "set", 8, size=16))
    split = make_split(films, SplitPlan(fraction=0.25))
    save_split(split, tmp_path / "split.csv")
    held = load_split(tmp_path / "split.csv", films)
    known = dict(zip((r.file for r in split.rows), split.hashes, strict=True))
    monkeypatch.setattr(hashed, "films_sha256", lambda *_: pytest.fail("read again"))
    for cohort in (split, split.part("val"), held.part("train"), held.subset([3, 1])):
        assert list(cohort.hashes) == [known[r.file] for r in cohort.rows]


@pytest.mark.films
def test_the_real_folder(films_dir: Path) -> None:
    cohort = load_cohort(films_dir / "chest_xray")
    counts = {
        (p, n): int((cohort.part(p).labels == n).sum()) for p in ("train", "val") for n in (0, 1)
    }
    assert counts == {("train", 0): 1341, ("train", 1): 3875, ("val", 0): 8, ("val", 1): 8}


@pytest.mark.films
def test_the_real_names_agree_with_the_table(films_dir: Path) -> None:
    for row in load_cohort(films_dir / "chest_xray.csv").rows:
        assert row.number == int(row.extra["number"]), row.file
        assert row.series == row.extra["series"]
        assert row.etiology == (row.extra["etiology"] or "normal")


def test_a_patient_whom_nobody_knows_is_no_one_patient(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "c.png", "person5_virus_9.jpeg")
    rows = "a.png,NORMAL,NA\nb.png,1,unknown\nc.png,1,P7\nperson5_virus_9.jpeg,1,?\n"
    cohort = load_cohort(table(tmp_path, f"file,label,patient\n{rows}"))
    assert cohort.patients == ["film-a.png", "film-b.png", "P7", "virus-5"]


@pytest.mark.parametrize(
    ("told", "size"),
    [
        (("1024", "900"), (1024, 900)),
        (("1024.0", " 900.0"), (1024, 900)),  # as pandas writes a column with a blank
        (("1024", ""), None),
        (("1024.5", "900"), None),
        (("0", "900"), None),
        (("²", "900"), None),
        (("9" * 5000, "900"), None),
    ],
)
def test_a_size_before_storing_is_taken_as_tables_write_it(
    told: tuple[str, str], size: tuple[int, int] | None
) -> None:
    extra = dict(zip(("original_width", "original_height"), told, strict=True))
    assert FilmRow("a.png", Path("a.png"), 1, "p", extra=extra).true_size == size
