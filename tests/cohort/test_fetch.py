"""A set from archive or server to its folder: whole and recorded, or not there."""

import hashlib
import json
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from firstread.cohort import fetch as module
from firstread.cohort import unpack
from firstread.cohort.fetch import fetch
from firstread.cohort.sources import GUANGZHOU, NIH, Source, Way
from firstread.cohort.table import load_cohort
from firstread.errors import DownloadError, MissingExtra, OutputError

COUNTS = {"train/NORMAL": 3, "train/PNEUMONIA": 4, "test/NORMAL": 2, "test/PNEUMONIA": 2}
MENDELEY = Way(
    name="mendeley",
    page="https://example.org/page",
    archive="Set.zip",
    url="http://127.0.0.1:9/none",
    counts=COUNTS,
    archive_bytes=123,
)
KAGGLE = replace(MENDELEY, name="kaggle", url="", handle="owner/set", archive_bytes=0)
SMALL: Source = replace(GUANGZHOU, ways=(MENDELEY, KAGGLE))


def films(counts: dict[str, int] = COUNTS) -> dict[str, bytes]:
    made = {}
    for folder, n in counts.items():
        for i in range(1, n + 1):
            name = f"IM-{i:04d}-0001" if folder.endswith("NORMAL") else f"person{i}_virus_{i}"
            made[f"{folder}/{name}.jpeg"] = f"{folder} {i}".encode()
    return made


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(f"chest_xray/{name}", data)
    return path


def test_archive_becomes_a_cohort_with_its_record(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", films() | {"train/NORMAL/.DS_Store": b"x"})
    done = fetch(SMALL, tmp_path / "set", given=archive)
    assert (done.way, done.already, dict(done.counts)) == ("mendeley", False, done.counts)
    assert done.notes == ("1 other files left out",)
    cohort = load_cohort(tmp_path / "set")
    assert len(cohort) == 11
    assert {r.part for r in cohort.rows} == {"train", "test"}
    record = json.loads((tmp_path / "set/SOURCE.json").read_text())
    assert record["source"] == "chest-xray-pneumonia"
    assert record["counts"] == COUNTS
    assert record["films"] == 11
    assert record["archive"] == {
        "name": "a.zip",
        "bytes": archive.stat().st_size,
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }
    assert {"title", "url", "page", "date", "licence", "citation", "bytes"} <= set(record)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "set"]


