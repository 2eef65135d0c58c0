import os
from pathlib import Path

import pytest

from bundles import tiny_bundle, tiny_card, tiny_onnx
from firstread.errors import BundleError, OutputError
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
