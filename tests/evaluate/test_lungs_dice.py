"""Dice, and what is said of a lung net."""

import json
from pathlib import Path

import numpy as np
import pytest

from firstread.cohort.table import Cohort, FilmRow
from firstread.errors import NoFilms
from firstread.evaluate.lungs import dice, judge_lungs
from firstread.film.lungs import LungFinder
from lung_nets import dark_is_lung, two_lungs

ROOT = Path(__file__).parents[2]


def test_dice() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dice(a, b) == 1.0
    a[:2], b[1:3] = True, True
    assert dice(a, b) == 0.5
    assert dice(a, ~a) == 0.0


def test_a_net_is_judged_by_list_with_intervals(tmp_path: Path) -> None:
    finder = LungFinder(dark_is_lung(tmp_path))
    rows = tuple(
        FilmRow(f"{i}.png", tmp_path / f"{i}.png", i % 2, f"p{i}", ("IM", "virus")[i % 2], i)
        for i in range(6)
    )
    film = np.where(two_lungs(), 20, 220).astype(np.uint8)
    masks = [two_lungs() for _ in rows]
    masks[1] = np.roll(two_lungs(), 8, axis=1)
    films = Cohort(tmp_path, rows)
    found = judge_lungs(films, np.stack([film] * 6), [*masks[:5], None], finder)
    assert found["films"] == 5
    assert found["without_mask"] == 1
    assert found["by"]["normal"]["dice"]["value"] == 1.0
    assert found["by"]["virus"]["dice"]["value"] < 1.0
    assert set(found["by"]) == {"normal", "pneumonia", "IM", "virus"}
    assert found["worst"][0]["file"] == "1.png"
    assert found["dice"]["low"] <= found["dice"]["value"] <= found["dice"]["high"]
    with pytest.raises(NoFilms):
        judge_lungs(films, np.stack([film] * 6), [None] * 6, finder)


def test_the_published_dice_is_of_the_shipped_net() -> None:
    record = json.loads((ROOT / "src/firstread/film/shipped/lungs.json").read_text())
    published = json.loads((ROOT / "docs/results/lungs.json").read_text())
    assert published["net"]["onnx"] == record["onnx"]
    assert published["net"]["name"] == record["name"]
