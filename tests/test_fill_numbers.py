"""The script that fills numbers into the docs lets nothing slip."""

import json
from pathlib import Path

import pytest

from test_docs import numbers

ESTIMATE = {"value": 0.99412, "low": 0.99, "high": 0.9971}
DATA = {
    "auc": ESTIMATE,
    "n": 5216,
    "none": {"value": 0.5, "low": None, "high": None},
    "ratios": [3.31, 3.12, 3.4],
    "runs": [{"size": 64, "auc": 0.9}, {"size": 128, "auc": 0.95}],
    "card": {"0.5": {"value": 1}, "of width": 2},
    "created": "2026-11-23T22:00:00+00:00",
    "met": True,
    "how": "a | b",
}


def folder(tmp_path: Path, text: str) -> Path:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / "a.json").write_text(json.dumps(DATA))
    (tmp_path / "README.md").write_text(text)
    return tmp_path


def marker(what: str, text: str = "") -> str:
    return f"<!--= docs/results/a.json {what} -->{text}<!--/-->"


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("auc", "0.994 (0.990 to 0.997)"),
        ("auc .4", "0.9941 (0.9900 to 0.9971)"),
        ("auc %", "99.4 % (99.0 to 99.7)"),
        ("auc value %", "99.4 %"),
        ("auc span", "0.990 to 0.997"),
        ("none", "0.500"),
        ("n", "5,216"),
        ("ratios span .1", "3.1 to 3.4"),
        ("ratios[0] .1 times", "3.3 times"),
        ("runs[size=128].auc .2", "0.95"),
        ("card[0.5].value", "1"),
        ('"card[of width]"', "2"),
        ("created day", "2026-11-23"),
        ("created short", "2026-11-23T2"),
        ("met", "yes"),
        ("how", r"a \| b"),
    ],
)
def test_formats(tmp_path: Path, what: str, shown: str) -> None:
    assert numbers.fill(marker(what), folder(tmp_path, "")) == marker(what, shown)


@pytest.mark.parametrize(
    "text",
    [
        marker("auc", "0.995 (0.990 to 0.997)"),
        marker("acc"),
        marker("runs[size=32].auc"),
        marker("auc .4 percent"),
        "<!--= docs/results/none.json auc -->0.9<!--/-->",
        "<!--= docs/results/a.json -->0.9<!--/-->",
        "<!--= docs/results/a.json auc -->0.994 (0.990 to 0.997)",
        "<!--= docs/results/a.json auc -->0.994\n(0.990 to 0.997)<!--/-->",
    ],
)
def test_a_wrong_number_or_marker_fails(tmp_path: Path, text: str) -> None:
    assert numbers.main(["--check", "--root", str(folder(tmp_path, text))]) == 1


def test_writing_fills_once_and_leaves_code_alone(tmp_path: Path) -> None:
    code = "```\n<!--= docs/results/a.json auc --><!--/-->\n```\n"
    root = folder(tmp_path, f"AUC {marker('auc')}\n{code}n {marker('n', 'old')}\n")
    assert numbers.main(["--write", "--root", str(root)]) == 0
    text = (root / "README.md").read_text()
    assert (
        text == f"AUC {marker('auc', '0.994 (0.990 to 0.997)')}\n{code}n {marker('n', '5,216')}\n"
    )
    assert numbers.main(["--check", "--root", str(root)]) == 0


def test_a_number_without_its_file_is_an_error(tmp_path: Path) -> None:
    text = "<!--= docs/results/later.json auc --><!--/-->"
    with pytest.raises(numbers.NumberError, match=r"later\.json: no such file"):
        numbers.fill(text, tmp_path)
