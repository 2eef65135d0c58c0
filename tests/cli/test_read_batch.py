"""firstread read over batches: journals, streams, files a film."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bundles import film, tiny_bundle
from dicom_films import dicom_film
from firstread.cli.main import main
from firstread.film import Film, Preprocess
from firstread.film.walk import Source
from firstread.read import dicom_out
from firstread.read import reader as reader_room
from firstread.read.batch import Batch
from firstread.read.opinion import Opinion
from firstread.read.reader import Reader
from firstread.read.wanted import Wanted


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with films/ (six, from dark to bright) and a bundle."""
    for i in range(6):
        film(tmp_path / f"films/{i}.png", 40 + 36 * i, (64, 48))
    tiny_bundle(tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*arguments: str) -> int:
    return main(["read", "--bundle", "bundle", "--threads", "1", *arguments])


def fields(path: Path) -> list[dict[str, object]]:
    return list(json.loads(path.read_text()))


class Watched:
    """Counts the films that are really read, and interrupts before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.names: list[str] = []
        self.stop, self.ended = "", False
        judge = Reader.read

        def watched(reader: Reader, source: object, *told: object) -> object:
            name = source.name  # type: ignore[attr-defined]
            if self.stop and (self.stop in name or self.ended):
                self.ended = True  # a thread that reads ahead must not go on behind it
                raise KeyboardInterrupt
            self.names.append(name)
            return judge(reader, source, *told)  # type: ignore[arg-type]

        monkeypatch.setattr(Reader, "read", watched)

    def taken(self) -> list[str]:
        names, self.names = self.names, []
        return names


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def interrupted(place: Path, watched: Watched, *arguments: str) -> None:
    """A reading that stopped before the fourth of the six films."""
    watched.stop = "3.png"
    assert read("films", *arguments) == 130
    assert watched.taken() == [f"films/{i}.png" for i in range(3)]
    watched.stop, watched.ended = "", False


def test_the_same_command_reads_only_the_rest(
    place: Path, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(place, watched, "--json", "o.json")
    assert len(fields(place / "o.json")) == 3
    assert (place / "o.json.part").exists()
    capsys.readouterr()
    assert read("films", "--json", "o.json") == 0
    got = capsys.readouterr()
    assert watched.taken() == [f"films/{i}.png" for i in range(3, 6)]
    assert "going on: 3 of 6 films were read before" in got.err
    assert "6 films read" in got.out
    assert [x["file"] for x in fields(place / "o.json")] == [f"films/{i}.png" for i in range(6)]
    assert not (place / "o.json.part").exists()
    assert read("films", "--json", "o.json") == 0
    assert len(watched.taken()) == 6  # a batch that was finished is another batch


def test_changed_and_new_films_are_read_and_lost_ones_left_out(
    place: Path, watched: Watched
) -> None:
    interrupted(place, watched, "--json", "o.json")
    film(place / "films/1.png", 250)
    os.utime(place / "films/1.png", ns=(1, 1))
    (place / "films/2.png").unlink()
    film(place / "films/00.png", 20)
    assert read("films", "--json", "o.json") == 0
    assert watched.taken() == [f"films/{n}.png" for n in ("00", "1", "3", "4", "5")]
    listed = {x["file"]: x["decision"] for x in fields(place / "o.json")}
    assert list(listed) == [f"films/{n}.png" for n in ("0", "00", "1", "3", "4", "5")]
    assert listed["films/1.png"] == "pneumonia"


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (["--bundle", "other"], "another bundle"),
        (["--age", "3"], "another choice of options"),
        (["--engine", "openvino"], "another engine"),
        (["--html", "o.html"], "another choice of options"),
    ],
)
def test_another_bundle_or_option_starts_anew_and_says_so(
    place: Path,
    watched: Watched,
    capsys: pytest.CaptureFixture[str],
    now: list[str],
    says: str,
) -> None:
    if "--engine" in now:
        pytest.importorskip("openvino")
    tiny_bundle(place / "other", name="other")
    interrupted(place, watched, "--json", "o.json")
    assert read("films", "--json", "o.json", *now) == 0
    assert f"starting anew: o.json.part was made with {says}" in capsys.readouterr().err
    assert len(watched.taken()) == 6


def test_a_film_that_changed_takes_its_own_place_again(place: Path, watched: Watched) -> None:
    interrupted(place, watched, "--json", "o.json", "--overlays", "ov", "--fhir", "fhir")
    before = (place / "fhir/films_1.json").read_bytes()
    film(place / "films/1.png", 250)
    os.utime(place / "films/1.png", ns=(1, 1))
    assert read("films", "--json", "o.json", "--overlays", "ov", "--fhir", "fhir") == 0
    assert sorted(p.name for p in (place / "ov").iterdir()) == [f"films_{i}.png" for i in range(6)]
    assert len(list((place / "fhir").iterdir())) == 6
    assert (place / "fhir/films_1.json").read_bytes() != before


def test_without_an_output_file_there_is_no_journal(place: Path, watched: Watched) -> None:
    before = sorted(place.rglob("*"))
    interrupted(place, watched)
    assert read("films", "--json", os.devnull) == 0
    assert sorted(place.rglob("*")) == before


EVERYTHING = ("--json", "o.json", "--csv", "o.csv", "--html", "o.html", "--jsonl", "o.jsonl")
EVERYTHING += ("--overlays", "films/overlays")


def everything(place: Path) -> dict[str, bytes]:
    files = [p for p in place.rglob("*") if p.is_file() and "bundle" not in p.parts]
    return {str(p.relative_to(place)): p.read_bytes() for p in files}


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_process_goes_on_and_gives_the_same_files(place: Path, tmp_path: Path) -> None:
    (place / "films/broken.png").write_bytes(b"\x89PNG broken")
    for i in range(20):
        film(place / f"films/sub/{i}.png", 3 * i)
    film(place / "films/sub_0.png", 130)
    command = [sys.executable, "-m", "firstread.cli.main", "read", "films", "--threads", "1"]
    command += ["--bundle", "bundle", *EVERYTHING]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)

    whole = run()
    assert whole.returncode == 1, whole.stderr
    unbroken = everything(place)
    assert len([name for name in unbroken if "overlays" in name]) == 27
    for name in unbroken:
        if not name.endswith(".png") or "overlays" in name:
            (place / name).unlink()

    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = 0
    while seen < 3:
        line = process.stdout.readline()
        assert line
        seen += line.startswith("films/")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    left = everything(place)
    assert not {"o.json", "o.csv", "o.html"} & set(left)
    assert left["o.jsonl"].count(b"\n") >= 3
    finished = left["o.json.part"].count(b"\n") - 1
    assert 3 <= finished < 28

    again = run()
    assert again.returncode == 1
    assert f"going on: {finished} of 28 films were read before" in again.stderr
    rows = [line for line in again.stdout.splitlines() if line.startswith("films/")]
    assert len(rows) == 28 - finished
    assert everything(place) == unbroken


def test_json_lines_to_a_file_and_to_standard_output(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read("films", "--jsonl", "o.jsonl", "--json", "o.json") == 0
    lines = (place / "o.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == fields(place / "o.json")
    capsys.readouterr()
    assert read("films", "--jsonl", "-") == 0
    got = capsys.readouterr()
    assert got.out.splitlines() == lines
    assert "6 films read" in got.err
    assert not (place / "-").exists()


@pytest.mark.skipif(os.name == "nt", reason="a shell")
def test_without_stderr_nothing_falls_among_the_json_lines(place: Path) -> None:
    (place / "empty").mkdir()
    film(place / "films/odd.tif", 120)
    (place / "films/odd.tif").write_bytes((place / "films/odd.tif").read_bytes()[:200])
    command = f"{sys.executable} -m firstread.cli.main read films empty --bundle bundle"
    for line, code in (
        (f"{command} --jsonl - --csv o.csv 2>&-", 1),
        (f"{command} --jsonl - 2>&- --json films", 2),
    ):
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120)
        assert done.returncode == code
        names = [json.loads(x)["file"] for x in done.stdout.splitlines()]
        assert len(names) == (7 if code == 1 else 0)


def test_no_name_steers_the_terminal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "odd").mkdir()
    film(place / "odd/\x1b[31m\x07.png", 120)
    (place / "\x1b[2Jempty").mkdir()
    assert read("odd", "\x1b[2Jempty", "--csv", "\x07.csv", "--overlays", "ov") == 0
    assert read("odd", "--overlays", "ov") == 0
    got = capsys.readouterr()
    assert "?[2Jempty: no films in this folder" in got.err
    assert "wrote ?.csv" in got.out
    assert all(line.isprintable() for line in (got.out + got.err).splitlines())


def test_json_lines_begin_from_the_first_film_when_a_batch_goes_on(
    place: Path, watched: Watched
) -> None:
    interrupted(place, watched, "--jsonl", "o.jsonl")
    assert len((place / "o.jsonl").read_text().splitlines()) == 3
    assert read("films", "--jsonl", "o.jsonl") == 0
    names = [json.loads(x)["file"] for x in (place / "o.jsonl").read_text().splitlines()]
    assert names == [f"films/{i}.png" for i in range(6)]
    assert len(watched.taken()) == 3


def test_overlays_have_the_films_aspect_and_stand_in_json_and_csv(place: Path) -> None:
    (place / "films/broken.png").write_text("no picture")
    assert read("films", "--overlays", "new/ov", "--json", "o.json", "--csv", "o.csv") == 1
    listed = {str(x["file"]): x["overlay"] for x in fields(place / "o.json")}
    assert listed["films/0.png"] == "new/ov/films_0.png"
    assert listed["films/broken.png"] is None
    assert sorted(p.name for p in (place / "new/ov").iterdir()) == [
        f"films_{i}.png" for i in range(6)
    ]
    with Image.open(place / "new/ov/films_0.png") as picture:
        assert picture.size == (480, 640)  # 48 by 64
    rows = csv.DictReader(io.StringIO((place / "o.csv").read_text()))
    assert [r["overlay"] or None for r in rows] == list(listed.values())
    assert read("films", "--json", "o.json") == 1
    assert {x["overlay"] for x in fields(place / "o.json")} == {None}


def test_a_result_that_no_longer_holds_is_taken_away(place: Path) -> None:
    command = ["films", "--overlays", "ov", "--fhir", "fhir", "--json", "o.json"]
    assert read(*command) == 0
    (place / "films/2.png").write_text("no picture")
    (place / "films/4.png").write_text("no picture")
    mine = film(place / "ov/films_4.png", 30).read_bytes()
    assert read(*command) == 1
    assert [x["overlay"] for x in fields(place / "o.json")][2] is None
    assert not (place / "ov/films_2.png").exists()
    assert (place / "ov/films_4.png").read_bytes() == mine  # what is not ours stays
    assert "cancelled" in (place / "fhir/films_2.json").read_text()
    (place / "films/2.png").unlink()
    assert read("films/0.png", "films/2.png", *command[1:]) == 1
    assert not (place / "fhir/films_2.json").exists()
    assert (place / "fhir/films_1.json").exists()  # of a film that was not read


def test_results_that_lie_there_by_the_same_name_are_told_before_they_are_replaced(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for i in range(3):
        monkeypatch.chdir(place)
        film(place / f"ward{i}/a.png", 40 * i + 60)
        film(place / f"ward{i}/b{i}.png", 99)
        monkeypatch.chdir(place / f"ward{i}")
        assert main(["read", "--bundle", "../bundle", "a.png", f"b{i}.png", "--pdf", "../rec"]) == 0
        told.append(capsys.readouterr().err)
    said = "results by the name of 1 of these films lie there already: replaced"
    assert told == ["", *[f"firstread: {said}\n"] * 2]
    assert len(list((place / "rec").iterdir())) == 4


def test_files_of_films_leave_the_folder_by_no_link_and_fall_on_no_film(place: Path) -> None:
    (place / "ov").mkdir()
    (place / "secret").write_text("mine")
    (place / "ov/films_0.png").symlink_to("../secret")
    assert read("films", "--overlays", "ov") == 0
    assert (place / "secret").read_text() == "mine"
    assert not (place / "ov/films_0.png").is_symlink()

    before = film(place / "alone/a.png", 99).read_bytes()
    os.chdir(place / "alone")
    assert main(["read", "--bundle", "../bundle", "a.png", "--overlays", "."]) == 0
    assert (place / "alone/a.png").read_bytes() == before
    assert (place / "alone/a-2.png").exists()


def test_pictures_of_an_earlier_reading_are_no_films(
    place: Path, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ([], ["films/ov: results go there, so 6 files below it left out"]):
        assert read(".", "--overlays", "films/ov", "--json", "o.json") == 0
        assert len(watched.taken()) == 6
        assert capsys.readouterr().err.splitlines()[:1] == [f"firstread: {x}" for x in said]
    assert read("films", "--json", "o.json") == 1
    found = {str(x["file"]): x for x in fields(place / "o.json")}
    assert {name for name, x in found.items() if x["decision"] == "rejected"} == {
        f"films/ov/films_{i}.png" for i in range(6)
    }
    assert "a result of firstread" in str(found["films/ov/films_0.png"]["reasons"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["films", "--overlays", "films"], "is a folder of films"),
        (["films", "--pdf", "films/0.png"], "is a file"),
        (["films", "--overlays", "films/0.png/x"], "cannot be written"),
        (["films", "--anonymous"], "--dicom"),
        (["films", "--age", "old"], "years"),
        (["films", "--age", "-1"], "years"),
        (["films", "--jsonl", "same", "--json", "same"], "two outputs"),
        (["films", "--json", "same", "--overlays", "./same"], "two outputs"),
        (["films", "--json", "new/o.json", "--csv", "new"], "two outputs"),
        (["films", "--json", "o", "--csv", "o.part"], "two outputs"),
        (["films", "--json", "nowhere"], "leads nowhere"),
        (["films", "--jsonl", "films-0"], "one of the films"),
    ],
)
def test_nothing_is_done_and_one_line_says_why(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (place / "nowhere").symlink_to("gone/o.json")
    os.link(place / "films/0.png", place / "films-0")
    before = everything(place)
    assert read(*arguments) == 2
    got = capsys.readouterr()
    assert says in got.err.splitlines()[-1]
    assert got.out == ""
    assert everything(place) == before


def test_links_in_a_circle_are_a_rejected_film(place: Path) -> None:
    (place / "loop.png").symlink_to("loop.png")
    assert read("loop.png", "films", "--json", "o.json", "--overlays", "films/ov") == 1
    first, *rest = fields(place / "o.json")
    assert (first["file"], first["decision"]) == ("loop.png", "rejected")
    assert len(rest) == 6


def test_pipes_and_devices_are_outputs(place: Path) -> None:
    command = f"{sys.executable} -m firstread.cli.main read films --bundle bundle"
    line = f"{command} --json >(cat > o.json; echo done > end) --csv /dev/null"
    line += " --jsonl /dev/stdout > o.jsonl; until [ -e end ]; do sleep 0.05; done"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = (place / "o.jsonl").read_text().splitlines()
    assert [json.loads(x) for x in lines] == fields(place / "o.json")
    assert len(lines) == 6
    assert "6 films read" in done.stderr


def test_a_strangers_journal_is_left_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "o.json.part").write_text("a download")
    assert read("films", "--json", "o.json") == 2
    assert "no journal of firstread" in capsys.readouterr().err
    assert (place / "o.json.part").read_text() == "a download"


def test_an_age_is_handed_on(place: Path) -> None:
    assert read("films", "--age", "40", "--json", "o.json") == 0
    assert {x["decision"] for x in fields(place / "o.json")} == {"refer"}
    assert read("films", "--age", "3", "--json", "o.json") == 0
    assert {x["decision"] for x in fields(place / "o.json")} == {"pneumonia", "no pneumonia"}


def test_dicom_results_for_dicom_films_and_one_word_on_the_others(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("highdicom")
    import pydicom

    from dicom_films import dicom_film

    (place / "films/d.dcm").write_bytes(dicom_film())
    command = ["films", "--dicom", "dcm", "--anonymous", "--json", "o.json"]
    assert read(*command) == 0
    assert capsys.readouterr().err.count("not DICOM") == 1
    made = sorted((place / "dcm").iterdir())
    assert len(made) == 2
    assert {pydicom.dcmread(p).Modality for p in made} == {"SR", "OT"}
    assert all(not pydicom.dcmread(p).PatientName for p in made)
    # An exported study holds our results beside its film: no report is made about a report.
    for path in made:
        (place / "films" / path.name).write_bytes(path.read_bytes())
    assert read("films", "--dicom", "again", "--fhir", "fhir", "--anonymous") == 1
    assert sorted(p.name for p in (place / "again").iterdir()) == [p.name for p in made]
    bundles = sorted(p.name for p in (place / "fhir").iterdir())
    assert bundles == [*(f"films_{i}.json" for i in range(6)), "films_d.json"]


def test_a_fhir_bundle_a_film_goes_on_where_it_was(
    place: Path, watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    from dicom_films import ID, dicom_film

    (place / "films/2a.dcm").write_bytes(dicom_film())
    (place / "films/5.png").write_bytes(b"broken")
    command = ["films", "--fhir", "fhir", "--json", "o.json"]
    watched.stop = "3.png"
    assert read(*command) == 130
    made = {p.name: p.read_bytes() for p in (place / "fhir").iterdir()}
    assert set(made) == {"films_0.json", "films_1.json", "films_2.json", "films_2a.json"}
    watched.stop = ""
    watched.taken()
    assert read(*command) == 1
    assert watched.taken() == [f"films/{i}.png" for i in range(3, 6)]
    again = {p.name: p.read_bytes() for p in (place / "fhir").iterdir()}
    assert made.items() <= again.items()
    assert json.loads(again["films_5.json"])["entry"][0]["resource"]["status"] == "cancelled"
    assert ID in again["films_2a.json"].decode()
    assert read(*command, "--anonymous") == 1
    assert ID not in (place / "fhir/films_2a.json").read_text()
    assert "no FHIR" not in capsys.readouterr().err


def test_a_film_without_a_fhir_bundle_is_told_and_the_next_gets_its_own(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import firstread.read.fhir as fhir

    make = fhir.opinion_fhir

    def odd(opinion: Opinion, *rest: object) -> bytes:
        if "2.png" in opinion.file:
            raise KeyError("odd")
        return make(opinion, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fhir, "opinion_fhir", odd)
    assert read("films", "--fhir", "fhir") == 1
    assert "films/2.png: no FHIR: cannot be made from it (KeyError)" in capsys.readouterr().err
    assert len(list((place / "fhir").iterdir())) == 5


@pytest.mark.parametrize("gone", [False, True])
def test_no_result_lies_under_the_patient_of_a_film_that_was_not_judged(
    place: Path, gone: bool
) -> None:
    """Its file is replaced by another patient's between the opinion and the results."""
    pytest.importorskip("highdicom")
    from dicom_films import ID, dicom_film

    class Replaced(Source):
        def read_bytes(self) -> bytes:
            data = super().read_bytes()
            self.path.unlink()
            if not gone:
                self.path.write_bytes(dicom_film(1, PatientID="OTHER"))
            return data

    for name in "abc":
        Path(f"{name}.dcm").write_bytes(dicom_film(seed=ord(name)))
    kinds = {"a": Source, "b": Replaced, "c": Source}
    films = [kind(f"{name}.dcm", Path(f"{name}.dcm")) for name, kind in kinds.items()]
    shown: list[Opinion] = []
    notes: list[str] = []
    wanted = Wanted(dicom=Path("dcm"), fhir=Path("fhir"), overlays=Path("ov"), json=Path("o.json"))
    reader = Reader("bundle", threads=1)
    done = Batch(
        films, reader, wanted, show=shown.append, stream=notes.append, note=notes.append
    ).run()
    assert done.failed
    assert notes == [
        "b.dcm: no DICOM results or FHIR: the file was changed or taken away while it was read; "
        "read it again"
    ]
    assert [opinion.decision == "rejected" for opinion in shown] == [False] * 3
    assert {p.name for p in Path("ov").iterdir()} == {"a.png", "b.png", "c.png"}
    assert {p.name for p in Path("fhir").iterdir()} == {"a.json", "c.json"}
    assert len(list(Path("dcm").iterdir())) == 4
    for path in (*Path("fhir").iterdir(), *Path("dcm").iterdir()):
        assert b"OTHER" not in path.read_bytes()
        assert ID.encode() in path.read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="pipes")
