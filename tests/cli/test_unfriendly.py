"""firstread read among hostile names and links, and killed again and again."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.film.quiet import quiet
from firstread.film.walk import iter_sources
from firstread.read.batch import Batch
from firstread.read.reader import Reader
from firstread.read.wanted import Wanted
from fuzzing.seeds import all_seeds
from fuzzing.zip_attacks import NAMES

pytest.importorskip("highdicom")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and signals")


def below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def test_films_of_a_hostile_zip_are_written_inside_of_the_folders_alone(tmp_path: Path) -> None:
    """Names that climb, links among the entries, UIDs that are paths: all of it is only text."""
    root = tmp_path / "deep/er/place"
    root.mkdir(parents=True)
    with zipfile.ZipFile(root / "x.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in NAMES:
            info = zipfile.ZipInfo("x", (2024, 1, 1, 0, 0, 0))
            info.filename = name.encode("utf-8", "replace").decode()
            archive.writestr(info, all_seeds()["png 8"])
        link = zipfile.ZipInfo("link.dcm", (2024, 1, 1, 0, 0, 0))
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for i, uid in enumerate(("../../../up", "/etc/passwd", "1.2\\..\\3", "1.2.3/4")):
            with quiet:
                film = dicom_film(StudyInstanceUID=uid, SOPInstanceUID=uid, seed=i)
            archive.writestr(f"uid{i}.dcm", film)
    before = below(tmp_path)
    wanted = Wanted(
        json=root / "o.json",
        jsonl=root / "o.jsonl",
        csv=root / "o.csv",
        html=root / "o.html",
        overlays=root / "overlays",
        pdf=root / "pdf",
        dicom=root / "dicom",
    )
    notes: list[str] = []
    reader = Reader(tiny_bundle(tmp_path / "bundle"), threads=1)
    sources = list(iter_sources([str(root / "x.zip")]))
    batch = Batch(
        sources, reader, wanted, show=lambda _: None, stream=lambda _: None, note=notes.append
    )
    done = batch.run()
    assert done.counts.total() == len(sources) > 15
    assert done.counts["rejected"] < 4
    made = {name for name in below(tmp_path) - before if not name.startswith("bundle")}
    inside = "deep/er/place/"
    files = {f"{inside}o.{ending}" for ending in ("json", "jsonl", "csv", "html")}
    folders = tuple(f"{inside}{name}/" for name in ("overlays", "pdf", "dicom"))
    stray = {n for n in made - files if not n.startswith(folders) and f"{n}/" not in folders}
    assert stray == set()
    assert {n.count("/") for n in made if n.startswith(folders)} == {4}
    assert sum("UID" in note for note in notes) == 3  # a backslash parts two values


def test_links_in_the_folder_of_films_lead_out_to_no_folder_and_harm_nothing(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"no film")
    place = tmp_path / "in"
    place.mkdir()
    (place / "film.dcm").write_bytes(dicom_film())
    (place / "folder").symlink_to(outside)
    (place / "loop").symlink_to(place)
    (place / "self.png").symlink_to("self.png")
    (place / "gone.dcm").symlink_to(tmp_path / "nowhere.dcm")
    (place / "device.png").symlink_to("/dev/zero")
    tiny_bundle(tmp_path / "bundle")
    done = _read(tmp_path, "in", "--json", "o.json", "--overlays", "ov")
    assert done.returncode == 0, done.stderr
    assert [x["file"] for x in json.loads((tmp_path / "o.json").read_text())] == ["in/film.dcm"]
    assert below(tmp_path / "ov") == {"in_film.png"}
    assert (outside / "secret.png").read_bytes() == b"no film"


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "firstread.cli.main", "read", "--bundle", "bundle", *words]


def _read(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*words), cwd=place, capture_output=True, text=True, timeout=400)


def whole(path: Path) -> bool:
    """Whether an output is what its name says, from its first to its last byte."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return isinstance(json.loads(data), list)
    if path.suffix == ".png":
        Image.open(io.BytesIO(data)).load()
        return True
    if path.suffix == ".pdf":
        return data.startswith(b"%PDF") and data.rstrip().endswith(b"%%EOF")
    if path.suffix == ".dcm":
        ds = pydicom.dcmread(io.BytesIO(data))
        return ds.Modality == "SR" or len(ds.pixel_array) > 0
    return data.endswith(b"\n") or data.rstrip().endswith(b"</html>")


def test_killed_at_any_moment_no_film_is_read_twice_and_no_output_is_half(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for i in range(12):
        (films / f"{i:02}.dcm").write_bytes(dicom_film(seed=i))
    tiny_bundle(tmp_path / "bundle")
    words = ["films", "--threads", "2", "--json", "o.json", "--csv", "o.csv", "--html", "o.html"]
    words += ["--overlays", "out/ov", "--pdf", "out/pdf", "--dicom", "out/dcm"]
    dice = random.Random(0)
    shown: list[str] = []
    for _ in range(4):
        process = subprocess.Popen(
            _command(*words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        wanted = dice.randrange(1, 4)
        lines = []
        while sum(line.startswith("films/") for line in lines) < wanted:
            line = process.stdout.readline().decode()
            if not line:
                break
            lines.append(line)
        time.sleep(dice.random() * 0.05)  # anywhere within the film that follows
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].decode().splitlines()
        shown += [line.split()[0] for line in lines if line.startswith("films/")]
        outputs = [p for p in (tmp_path / "out").rglob("*") if p.is_file() and p.name[0] != "."]
        outputs += [p for p in tmp_path.glob("o.*") if p.suffix != ".part"]
        assert [p for p in outputs if not whole(p)] == []
    last = _read(tmp_path, *words)
    assert last.returncode == 0, last.stderr
    shown += [x.split()[0] for x in last.stdout.splitlines() if x.startswith("films/")]
    assert len(shown) == len(set(shown))
    assert [x["file"] for x in json.loads((tmp_path / "o.json").read_text())] == [
        f"films/{i:02}.dcm" for i in range(12)
    ]
    assert len(list((tmp_path / "out/dcm").glob("2.*.dcm"))) == 24
    assert len(list((tmp_path / "out/pdf").glob("films_*.pdf"))) == 12
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file() and not whole(p)] == []
