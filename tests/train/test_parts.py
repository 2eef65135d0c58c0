"""A run's films, decoded once: what is missing is said, and what is shown has one row a film."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from firstread.cohort.split import SplitPlan, make_split
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import NoFilms
from firstread.model.resnet10 import resnet10
from firstread.progress import unseen
from firstread.train.parts import decoded_parts, what_is_shown
from tiny_training import tiny_recipe


@pytest.fixture
def split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    monkeypatch.setenv("FIRSTREAD_CACHE", str(tmp_path / "cache"))
    write_folder(tmp_path / "films", 24, seed=1, size=48)
    return make_split(load_cohort(tmp_path / "films"), SplitPlan())


def decoded(split: Cohort, out: Path, said: list[str]) -> Any:
    out.mkdir(exist_ok=True)
    return decoded_parts(split, tiny_recipe(), out, {}, said.append, unseen)[0]


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_whose_readable_films_are_of_one_class_is_said(
    split: Cohort, part: str, tmp_path: Path
) -> None:
    for row in split.part(part).rows:
        if row.label == 1:
            row.path.write_bytes(b"no film: " + row.file.encode())
    with pytest.raises(NoFilms, match=f"of the {part} part not one pneumonia film can be decoded"):
        decoded(split, tmp_path / "run", [])


def test_a_film_that_cannot_be_decoded_is_left_out_and_said(split: Cohort, tmp_path: Path) -> None:
    bad = split.part("train").rows[0]
    bad.path.write_bytes(b"no film")
    said: list[str] = []
    train, val = decoded(split, tmp_path / "run", said)
    assert [line.startswith(f"left out {bad.file}: ") for line in said] == [True]
    assert len(train.films) == len(train.pixels) == len(split.part("train")) - 1
    assert len(val.films) == len(split.part("val"))


def test_a_trunk_that_does_not_learn_is_asked_once(split: Cohort, tmp_path: Path) -> None:
    parts = decoded(split, tmp_path / "run", [])
    recipe = tiny_recipe(arch="resnet10", augment={})
    net = resnet10(dropout=0.0)
    (pixels, _), _ = what_is_shown(net, recipe, parts, "32-true", unseen)
    assert pixels.dtype == np.uint8
    frozen = replace(recipe, freeze="base")
    assert frozen.features_once
    (train, val), seconds = what_is_shown(net, frozen, parts, "32-true", unseen)
    assert seconds > 0
    assert (len(train), len(val)) == (len(parts[0].films), len(parts[1].films))
    film = torch.from_numpy(np.array(parts[1].pixels[:1])).unsqueeze(1).float() / 255
    with torch.inference_mode():
        alone = net.eval().features(film)
    assert np.allclose(alone.numpy(), val[:1], atol=2e-2)