def test_second_run_does_nothing(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", films())
    fetch(SMALL, tmp_path / "set", given=archive)
    archive.unlink()
    done = fetch(SMALL, tmp_path / "set", given=archive)
    assert done.already
    assert dict(done.counts) == COUNTS


def test_a_film_gone_since_is_noticed(tmp_path: Path) -> None:
    fetch(SMALL, tmp_path / "set", given=pack(tmp_path / "a.zip", films()))
    (tmp_path / "set/train/NORMAL/IM-0001-0001.jpeg").write_bytes(b"")
    with pytest.raises(OutputError, match="train/NORMAL holds 2 films where 3 were unpacked"):
        fetch(SMALL, tmp_path / "set", given=tmp_path / "a.zip")


def test_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path / "a.zip", films())
    written: list[str] = []
    write = unpack._write

    def killed(place: Path, *rest: object) -> None:
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(place.name)
        write(place, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(unpack, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch(SMALL, tmp_path / "set", given=archive)
    assert not (tmp_path / "set").exists()
    monkeypatch.setattr(unpack, "_write", lambda p, *r: (written.append(p.name), write(p, *r)))
    fetch(SMALL, tmp_path / "set", given=archive)
    assert len(written) == 11
    assert not (tmp_path / "set.part").exists()


@pytest.mark.parametrize("wrong", [{"train/NORMAL": 2}, {"val/NORMAL": 1}])
def test_other_counts_are_another_set(tmp_path: Path, wrong: dict[str, int]) -> None:
    archive = pack(tmp_path / "a.zip", films(COUNTS | wrong))
    with pytest.raises(DownloadError, match=r"not the films expected of .* instead of"):
        fetch(SMALL, tmp_path / "set", given=archive)
    assert not (tmp_path / "set").exists()


def test_other_names_are_another_set(tmp_path: Path) -> None:
    files = {n.replace("person", "case"): d for n, d in films().items()}
    with pytest.raises(DownloadError, match="6 films are not named as those of"):
        fetch(SMALL, tmp_path / "set", given=pack(tmp_path / "a.zip", files))


def test_one_odd_name_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMELESS", 0.2)
    files = films()
    files["train/NORMAL/odd.jpeg"] = files.pop("train/NORMAL/IM-0001-0001.jpeg")
    done = fetch(SMALL, tmp_path / "set", given=pack(tmp_path / "a.zip", files))
    assert done.notes == ("train/NORMAL/odd.jpeg: its name tells no patient",)


def test_place_that_is_taken(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", films())
    with pytest.raises(OutputError, match="holds other files"):
        fetch(SMALL, tmp_path, given=archive)
    with pytest.raises(OutputError, match="is a file"):
        fetch(SMALL, archive, given=archive)
    (tmp_path / "empty").mkdir()
    fetch(SMALL, tmp_path / "empty", given=archive)
    with pytest.raises(OutputError, match="holds chest-xray-pneumonia; name another"):
        fetch(replace(SMALL, name="another"), tmp_path / "empty", given=archive)


def test_a_link_to_an_empty_folder_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, leads_to in (("link", "empty"), ("dangling", "nowhere")):
        (tmp_path / name).symlink_to(leads_to)
        with pytest.raises(OutputError, match="is a link, which no folder can replace; name a fol"):
            fetch(SMALL, tmp_path / name)
        assert not (tmp_path / f"{name}.part").exists()
    fetch(SMALL, tmp_path / "link" / "set", given=pack(tmp_path / "a.zip", films()))
    (tmp_path / "whole").symlink_to("empty/set")
    assert fetch(SMALL, tmp_path / "whole").already


def test_an_empty_volume_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "volume")
    with pytest.raises(OutputError, match="is a mounted volume, which no folder can replace"):
        fetch(SMALL, tmp_path / "volume")
    assert [p.name for p in tmp_path.iterdir()] == ["volume"]
    fetch(SMALL, tmp_path / "volume" / "set", given=pack(tmp_path / "a.zip", films()))


def test_what_the_user_keeps_beside_the_download_stays(tmp_path: Path) -> None:
    work = tmp_path / "set.part"
    work.mkdir()
    (work / "mine.txt").write_text("mine")
    (work / "Set.zip.part").write_bytes(b"of a run before")
    done = fetch(SMALL, tmp_path / "set", given=pack(tmp_path / "a.zip", films()))
    assert done.notes == (f"{work}: stays, for it holds files that are not of this download",)
    assert [p.name for p in work.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["Dl.zip", "Set.zip"])
def test_a_given_archive_stays_where_downloads_go(tmp_path: Path, name: str) -> None:
    work = tmp_path / "set.part"
    work.mkdir()
    fetch(SMALL, tmp_path / "set", given=pack(work / name, films()))
    assert [p.name for p in work.iterdir()] == [name]


@pytest.mark.parametrize("below", ["", "mine"])
def test_what_is_given_is_never_taken_away(tmp_path: Path, below: str) -> None:
    """All that is not of the set goes from the folder where it is put together."""
    mine = tmp_path / "set.part" / "films" / below
    with zipfile.ZipFile(pack(tmp_path / "a.zip", films())) as packed:
        packed.extractall(mine)
    before = sorted(mine.rglob("*"))
    with pytest.raises(OutputError, match="move what lies there"):
        fetch(SMALL, tmp_path / "set", given=mine)
    assert sorted(mine.rglob("*")) == before


def test_a_link_is_not_followed_to_films_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.jpeg").write_bytes(b"own")
    (tmp_path / "set.part").mkdir()
    (tmp_path / "set.part" / "films").symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match="move what lies there"):
        fetch(SMALL, tmp_path / "set", given=pack(tmp_path / "a.zip", films()))
    assert (tmp_path / "mine" / "own.jpeg").exists()


def test_broken_network_says_how_to_go_on_by_hand(tmp_path: Path) -> None:
    retry = module.Retry(tries=1, timeout=5)
    with pytest.raises(DownloadError) as error:
        fetch(SMALL, tmp_path / "set", retry=retry)
    assert str(error.value).endswith(
        "download Set.zip from https://example.org/page in a browser, then run: firstread data "
        f"get chest-xray-pneumonia --from Set.zip --to {tmp_path / 'set'}"
    )
    assert list(tmp_path.iterdir()) == []


def test_size_reported_by_others_is_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "download", lambda url, target, **k: pack(target, films()))
    done = fetch(SMALL, tmp_path / "set")
    assert "others reported 123" in done.notes[0]


def test_damaged_download_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(url: str, target: Path, **options: object) -> Path:
        data = pack(target, films()).read_bytes()
        target.write_bytes(data[: len(data) // 2])
        return target

    monkeypatch.setattr(module, "download", half)
    with pytest.raises(DownloadError, match="not a whole zip"):
        fetch(SMALL, tmp_path / "set")
    assert not (tmp_path / "set.part/Set.zip").exists()


def test_given_archive_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"half")
    with pytest.raises(DownloadError, match="not a whole zip"):
        fetch(SMALL, tmp_path / "set", given=tmp_path / "a.zip")
    assert (tmp_path / "a.zip").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", films())
    with (
        module._alone(tmp_path / "set.part"),
        pytest.raises(OutputError, match="another run is at work"),
    ):
        fetch(SMALL, tmp_path / "set", given=archive)
    fetch(SMALL, tmp_path / "set", given=archive)


def test_kaggle_folder_with_its_second_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    for name, data in films().items():
        for above in ("chest_xray", "chest_xray/chest_xray", "chest_xray/__MACOSX"):
            place = cache / above / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    hub = SimpleNamespace(dataset_download=lambda handle: str(cache))
    monkeypatch.setitem(sys.modules, "kagglehub", hub)
    done = fetch(SMALL, tmp_path / "set", via="kaggle")
    assert done.notes == ("11 films were in it twice; one copy kept", "11 other files left out")
    assert len(load_cohort(tmp_path / "set")) == 11
    assert cache.exists()


def test_kaggle_without_its_client_or_its_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingExtra, match=r"install firstread\[train\], or download Set.zip"):
        fetch(SMALL, tmp_path / "set", via="kaggle")

    def refuse(handle: str) -> str:
        raise RuntimeError("403\nlog in first")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=refuse))
    with pytest.raises(DownloadError, match="Kaggle: 403 log in first; run it again, or"):
        fetch(SMALL, tmp_path / "set", via="kaggle")


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no way called 'post'; use mendeley, kaggle"):
        fetch(SMALL, tmp_path / "set", via="post")
    with pytest.raises(DownloadError, match="by hand"):
        fetch(NIH, tmp_path / "set")
