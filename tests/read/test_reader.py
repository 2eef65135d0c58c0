import io
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

import firstread
from bundles import film, gated_bundle, tiny_bundle, tiny_card, tiny_onnx
from dicom_films import dicom_film
from firstread.errors import BundleError, Shortage
from firstread.film import Film, Preprocess
from firstread.film import decode as film_decode
from firstread.read import reader as room
from firstread.read.bundle import write_bundle
from firstread.read.gate import KINDS, NO_GATE, Verdict
from firstread.read.reader import Reader


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tiny_bundle(tmp_path_factory.mktemp("reader") / "tiny"), threads=3)


def test_a_shortage_is_no_opinion_and_names_the_film(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The films before it have theirs."""
    paths = [film(tmp_path / f"{i}.png", 40) for i in range(3)]
    whole = room.preprocess

    def preprocess(one: Film, how: Preprocess) -> object:
        if one.pixels.size == 64 * 65:
            raise MemoryError
        return whole(one, how)

    monkeypatch.setattr(room, "preprocess", preprocess)
    film(paths[1], 40, (65, 64))
    opinions = reader.read_many(paths)
    assert next(opinions).file == str(paths[0])
    with pytest.raises(Shortage, match=r"1\.png: there was not enough memory to read it"):
        next(opinions)


def test_a_photo_of_a_film_is_marked(reader: Reader, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(60, 200, (64, 64)).astype(np.float32)
    tinted = np.stack([grey, grey * 0.95, grey * np.linspace(0.7, 0.9, 64)], axis=2)
    Image.fromarray(tinted.astype(np.uint8)).save(tmp_path / "photo.png")
    opinion = reader.read(tmp_path / "photo.png")
    assert opinion.probability is not None
    assert [note for note in opinion.notes if "a photo of a film" in note]
    cat = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(cat).save(tmp_path / "cat.png")
    opinion = reader.read(tmp_path / "cat.png")
    assert opinion.decision == "rejected"
    assert not [note for note in opinion.notes if "a photo of a film" in note]


@pytest.mark.parametrize(
    ("mean", "decision"), [(40, "no pneumonia"), (130, "refer"), (220, "pneumonia")]
)
def test_the_decision_follows_threshold_and_band(
    reader: Reader, tmp_path: Path, mean: int, decision: str
) -> None:
    opinion = reader.read(film(tmp_path / "a.png", mean), age=3)
    assert opinion.decision == decision
    assert opinion.logit == pytest.approx(10 * (mean / 255 - 0.5), abs=0.1)
    assert opinion.probability == pytest.approx(1 / (1 + np.exp(-opinion.logit)))
    assert bool(opinion.reasons) == (decision == "refer")
    assert opinion.notes[:2] == ("small: 64 x 64 pixels", "faint: little contrast")
    # A bundle made before there were gates still reads, and says so.
    assert [n for n in opinion.notes if "has no gate" in n] == [NO_GATE]
    assert opinion.heat is not None
    assert opinion.heat.shape == (4, 4)
    assert opinion.pixels is not None
    assert opinion.pixels.shape == (32, 32)


def test_the_threshold_itself_is_pneumonia_and_band_ends_refer(tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 200)
    p = Reader(tiny_bundle(tmp_path / "b")).read(path).probability
    at = {"decision": {"value": p, "how": ""}}
    away = {"low": 0.0, "high": 0.0, "how": ""}
    on_it = Reader(tiny_bundle(tmp_path / "c", thresholds=at, refer=away))
    assert on_it.read(path).decision == "pneumonia"
    for band in ((p, 1.0), (0.0, p)):
        refer = {"low": band[0], "high": band[1], "how": ""}
        assert Reader(tiny_bundle(tmp_path / "d", refer=refer)).read(path).decision == "refer"


def test_calibration_is_applied(tmp_path: Path) -> None:
    calibration = {"slope": 2.0, "intercept": -1.0, "how": "by hand"}
    opinion = Reader(tiny_bundle(tmp_path / "b", calibration=calibration)).read(
        film(tmp_path / "a.png", 150)
    )
    assert opinion.logit is not None
    assert opinion.probability == pytest.approx(1 / (1 + np.exp(-(2 * opinion.logit - 1))))


def test_bytes_are_read_like_the_file(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 90)
    by_bytes = reader.read(path.read_bytes())
    assert by_bytes.file == ""
    assert by_bytes.logit == reader.read(path).logit
    for data in (bytearray(path.read_bytes()), memoryview(path.read_bytes())):
        assert reader.read(data) == by_bytes


def test_what_is_neither_a_path_nor_bytes_is_named_and_what_is_taken(
    reader: Reader, tmp_path: Path
) -> None:
    path = film(tmp_path / "a.png", 90)
    with Image.open(path) as image, path.open("rb") as file:
        for source in (image, np.asarray(image), io.BytesIO(), file, pydicom.Dataset(), None, 7):
            with pytest.raises(TypeError, match="no film's file; give a path, the bytes"):
                reader.read(source)  # type: ignore[arg-type]
    films = reader.read_many([path, path, None])  # type: ignore[list-item]
    assert [next(films).file for _ in range(2)] == [str(path)] * 2
    with pytest.raises(TypeError, match="NoneType is no film's file"):
        next(films)


def test_an_age_is_years_or_not_known(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 220)
    unknown = reader.read(path)
    assert reader.read(path, age=float("nan")) == unknown
    assert reader.read(path, age=np.float32(4)).decision == "pneumonia"
    for age, error in (
        ("4", TypeError),
        (-1, ValueError),
        (float("inf"), ValueError),
        (10**400, ValueError),
    ):
        with pytest.raises(error, match="age must be"):
            reader.read(path, age=age)  # type: ignore[arg-type]
        with pytest.raises(error, match="age must be"):
            reader.read_many([path], age=age)  # type: ignore[arg-type]


def test_a_truth_is_no_age_and_a_part_no_number_of_threads(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="age must be a number"):
        reader.read(film(tmp_path / "a.png", 220), age=True)
    for threads in (1.5, "2", True):
        with pytest.raises(TypeError, match="threads must be a whole number"):
            Reader(reader.bundle, threads=threads)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 or more"):
        Reader(reader.bundle, threads=0)
    assert Reader(reader.bundle, threads=np.int64(2)).threads == 2  # type: ignore[arg-type]


def test_one_film_in_place_of_several_is_named_at_once(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 90)
    for one in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        with pytest.raises(TypeError, match=r"give a list of films; one film is for read\(\)"):
            reader.read_many(one)  # type: ignore[arg-type]


def test_what_the_sources_raise_comes_after_the_opinions(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 90)

    def breaks() -> Iterator[Path]:
        yield from [path] * 5
        raise OSError("the share is gone")

    found = []
    with pytest.raises(OSError, match="the share is gone"):
        found.extend(opinion.file for opinion in reader.read_many(breaks()))
    opinions = reader.read_many(breaks())
    assert [next(opinions).file for _ in range(5)] == [str(path)] * 5
    with pytest.raises(OSError, match="the share is gone"):
        next(opinions)
    assert not [t for t in threading.enumerate() if t.name.startswith("firstread")]


@pytest.mark.parametrize("lungs", [False, True])
def test_a_reader_may_be_pickled(
    reader: Reader, tmp_path: Path, lungs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader.bundle.path.parent)
    here = Reader(reader.bundle.path.name, 2, lungs, "onnxruntime")
    text = pickle.dumps(here)
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(text)
    path = film(tmp_path / "a.png", 90)
    assert again.read(path) == here.read(path)
    assert (again.threads, again.engine) == (2, "onnxruntime")
    assert (again._lungs is not None) is lungs


def test_what_is_no_film_is_rejected_with_a_probability(reader: Reader, tmp_path: Path) -> None:
    Image.new("L", (64, 64), 77).save(tmp_path / "blank.png")
    opinion = reader.read(tmp_path / "blank.png")
    assert opinion.decision == "rejected"
    assert opinion.reasons
    assert opinion.probability is not None


def test_a_batch_goes_on_past_bad_films_and_keeps_its_order(reader: Reader, tmp_path: Path) -> None:
    paths: list[str | Path] = [film(tmp_path / f"{i}.png", 20 + 10 * i) for i in range(20)]
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(Path(paths[3]).read_bytes()[:900])
    (tmp_path / "empty.jpg").write_bytes(b"")
    bad: list[str | Path] = [
        tmp_path / "text.png",
        tmp_path / "cut.png",
        tmp_path / "empty.jpg",
        tmp_path / "missing.png",
        tmp_path,
        "nul\0.png",
    ]
    for i, path in enumerate(bad):
        paths.insert(3 * i, path)
    opinions = list(reader.read_many(paths))
    assert [o.file for o in opinions] == [str(p) for p in paths]
    rejected = [o for o in opinions if o.decision == "rejected"]
    assert [o.file for o in rejected] == [str(p) for p in bad]
    assert all(o.probability is None and o.logit is None and o.reasons for o in rejected)


def test_a_film_gets_the_same_opinion_alone_and_in_any_company(
    reader: Reader, tmp_path: Path
) -> None:
    paths = [film(tmp_path / f"{i}.png", 10 * i) for i in range(1, 25)]
    alone = {str(p): reader.read(p).logit for p in paths}
    for order in (paths, paths[::-1], paths[5:7]):
        assert {o.file: o.logit for o in reader.read_many(order)} == {
            str(p): alone[str(p)] for p in order
        }


def test_only_a_few_films_are_read_ahead_and_closing_stops(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 100)
    taken = []

    def endless():  # type: ignore[no-untyped-def]
        while True:
            taken.append(1)
            yield path

    films = reader.read_many(endless())
    next(films)
    next(films)
    films.close()
    assert len(taken) <= 2 + 2 * reader.threads
    assert not [t for t in threading.enumerate() if t.name.startswith("firstread")]


def test_opinion_as_json(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 130)
    found = reader.read(str(path)).to_json()
    assert list(found)[:5] == ["file", "probability", "threshold", "decision", "reasons"]
    assert found["file"] == str(path)
    assert isinstance(found["reasons"], list)
    assert found["bundle"] == "tiny"
    assert len(found["bundle_sha256"]) == 12
    assert "Not a medical device" in found["notices"][0]


def test_a_graph_that_is_not_ours_is_a_bundle_error(tmp_path: Path) -> None:
    write_bundle(tmp_path / "junk", b"junk", tiny_card())
    with pytest.raises(BundleError, match="onnxruntime cannot load"):
        Reader(tmp_path / "junk")
    write_bundle(tmp_path / "size", tiny_onnx(32), tiny_card(64))
    with pytest.raises(BundleError, match="64, 64"):
        Reader(tmp_path / "size")


def test_the_package_offers_the_reader() -> None:
    assert firstread.Reader is Reader


def test_reading_a_jpeg_imports_nothing_it_does_not_need(tmp_path: Path) -> None:
    film(tmp_path / "a.jpeg", 90)
    tiny_bundle(tmp_path / "b")
    code = (
        "import sys; from firstread import Reader; r = Reader(sys.argv[1]);"
        "assert r.read(sys.argv[2]).probability is not None;"
        "print([m for m in ('matplotlib', 'jinja2', 'pydicom', 'torch', 'onnx', 'sklearn')"
        " if m in sys.modules])"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "b"), str(tmp_path / "a.jpeg")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.films
def test_real_films_of_every_kind_are_read(reader: Reader, films_dir: Path) -> None:
    paths = [
        *sorted((films_dir / "dicom").glob("*.dcm")),
        *sorted((films_dir / "chest_xray_original/PNEUMONIA").glob("*.jpeg"))[:3],
        *sorted((films_dir / "nih_adult").rglob("*.*"))[:2],
    ]
    opinions = list(reader.read_many(paths))
    assert len(opinions) == len(paths)
    assert [o.file for o in opinions if o.decision == "rejected"] == []


def test_the_age_is_asked_for_and_held_against_the_cards(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 220)
    unknown = reader.read(path)
    assert unknown.decision == "pneumonia"
    assert unknown.reasons[0].startswith("the patient's age is not known")
    adult = reader.read(path, age=60)
    assert adult.decision == "refer"
    assert adult.reasons[0].startswith("the patient is 60 years old")
    assert adult.probability == unknown.probability
    assert [o.decision for o in reader.read_many([path, path], age=60)] == ["refer", "refer"]


def test_a_film_may_bring_its_own_name_bytes_and_size(reader: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "a.png", 220)

    class Member:
        name = "study.zip/a.png"
        true_size = (400, 300)

        def read_bytes(self) -> bytes:
            return path.read_bytes()

    named, plain = reader.read(Member()), reader.read(path)
    assert named.file == "study.zip/a.png"
    assert named.probability == plain.probability


def test_tags_that_rule_the_chest_out_are_rejected(reader: Reader) -> None:
    for tag, value, word in (
        ("BodyPartExamined", "HAND", "HAND"),
        ("ViewPosition", "LL", "not a frontal view"),
    ):
        opinion = reader.read(dicom_film(**{tag: value}))
        assert opinion.decision == "rejected"
        assert word in opinion.reasons[0]
    old = reader.read(dicom_film(PatientAge="071Y"))
    assert old.decision == "refer"
    assert "71 years old" in " ".join(old.reasons)
    born = reader.read(dicom_film(PatientAge=None, PatientBirthDate="19410704"))
    assert born.decision == "refer"
    assert "83 years old" in " ".join(born.reasons)
    young = reader.read(dicom_film(PatientAge="071Y"), age=4)
    assert "years old" not in " ".join(young.reasons)


@pytest.mark.parametrize(
    ("size", "frame", "whole"),
    [(112, "squash", 112), (192, "squash", 192), (32, "squash", 224), (112, "centre", 224)],
)
def test_the_gate_looks_for_lungs_on_the_whole_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, frame: str, whole: int
) -> None:
    seen: list[np.ndarray] = []
    decoded: list[int] = []

    def decode(source: Path, reduce_to: int, before: object) -> Film:
        decoded.append(reduce_to)
        return film_decode(source, reduce_to=reduce_to)

    def looked_at(pixels: np.ndarray) -> np.ndarray:
        seen.append(pixels)
        return np.zeros(pixels.shape, bool)

    monkeypatch.setattr("firstread.read.reader.decode", decode)
    monkeypatch.setattr("firstread.read.reader.lung_mask", looked_at)
    monkeypatch.setattr("firstread.read.reader.judge", lambda gate, out, doubt: Verdict(doubt()))
    how = Preprocess(size, frame)
    limits = {"limit": 1.0, "strange": 1.0, "unsure": 1.0, "suspect": 1.0, "how": ""}
    gate = {"kinds": list(KINDS), **limits}
    reader = Reader(gated_bundle(tmp_path / "b", size, preprocess=how.to_dict(), gate=gate), 1)
    wide = np.linspace(10, 80, 600).astype(np.uint8)[:, None].repeat(1200, 1)
    wide[:, 800:] += 150
    Image.fromarray(wide).save(tmp_path / "wide.jpeg", quality=95)
    assert reader.read(tmp_path / "wide.jpeg", heat=False).decision == "rejected"
    assert seen[0].shape == (whole, whole)
    # A third of the film is bright, and only a sixth of the square in its middle.
    assert abs(float((seen[0] > 120).mean()) - 1 / 3) < 0.02
    assert decoded[0] == size  # the model's own pixels are those it learnt from
    assert decoded[-1] >= whole


@pytest.mark.parametrize("times", [float("inf"), float("nan")])
def test_a_network_that_overflows_gives_no_sure_opinion(tmp_path: Path, times: float) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(tiny_onnx())
    (ten,) = (i for i in model.graph.initializer if i.name == "ten")
    ten.CopyFrom(numpy_helper.from_array(np.array([times], np.float32), "ten"))
    folder = write_bundle(tmp_path / "b", model.SerializeToString(), tiny_card()).path
    opinion = Reader(folder, threads=1, engine="onnxruntime").read(dicom_film())
    assert (opinion.decision, opinion.probability) == ("rejected", None)
    assert opinion.reasons == ("the model gave no number for this film",)
    assert json.dumps(opinion.to_json(), allow_nan=False)


@pytest.mark.parametrize("spoil", ["upright", "upside down", "on its side", "a negative"])
def test_the_shipped_gate_turns_spoilt_films_away(spoil: str) -> None:
    reader = Reader(threads=1)
    if reader.bundle.card.gate is None:
        pytest.skip("the shipped bundle has no gate")
    paths = sorted((Path(firstread.__file__).parent / "samples").rglob("*.jpeg"))
    decisions = []
    for path in paths:
        grey = np.asarray(Image.open(path).convert("L"))
        turns = {"upside down": 2, "on its side": 1}.get(spoil, 0)
        pixels = np.rot90(255 - grey if spoil == "a negative" else grey, turns)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        opinion = reader.read(out.getvalue(), heat=False, age=3)
        if spoil == "upright":
            assert opinion.decision != "rejected", path.name
        else:
            assert opinion.decision in ("rejected", "refer"), path.name
            assert spoil in opinion.reasons[0]
        decisions.append(opinion.decision)
    # One that is drawn may be looked at by a person first.
    assert decisions.count("rejected") >= (0 if spoil == "upright" else len(paths) - 1)
