"""Second steps, and what descends from one: they need a run to go on from."""

import json
from pathlib import Path

import pytest

from firstread.errors import RecipeError
from firstread.train.lineage import SECOND_STEPS, SHIPPED, goes_on_from, lineage


def test_a_second_step_and_what_descends_from_it(tmp_path: Path) -> None:
    mine, over = tmp_path / "mine.toml", tmp_path / "over.toml"
    mine.write_text('base = "settle"\nepochs = 2\n')
    over.write_text('base = "mine.toml"\nseed = 1\n')
    at = SHIPPED / "settle.toml"
    files = [over, mine, at, at.parent / "default.toml"]
    assert [path for _, path, _ in lineage(str(over))] == files
    for recipe in ("settle", at, mine, over):
        assert goes_on_from(str(recipe)) == "a run of the recipe default"
    mine.write_text('base = "vgg19-last-block"\n')
    assert goes_on_from(str(over)) == "a run of the recipe vgg19"
    assert set(SECOND_STEPS) <= {path.stem for path in SHIPPED.glob("*.toml")}


def test_what_can_begin_by_itself(tmp_path: Path) -> None:
    for recipe in ("default", "vgg19", "cnn"):
        assert goes_on_from(recipe) is None
    mine = tmp_path / "settle.toml"  # a name is no descent
    mine.write_text('base = "default"\n')
    assert goes_on_from(str(mine)) is None


def test_a_run_that_went_on_from_another_is_a_second_step(tmp_path: Path) -> None:
    recipe, record = tmp_path / "recipe.json", tmp_path / "run.json"
    recipe.write_text("{}")
    assert goes_on_from(str(recipe)) is None
    for told in ("[]", '{"start": null}', "{"):
        record.write_text(told)
        assert goes_on_from(str(recipe)) is None
    record.write_text(json.dumps({"start": {"name": "first-cnn-32-seed0"}}))
    assert goes_on_from(str(recipe)) == "the run first-cnn-32-seed0"


def test_a_circle_of_bases_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for folder, other in ((tmp_path, "sub/a.toml"), (tmp_path / "sub", "../a.toml")):
        (folder / "a.toml").write_text(f'base = "{other}"\n')
    with pytest.raises(RecipeError, match="is its own base"):
        lineage(str(tmp_path / "a.toml"))
