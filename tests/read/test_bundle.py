import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bundles import tiny_bundle, tiny_card, tiny_onnx
from firstread.errors import BundleError, OutputError, Shortage
from firstread.film import leftovers
from firstread.film.leftovers import part_of
from firstread.read.bundle import Bundle, write_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "tiny")


def test_a_bundle_comes_back_as_written(folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert bundle.name == "tiny"
    assert bundle.card.threshold == 0.5
    assert bundle.card.preprocess.size == 32
    assert bundle.onnx_path.read_bytes() == tiny_onnx()
    assert any("Not a medical device" in n for n in bundle.card.notices)
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "model.onnx"]
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.load(folder)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENFILE, "x")], ids=repr)
def test_a_bundle_is_not_at_fault_for_what_ran_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read_bytes(path: Path) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(Shortage, match=r"card\.json: (there was not enough|too many)"):
        Bundle.load(folder)


def test_a_run_is_told_where_its_bundle_lies(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "run" / "bundle")
    with pytest.raises(BundleError, match=r"a training run, no bundle; name its bundle, .*bundle"):
        Bundle.load(tmp_path / "run")


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_any_changed_byte_is_noticed(folder: Path, name: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(bytes(data[:at]) + bytes([data[at] ^ 1]) + bytes(data[at + 1 :]))
        with pytest.raises(BundleError, match=name):
            Bundle.load(folder)


def test_rewritten_line_ends_are_no_change(folder: Path) -> None:
    card = folder / "card.json"
    card.write_bytes(card.read_bytes().replace(b"\n", b"\r\n"))
    assert Bundle.load(folder).name == "tiny"


@pytest.mark.parametrize("field", sorted(set(tiny_card()) - {"format"}))
def test_a_missing_field_is_named_and_nothing_is_written(tmp_path: Path, field: str) -> None:
    card = tiny_card()
    del card[field]
    with pytest.raises(BundleError, match=f"{field}.* is missing"):
        write_bundle(tmp_path / "b", b"graph", card)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("preprocess", {"size": 0}, "preprocess.size"),
        ("preprocess", {"size": True}, "preprocess.size"),
        ("preprocess", {"size": 32, "through": -1}, "preprocess.through"),
        ("preprocess", {"size": 32, "through": "224"}, "preprocess.through"),
        ("calibration", {"slope": float("nan"), "intercept": 0, "how": ""}, "finite"),
        ("calibration", {"slope": -1, "intercept": 0, "how": ""}, "above 0"),
        ("thresholds", {"best": {"value": 0.5, "how": ""}}, "thresholds.decision is missing"),
        ("thresholds", {"decision": {"value": 1.5, "how": ""}}, "between 0 and 1"),
        ("refer", {"low": 0.6, "high": 0.4, "how": ""}, "low must not be above high"),
        ("labels", ["pneumonia", "no pneumonia"], "labels"),
        ("name", "", "name must be text"),
        ("training", {"lr": float("inf")}, "JSON"),
        ("training", [], "training must be a JSON object"),
    ],
)
def test_a_senseless_field_is_named(tmp_path: Path, field: str, value: object, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        write_bundle(tmp_path / "b", b"graph", tiny_card(**{field: value}))


def test_a_card_that_is_no_json_or_of_another_format(folder: Path) -> None:
    (folder / "card.json").write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.load(folder)
    (folder / "card.json").write_text('{"format": 99}')
    with pytest.raises(BundleError, match="format 99"):
        Bundle.load(folder)


def test_a_model_outside_the_folder_is_refused(folder: Path) -> None:
    card = folder / "card.json"
    card.write_text(card.read_text().replace("model.onnx", "../model.onnx"))
    with pytest.raises(BundleError, match="plain file name"):
        Bundle.load(folder)


def test_a_bundle_is_replaced_but_foreign_files_are_left_alone(folder: Path) -> None:
    again = write_bundle(folder, tiny_onnx(), tiny_card(name="second"))
    assert again.name == "second"
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"]
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.txt"):
        write_bundle(folder, tiny_onnx(), tiny_card())
    assert (folder / "thesis.txt").read_text() == "years of work"


KILLED = """
import os, sys
from pathlib import Path
from bundles import tiny_bundle
from firstread.read import bundle

def die(*_):
    os._exit(9)

rename = Path.rename
{patch}
tiny_bundle(Path(sys.argv[1]), name="second")
"""

AT_THE_END = KILLED.format(patch="bundle._put_in_place = die")
BETWEEN = KILLED.format(
    patch="Path.rename = lambda here, to: die() if to == Path(sys.argv[1]) else rename(here, to)"
)


def killed(folder: Path, script: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 9


linux = pytest.mark.skipif(
    leftovers._place() is None, reason="the system does not tell where process ids hold"
)


@linux
def test_what_a_killed_writer_left_goes_when_a_bundle_is_written_there(folder: Path) -> None:
    killed(folder, AT_THE_END)
    assert len(list(folder.parent.iterdir())) == 2
    alive = part_of(folder)  # another thread's
    foreign = folder.with_name(".thesis.0123456789ab.part")
    for kept in (alive, foreign):
        kept.mkdir()
        (kept / "thesis.txt").write_text("years of work")
    os.utime(foreign, (0, 0))
    assert Bundle.load(folder).name == "tiny"
    tiny_bundle(folder, name="third")
    assert sorted(p.name for p in folder.parent.iterdir()) == sorted(
        [alive.name, foreign.name, "tiny"]
    )


@linux
def test_a_kill_between_the_renames_of_a_replaced_bundle_is_put_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(folder, BETWEEN)
    assert not folder.exists()
    other = tiny_bundle(folder.with_name("other"))  # whoever else writes there leaves it
    assert len(list(folder.parent.glob(".tiny.*.part.old"))) == 1
    with pytest.raises(BundleError, match=r"killed; write it again, or rename .*\.part\.old"):
        Bundle.load(folder)
    with monkeypatch.context() as full:

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("firstread.read.bundle._write", refuse)
        with pytest.raises(OutputError, match="No space left"):
            tiny_bundle(folder, name="third")
    assert Bundle.load(folder).name == "tiny"
    killed(folder, BETWEEN)
    assert tiny_bundle(folder, name="third") == folder
    assert Bundle.load(folder).name == "third"
    assert sorted(folder.parent.iterdir()) == [other, folder]


@linux
def test_a_name_that_is_cut_short_may_be_anothers(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / ("b" * 40 + "1"))
    killed(folder, BETWEEN)
    with pytest.raises(BundleError, match="no such bundle folder"):
        Bundle.load(tmp_path / ("b" * 40 + "2"))
    tiny_bundle(tmp_path / ("b" * 40 + "2"))
    assert len(list(tmp_path.glob(".*.old"))) == 1


def test_an_interrupt_between_the_renames_brings_the_old_bundle_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, calls = Path.rename, []

    def interrupted(here: Path, to: Path) -> Path:
        calls.append(to)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(here, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_bundle(folder, name="second")
    assert Bundle.load(folder).name == "tiny"
    assert [p.name for p in folder.parent.iterdir()] == ["tiny"]


def test_a_link_to_a_bundle_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "here" / "link"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "there" / "bundle")
    for name in ("first", "second"):  # the first where it leads to nothing yet
        tiny_bundle(link, name=name)
        assert link.is_symlink()
        assert Bundle.load(tmp_path / "there" / "bundle").name == name
        assert list(link.parent.iterdir()) == [link]
        assert [p.name for p in (tmp_path / "there").iterdir()] == ["bundle"]
    again = tmp_path / "here" / "circle"
    again.symlink_to(again)
    with pytest.raises(OutputError, match="cannot be written"):
        tiny_bundle(again)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions of POSIX")
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_who_may_look_into_a_bundle_is_the_users_to_say(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        folder = tiny_bundle(tmp_path / "tiny")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert (folder / "card.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_bundle(tmp_path / "file" / "bundle", tiny_onnx(), tiny_card())
    with pytest.raises(OutputError, match="is a file"):
        write_bundle(tmp_path / "file", tiny_onnx(), tiny_card())


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="--bundle"):
        Bundle.load(tmp_path / "nowhere")


def test_without_a_shipped_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstread.read.bundle.SHIPPED", tmp_path)
    with pytest.raises(BundleError, match="no bundle is shipped; give --bundle"):
        Bundle.load(None)


def test_probability_does_not_overflow(folder: Path) -> None:
    card = Bundle.load(folder).card
    assert card.probability(-1e6) == 0.0
    assert card.probability(1e6) == 1.0
    assert card.probability(0.0) == 0.5


@pytest.mark.parametrize(
    ("ages", "says"),
    [
        ([12, 84], "films of patients of 12 to 84 years"),
        (None, "Nobody told of what ages"),
        ([1, 5], "children of one to five years"),
    ],
)
def test_a_card_says_whom_the_model_was_trained_on(
    tmp_path: Path, ages: list[int] | None, says: str
) -> None:
    card = Bundle.load(tiny_bundle(tmp_path / "b", ages=ages)).card
    assert len(card.notices) == 1
    assert card.notices[0].startswith("Not a medical device.")
    assert says in card.notices[0]
    assert card.ages == (None if ages is None else tuple(ages))
