"""Who the patient is: told in DICOM results as the standard wants it, and nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.film.quiet import quiet
from fuzzing.seeds import PATIENT, SECRETS, UID, all_seeds, dataset, deep, written
from fuzzing.worker import leaked

pytest.importorskip("highdicom")

OUTPUTS = ("--json", "o.json", "--jsonl", "o.jsonl", "--csv", "o.csv", "--html", "o.html")
OUTPUTS += ("--overlays", "overlays", "--pdf", "pdf", "--dicom", "dicom", "--regions", "--debug")

DAY = "20240817"
"""The day of the study: a DICOM result keeps it, an anonymous one does not."""


def films() -> dict[str, bytes]:
    """Whole films of the patient, and such as make every part of the reading complain."""
    with quiet:  # pydicom minds, rightly
        return _films()


def _films() -> dict[str, bytes]:
    plain = dataset(deep(), 12)
    made = {
        "whole": written(dataset(deep(), 12)),
        "rle": all_seeds()["dicom rle"],
        "deflated": all_seeds()["dicom deflated"],
        "cut": written(dataset(deep(), 12))[:9000],
        "headless": all_seeds()["dicom headless"],
    }
    for name, changes in {
        "window": {"WindowCenter": "1", "WindowWidth": "0", "RescaleSlope": "0"},
        "hand": {"BodyPartExamined": PATIENT["PatientName"].upper()[:16]},
        "no picture": {"Modality": PATIENT["PatientID"], "Rows": None},
        "frames": {"NumberOfFrames": "3"},
        "no uid": {"SOPInstanceUID": None},
    }.items():
        ds = dataset(deep(), 12)
        for key, value in changes.items():
            if value is None:
                del ds[key]
            else:
                setattr(ds, key, value)
        made[name] = written(ds)
    for name, syntax in {"syntax": PATIENT["OperatorsName"], "slashes": "../../1.2"}.items():
        made[name] = made["whole"].replace(
            b"1.2.840.10008.1.2.1\0", syntax.encode().ljust(20, b"\0")[:20]
        )
    name = PATIENT["ReferringPhysicianName"].encode()[: len(UID) + 2]
    made["uid"] = made["whole"].replace(
        str(plain.SOPInstanceUID).encode(), name.ljust(len(UID) + 2)
    )
    return made


def run(place: Path, *words: str) -> tuple[str, dict[str, bytes]]:
    """What the terminal showed, and the files that were made."""
    for name, data in films().items():
        path = place / "in" / f"{name}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    tiny_bundle(place / "bundle")
    before = {p for p in place.rglob("*") if p.is_file()}
    command = [sys.executable, "-m", "firstread.cli.main", "read", "in", "--bundle", "bundle"]
    done = subprocess.run(
        [*command, *OUTPUTS, *words], cwd=place, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 1, done.stderr
    made = {p for p in place.rglob("*") if p.is_file()} - before
    return done.stdout + done.stderr, {str(p.relative_to(place)): p.read_bytes() for p in made}


def told(data: bytes) -> list[str]:
    """Secrets in a file, in the encodings that outputs are written in."""
    texts = [data.decode("latin-1"), data.decode("utf-8", "ignore")]
    texts += [data.decode("utf-16-be", "ignore"), data.decode("utf-16-le", "ignore")]
    return sorted({word for text in texts for word in leaked(text)})


def test_no_name_is_told_but_in_dicom_results(tmp_path: Path) -> None:
    said, made = run(tmp_path)
    assert leaked(said) == []
    assert "Traceback" not in said
    results = {name: data for name, data in made.items() if name.startswith("dicom/")}
    others = {name: told(data) for name, data in made.items() if name not in results}
    assert {Path(name).suffix for name in others} == {
        ".json", ".jsonl", ".csv", ".html", ".png", ".pdf"
    }  # fmt: skip
    assert {name: words for name, words in others.items() if words} == {}
    assert not [name for name, data in made.items() if name not in results and UID.encode() in data]
    # The search would find a name: the results hold it, as an archive needs it.
    assert any("Zyxquuth" in told(data) for data in results.values())
    decisions = {x["file"]: x["decision"] for x in json.loads(made["o.json"])}
    assert decisions["in/whole.dcm"] != "rejected"
    assert sum(decision == "rejected" for decision in decisions.values()) >= 5


def test_anonymous_results_hold_no_name_date_or_uid_of_the_film(tmp_path: Path) -> None:
    said, made = run(tmp_path, "--anonymous")
    results = {name: data for name, data in made.items() if name.startswith("dicom/")}
    assert len(results) >= 5
    for name, data in results.items():
        assert told(data) == [], name
        assert UID.encode() not in data
        assert DAY.encode() not in data
        ds = pydicom.dcmread(tmp_path / name)
        assert ds.PatientIdentityRemoved == "YES"
        assert not ds.PatientName
        assert not ds.PatientID
    assert leaked(said) == []


def test_the_search_itself_finds_what_it_should() -> None:
    assert leaked("the patient zyxquuth was here") == ["Zyxquuth"]
    assert leaked("chest, thorax, whole") == []
    assert len(SECRETS) > 12
    assert leaked(films()["whole"].decode("latin-1")) == sorted(SECRETS)


def test_a_library_in_c_says_nothing_on_the_terminal(tmp_path: Path) -> None:
    """Libtiff writes to the descriptor itself; what firstread says still comes."""
    data = bytearray(all_seeds()["tiff deflate"])
    data[300:340] = bytes(40)
    (tmp_path / "a.tif").write_bytes(data)
    tiny_bundle(tmp_path / "bundle")
    command = [sys.executable, "-m", "firstread.cli.main", "read", "a.tif", "--bundle", "bundle"]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert "damaged" in plain.stdout
    assert plain.stderr == ""
    loud = subprocess.run(
        [*command, "--debug"], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert "Decoding error" in loud.stderr
    lost = subprocess.run(
        [*command[:4], "missing.tif"], cwd=tmp_path, capture_output=True, text=True, timeout=400
    )
    assert lost.stderr.startswith("firstread: ")


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_in_the_folder_of_dicom_results_is_not_followed(tmp_path: Path) -> None:
    from firstread.read.dicom_out import write_results
    from firstread.read.reader import Reader

    film = dicom_film()
    opinion = Reader(tiny_bundle(tmp_path / "bundle")).read(film)
    out, mine = tmp_path / "out", tmp_path / "mine"
    paths = write_results(opinion, film, out)
    mine.write_text("mine")
    for path in paths:
        path.unlink()
        path.symlink_to(mine)
    write_results(opinion, film, out)
    assert mine.read_text() == "mine"
    assert not any(path.is_symlink() for path in paths)
