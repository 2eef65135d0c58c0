"""The picture of a search and the tables beside it, from trials made by hand."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import matplotlib
import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from firstread.evaluate.canvas import svg
from firstread.train.recipe import Recipe, load_recipe
from firstread.train.search_page import NOTE, search_figure, write_search
from firstread.train.space import point_of, space_of

RECIPE = Recipe()


def trial(number: int, value: float | None, last: float | None = None) -> dict[str, Any]:
    point = {**point_of(RECIPE), "lr": RECIPE.lr * (1 + number)}
    return {
        "number": number,
        "folder": f"trial-{number:03d}",
        "state": "pruned" if value is None else "complete",
        "val_auc": value,
        "last_val_auc": last if value is None else value,
        "epochs": 2,
        "seconds": 3.0,
        "params": point,
        "failed_films": [],
    }


TRIALS = [trial(0, 0.95), trial(1, None, 0.4), trial(2, 0.97), trial(3, 0.97), trial(4, None)]


def test_everything_is_written(tmp_path: Path) -> None:
    result = write_search(tmp_path, "<mine>", RECIPE, TRIALS)
    assert {p.name for p in tmp_path.iterdir()} == {
        "best.toml", "trials.csv", "trials.json", "search.png", "search.html",
    }  # fmt: skip
    assert result["best"]["folder"] == "trial-002"  # the first of two as good
    assert json.loads((tmp_path / "trials.json").read_text())["note"] == NOTE
    assert load_recipe(str(tmp_path / "best.toml")).lr == RECIPE.lr * 3
    head = (tmp_path / "best.toml").read_text().splitlines()[0]
    assert "`firstread tune` around <mine>: trial-002, the best of 5 trials" in head
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "search.html").read_text()
    assert NOTE in page
    assert "&lt;mine&gt;" in page
    assert "<mine>" not in page
    assert "Not a medical device" in page
    assert page.count("<svg") == 1
    with (tmp_path / "trials.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [r["val_auc"] for r in rows] == ["0.95", "", "0.97", "0.97", ""]


def test_where_every_trial_was_stopped_none_is_the_best_of_many(tmp_path: Path) -> None:
    result = write_search(tmp_path, "mine", RECIPE, [TRIALS[1], TRIALS[4]])
    assert result["note"] == ""
    page = (tmp_path / "search.html").read_text()
    assert "2 trials, every one stopped early" in page
    assert "best of many" not in page
    assert not (tmp_path / "best.toml").exists()


def test_the_only_trial_is_told_as_one() -> None:
    top = search_figure(RECIPE, TRIALS[:1]).axes[0]
    least, most = top.get_xlim()
    assert [tick for tick in top.get_xticks() if least <= tick <= most] == [0]


def test_the_figure_has_a_panel_for_everything_searched() -> None:
    figure = search_figure(RECIPE, TRIALS)
    assert len(figure.axes) == 1 + len(space_of(RECIPE))
    assert {axes.get_xlabel() for axes in figure.axes} >= {"Trial", "learning rate", "blur"}
    # What was stopped far below is drawn at the lower edge, not out of sight.
    low, _ = figure.axes[0].get_ylim()
    assert 0.9 < low < 0.95
    drawn = svg(figure, "A <search>")
    ET.fromstring(drawn)
    assert 'aria-label="A &lt;search&gt;"' in drawn


@pytest.mark.parametrize("trials", [[], [trial(0, None, 0.6)], [trial(0, None)], [trial(0, 0.9)]])
def test_few_trials_and_none_complete(trials: list[dict[str, Any]]) -> None:
    svg(search_figure(load_recipe("vgg19"), trials), "few")


def test_what_a_user_has_set_for_pictures_does_not_change_it(tmp_path: Path) -> None:
    for name, face in (("a", "white"), ("b", "black")):
        (tmp_path / name).mkdir()
        with matplotlib.rc_context({"axes.facecolor": face}):
            write_search(tmp_path / name, "<mine>", RECIPE, TRIALS)
    pictures = [(tmp_path / name / "search.png").read_bytes() for name in "ab"]
    assert pictures[0] == pictures[1]