def test_a_pipe_gives_the_results_of_the_film_that_came_through_it(place: Path) -> None:
    pytest.importorskip("highdicom")
    from dicom_films import dicom_film

    (place / "d.dcm").write_bytes(dicom_film())
    os.mkfifo(place / "pipe")
    command = [sys.executable, "-m", "firstread.cli.main", "read", "pipe", "--bundle", "bundle"]
    command += ["--dicom", "dcm", "--fhir", "fhir"]
    with subprocess.Popen(["sh", "-c", "cat d.dcm > pipe"], cwd=place):
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert read("d.dcm", "--dicom", "dcm2", "--fhir", "fhir") == 0
    assert (place / "fhir/pipe.json").read_bytes() == (place / "fhir/d.json").read_bytes()
    first, second = ({p.name: p.read_bytes() for p in Path(d).iterdir()} for d in ("dcm", "dcm2"))
    assert first == second != {}


LIMITED = """
import resource, sys
from firstread.cli.main import main
from firstread.film import Film, Preprocess
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def scarce(whole: Callable[..., object], calls: Callable[[int], bool]) -> Callable[..., object]:
    """`whole`, for whose calls there is no memory where `calls` says so by their number."""
    begun = []

    def work(*told: object, **more: object) -> object:
        begun.append(0)
        if calls(len(begun)):
            raise MemoryError
        return whole(*told, **more)

    return work


def test_a_shortage_in_a_films_results_ends_the_batch_and_the_same_command_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3):
        (place / f"films/{i}.dcm").write_bytes(dicom_film(i))
    command = ("films", "--json", "o.json", "--dicom", "out")
    with monkeypatch.context() as short:
        short.setattr(dicom_out, "results", scarce(dicom_out.results, lambda n: n == 2))
        assert read(*command) == 2
    assert "there was not enough memory to read it" in capsys.readouterr().err
    assert not (place / "o.json").exists()
    assert read(*command) == 0
    assert "going on: " in capsys.readouterr().err
    assert {x["decision"] for x in fields(place / "o.json")} != {"rejected"}
    assert len(list((place / "out").glob("*.dcm"))) >= 3


def test_a_film_that_ran_short_is_read_once_more_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = scarce(reader_room.preprocess, lambda n: n == 2)
    monkeypatch.setattr(reader_room, "preprocess", work)
    assert read("films", "--json", "o.json", "--fhir", "out") == 0
    assert "rejected" not in {x["decision"] for x in fields(place / "o.json")}
    assert len(list((place / "out").glob("*.json"))) == 6


def test_a_film_that_never_fits_is_rejected_and_the_batch_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = reader_room.preprocess

    def preprocess(one: Film, how: Preprocess) -> object:
        if one.pixels.size == 64 * 65:
            raise MemoryError
        return whole(one, how)

    film(place / "films" / "3.png", 40, (65, 64))
    monkeypatch.setattr(reader_room, "preprocess", preprocess)
    watched = Watched(monkeypatch)
    watched.stop = "5.png"
    assert read("films", "--json", "o.json") == 130
    watched.stop, watched.ended, watched.names = "", False, []
    assert read("films", "--json", "o.json") == 1
    assert set(watched.names) == {"films/3.png", "films/5.png"}  # it might fit by then
    bad = [x for x in fields(place / "o.json") if x["decision"] == "rejected"]
    assert [x["file"] for x in bad] == ["films/3.png"]
    assert "there was not enough memory to read it" in bad[0]["reasons"][0]
    assert len(fields(place / "o.json")) == 6


@pytest.mark.skipif(os.name == "nt", reason="limits")
def test_a_full_disk_ends_in_one_line_and_the_rest_is_read_with_more_room(place: Path) -> None:
    command = [sys.executable, "-c", LIMITED, "2200", "read", "films", "--threads", "1"]
    command += ["--bundle", "bundle", "--json", "o.json"]
    full = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert full.returncode == 2
    assert "o.json.part: cannot be written" in full.stderr
    assert len(full.stderr.splitlines()) == 1
    assert not (place / "o.json").exists()
    command[3] = str(2**20)
    more = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60)
    assert more.returncode == 0
    assert "going on: " in more.stderr
    assert len(fields(place / "o.json")) == 6
    assert not (place / "o.json.part").exists()
