import errno
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_films import dicom_film
from firstread.cohort.hashes import readable_sha256
from firstread.cohort.table import load_cohort
from firstread.errors import Shortage
from firstread.evaluate.shortcuts import headers_of, sharpness_of, shortcut_aucs, shortcut_numbers
from firstread.film import decode


def write(path: Path, size, mode="L", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(seed).integers(0, 255, size[::-1]).astype(np.uint8)
    Image.fromarray(grey).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(4):
        write(tmp_path / f"NORMAL/IM-{i:04d}-0001.jpeg", (60 + i, 40), seed=i)
        write(tmp_path / f"PNEUMONIA/person{i}_virus_1.jpeg", (40 + i, 40), "RGB", seed=i)
    return tmp_path


def by_name(cohort):
    numbers = shortcut_numbers(cohort, headers_of(cohort))
    table = shortcut_aucs(numbers, cohort.labels == 1, tuple(cohort.patients))
    return numbers, {row["name"]: row for row in table}


def test_size_and_colour_give_the_label_away_in_either_direction(folder):
    numbers, table = by_name(load_cohort(folder))
    assert list(table) == ["aspect", "area", "bytes", "colour"]
    assert numbers["aspect"][0][:2] == pytest.approx([1.5, 61 / 40])
    assert table["area"]["auc"]["value"] == 1.0
    assert "smaller means pneumonia" in table["area"]["note"]
    assert "larger means pneumonia" in table["colour"]["note"]
    assert table["colour"]["values"] == 2


def test_a_size_that_does_not_vary_tells_nothing_and_says_so(tmp_path):
    for i in range(3):
        write(tmp_path / f"NORMAL/IM-{i:04d}-0001.png", (30, 30))
        write(tmp_path / f"PNEUMONIA/person{i}_virus_1.png", (30, 30))
    _, table = by_name(load_cohort(tmp_path))
    assert table["area"]["auc"] is None
    assert "does not vary" in table["area"]["note"]
    assert "originals' size is not known" in table["area"]["note"]


def test_the_original_size_of_a_table_goes_first(folder):
    lines = ["file,label,original_width,original_height"]
    for i, row in enumerate(load_cohort(folder).rows):
        lines.append(f"{row.file},{'PNEUMONIA' if row.label else 'NORMAL'},{1000 + i},500")
    (folder / "films.csv").write_text("\n".join(lines))
    numbers, table = by_name(load_cohort(folder / "films.csv"))
    assert numbers["area"][0][0] == 500_000
    assert "original_width" in table["aspect"]["note"]
    text = "\n".join(lines).replace("1003,500", ",")
    (folder / "films.csv").write_text(text)
    _, table = by_name(load_cohort(folder / "films.csv"))
    assert table["area"]["n"] == 7
    assert "films without, left out: 1" in table["area"]["note"]
    (folder / "films.csv").write_text(text.replace(",500", ","))
    numbers, _ = by_name(load_cohort(folder / "films.csv"))
    assert numbers["area"][0][0] == 60 * 40


def test_a_broken_film_is_left_out(folder):
    (folder / "NORMAL/IM-0000-0001.jpeg").write_text("no film")
    _, table = by_name(load_cohort(folder))
    assert table["area"]["n"] == 7
    assert table["bytes"]["n"] == 8


def test_a_hostile_header_costs_nothing_and_no_value_of_it_is_quoted(folder, caplog, recwarn):
    data = dicom_film()
    at = data.index(b"\x28\x00\x02\x00US")  # before what tells of the pixels
    many = (
        b"\x19\x00\x10\x00SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * 50_000
    )
    (folder / "NORMAL/bomb.dcm").write_bytes(data[:at] + many + data[at:])
    (folder / "NORMAL/odd.dcm").write_bytes(
        data.replace(b"1.2.826.0.1.3680043.8.498.7", b"Mueller^Juergen was here 12")
    )
    (folder / "NORMAL/bare.dcm").write_bytes(data[132:])  # written without its preamble
    cohort = load_cohort(folder)
    numbers, _ = by_name(cohort)
    told = {r.file: numbers["area"][0][i] for i, r in enumerate(cohort.rows)}
    assert np.isnan(told["NORMAL/bomb.dcm"])
    assert told["NORMAL/odd.dcm"] == told["NORMAL/bare.dcm"] == 96 * 72
    assert not caplog.records
    assert not recwarn.list


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_film_is_as_wide_as_it_is_shown(folder, ending, turn):
    picture = Image.fromarray(np.full((40, 60), 90, np.uint8))
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(folder / f"NORMAL/turned.{ending}", exif=exif)
    cohort = load_cohort(folder)
    at = [r.file for r in cohort.rows].index(f"NORMAL/turned.{ending}")
    film = decode(cohort.paths[at])
    assert by_name(cohort)[0]["aspect"][0][at] == film.width / film.height
    assert (film.width < film.height) == (turn in (6, 8))


def test_sharpness_is_the_noise_of_a_film_and_no_edge_or_slope():
    grey = np.full((200, 200), 120.0)
    grey[:, 100:] = 60  # an edge
    grey += np.linspace(0, 40, 200)[:, None]  # and a slope
    noise = np.random.default_rng(0).normal(0, 6, grey.shape)
    assert sharpness_of(grey.astype(np.uint8)) < 1
    assert sharpness_of((grey + noise).round().astype(np.uint8)) == pytest.approx(6, rel=0.05)


def test_a_film_that_was_not_read_has_no_sharpness():
    assert np.isnan(sharpness_of(None))
    assert np.isnan(sharpness_of(np.zeros((2, 2), np.uint8)))


def test_a_number_told_of_one_class_alone_gives_it_away():
    values = np.array([1.0, 2.0, 3.0, np.nan, np.nan])
    truth = np.array([True, True, True, False, False])
    (row,) = shortcut_aucs({"area": (values, "of the table")}, truth, tuple("abcde"))
    assert row["auc"] is None
    assert "told of films with pneumonia alone" in row["note"]


def test_each_file_is_read_once_for_its_header_and_its_hash(folder, monkeypatch):
    (folder / "NORMAL/IM-0001-0001.jpeg").write_bytes(b"broken")
    cohort, opened = load_cohort(folder), Counter()
    told, real = readable_sha256(cohort.paths), Path.open

    def counted(path, *args, **kwargs):
        opened[path] += 1
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", counted)
    seen = []
    headers = headers_of(cohort, lambda *done: seen.append(done))
    assert cohort.readable_hashes == told
    assert opened == dict.fromkeys(cohort.paths, 1)
    assert seen == [(done, 8) for done in range(9)]
    again = load_cohort(folder)
    assert again.hashes == told
    assert np.array_equal(headers_of(again), headers, equal_nan=True)
    assert again.hashes == told


def test_what_cannot_be_read_whole_has_the_hash_it_had(folder, monkeypatch):
    cohort = load_cohort(folder)
    cohort.paths[0].unlink()
    with cohort.paths[1].open("ab") as film:
        film.truncate(100_001)
    monkeypatch.setattr(sys.modules["firstread.film.decode"], "MAX_BYTES", 100_000)
    told = readable_sha256(cohort.paths)
    headers = headers_of(cohort)
    assert cohort.readable_hashes == told
    assert told[0] == "" != told[1]
    assert np.isnan(headers[0]).all()
    assert np.isnan(headers[1]).tolist() == [True, True, False, True]


def test_what_ran_out_is_no_fault_of_a_film(folder, monkeypatch):
    """Its size was not told, and films without one were left out."""
    first, real = load_cohort(folder).paths[0], Path.open

    def scarce(path, *args, **kwargs):
        if path == first:
            raise OSError(errno.EMFILE, "x")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", scarce)
    told = rf"{first.name}: too many files are open"
    cohort = load_cohort(folder)
    with pytest.raises(Shortage, match=told):
        headers_of(cohort)
    with pytest.raises(Shortage, match=told):
        readable_sha256(cohort.paths)
    cohort.keep_readable_hashes([""] * 8)
    with pytest.raises(Shortage, match=told):
        headers_of(cohort)
