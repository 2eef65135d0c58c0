"""Recipes: what is shipped, TOML over TOML, and every way to get one wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from firstread.errors import RecipeError
from firstread.film.preprocess import Preprocess
from firstread.train.lineage import SHIPPED
from firstread.train.recipe import Recipe, load_recipe, make_recipe, recipe_toml
from firstread.train.strengths import Augment

NAMES = {
    "default": "mobilenet_v2",
    "cnn": "cnn",
    "vgg19": "vgg19",
    "vgg19-last-block": "vgg19",
    "settle": "mobilenet_v2",
    "resnet10": "resnet10",
    "scratch": "mobilenet_v2",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_recipes(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.arch == NAMES[name]
    json.dumps(recipe.to_dict())
    assert {p.stem for p in SHIPPED.glob("*.toml")} == set(NAMES)


def test_the_second_step_of_vgg19_fits_on_the_first() -> None:
    first, second = load_recipe("vgg19"), load_recipe("vgg19-last-block")
    assert (second.size, second.arch) == (first.size, first.arch)
    assert second.freeze == "all but the last block"
    assert second.lr < first.lr / 10
    assert not second.features_once


def test_the_default_crops_hard_and_the_cnn_needs_no_weights() -> None:
    assert load_recipe("default").augment.crop == (0.08, 1.0)
    assert not load_recipe("cnn").pretrained
    assert load_recipe("vgg19").features_once
    assert not load_recipe("default").features_once


def test_changes_override_single_keys() -> None:
    recipe = load_recipe("default", seed=7, epochs=2)
    assert (recipe.seed, recipe.epochs) == (7, 2)
    assert recipe.augment == load_recipe("default").augment


def test_a_toml_over_a_toml_over_a_shipped_one(tmp_path: Path) -> None:
    under, over = tmp_path / "under.toml", tmp_path / "over.toml"
    under.write_text('base = "default"\nlr = 1\n[augment]\nblur = 0.5\n')
    over.write_text(
        f"base = {json.dumps(str(under))}\nsize = 64\ntrain_size = 0\nmirror_size = 0\n"
    )
    recipe, default = load_recipe(str(over)), load_recipe("default")
    assert (recipe.size, recipe.fit_size) == (64, 64)
    assert (recipe.lr, type(recipe.lr)) == (1.0, float)
    assert recipe.augment.blur == 0.5
    assert recipe.augment.crop == default.augment.crop
    assert recipe.ema == default.ema


def test_toml_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    for recipe in (
        *(load_recipe(name) for name in NAMES),
        Recipe(lr=1.5e-7, balance=False, augment=Augment(crop=(0.1, 0.9), noise=1 / 3)),
    ):
        path.write_text(recipe_toml(recipe))
        assert load_recipe(str(path)) == recipe


def test_films_are_read_by_way_of_what_they_are_kept_at() -> None:
    assert load_recipe("default").seen == Preprocess(208, through=224)
    assert load_recipe("default").kept == Preprocess(224)
    assert load_recipe("vgg19").seen.through == 0
    # In the middle of the film there is no such copy to agree with.
    assert load_recipe("resnet10").seen == Preprocess(28, "centre")


def test_a_recipe_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "cnn"\nepochs = 3\n', encoding="utf-8-sig")
    assert load_recipe(str(path)).epochs == 3


def test_the_resolved_recipe_of_a_run_is_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(load_recipe("default").to_dict()))
    assert load_recipe(str(path)) == load_recipe("default")
    path.write_text("[1]")
    with pytest.raises(RecipeError, match="not valid JSON"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", "unknown key epoch; known are arch, size"),
        ("[augment]\nzoom = 3", "unknown key augment.zoom; known are augment.crop"),
        ("augment = 3", "augment must be a table"),
        ('base = "default"\naugment = 3', "augment must be a table"),
        ('epochs = "3"', "epochs must be int"),
        ("epochs = 3.5", "epochs must be int"),
        ("epochs = true", "epochs must be int"),
        ("balance = 1", "balance must be bool"),
        ("lr = [1]", "lr must be float"),
        ("[augment]\ncrop = 0.5", "augment.crop must be two numbers"),
        ("[augment]\ncrop = [0.5]", "augment.crop must be two numbers"),
        ('[augment]\ncrop = ["a", "b"]', "augment.crop must be two numbers"),
        ("[augment]\ncrop = [0.9, 0.5]", "augment.crop = (0.9, 0.5) is not possible"),
        ("epochs = ", "not valid TOML"),
        ('base = "defualt"', "no recipe 'defualt'; use cnn, default, resnet10, scratch, settle"),
        ('base = "SELF"', "is its own base"),
        ('base = "elsewhere.toml"', "no such recipe file"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('"SELF"', json.dumps(str(path))))
    with pytest.raises(RecipeError) as e:
        load_recipe(str(path))
    assert said in str(e.value)
    assert str(path) in str(e.value) or "is not possible" in said or "no " in said


def test_a_toml_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes("# Größe\nsize = 64".encode("utf-16"))
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("arch", "resnet"),
        ("size", 31),
        ("size", 1025),
        ("train_size", 16),
        ("train_size", 100_000),
        ("keep_size", 223),
        ("keep_size", 100_000),
        ("epochs", 0),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("lr", 10**400),
        ("augment", {"crop": [0.5, 10**400]}),
        ("focus", float("inf")),
        ("blind", -0.1),
        ("augment", {"rotate": float("inf")}),
        ("weight_decay", -0.1),
        ("warmup", 1.0),
        ("dropout", 1.0),
        ("label_smoothing", 1.0),
        ("ema", 1.0),
        ("patience", -1),
        ("freeze", "all"),
        ("precision", "16"),
        ("augment", {"crop": [0.0, 1.0]}),
        ("augment", {"stretch": 0.9}),
        ("augment", {"flip": 1.5}),
        ("augment", {"noise": -0.1}),
        ("augment", {"spoilt": 1.1}),
        ("augment", {"style": -1.0}),
        ("augment", {"hide": 0.1}),  # without a lung_share nothing would come of it
        ("grain", -0.01),
        ("lung_share", 1.0),
    ],
)
def test_impossible_values(key: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=rf"recipe: {key}\S* = .* is not possible; use "):
        make_recipe({key: value}, "mine")


def test_a_value_that_is_refused_is_not_offered() -> None:
    with pytest.raises(RecipeError, match="use above 0 to 1"):
        make_recipe({"augment": {"pixelate": 0.0}}, "mine")


def test_what_does_not_go_together() -> None:
    assert make_recipe({"lung_share": 0.1, "augment": {"hide": 0.1}}, "mine").wants_lungs
    with pytest.raises(RecipeError, match="focus or lung_share"):
        make_recipe({"lung_share": 0.1, "augment": {"mixup": 0.2}}, "mine")
    with pytest.raises(RecipeError, match="blind"):  # painted films have other features
        make_recipe({"freeze": "base", "blind": 0.1}, "mine")
    with pytest.raises(RecipeError, match=r"augment\.style"):
        make_recipe({"arch": "cnn", "pretrained": False, "augment": {"style": 0.1}}, "mine")


def test_a_recipe_is_found_beside_the_one_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one stands; one of that name in the current folder is another. Else from there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "small.toml").write_text('base = "cnn"\nsize = 64\n')
    (tmp_path / "sub" / "small.toml").write_text('base = "cnn"\nsize = 32\n')
    for name, base in (("sub/a.toml", "small.toml"), ("sub/b.toml", "../small.toml")):
        (tmp_path / name).write_text(f'base = "{base}"\nepochs = 3\n')
    assert [load_recipe(f"sub/{n}.toml").size for n in "ab"] == [32, 64]
    (tmp_path / "sub" / "c.toml").write_text('base = "sub/small.toml"\n')
    assert load_recipe("sub/c.toml").size == 32


def test_the_cnn_trains_at_the_size_its_head_is_made_for() -> None:
    with pytest.raises(RecipeError, match="head hangs on the size"):
        make_recipe({"arch": "cnn", "size": 32, "train_size": 48}, "x")
    assert make_recipe({"arch": "resnet10", "size": 32, "train_size": 48}, "x").fit_size == 48


def test_the_mirrored_film_may_be_read_smaller() -> None:
    how = {"arch": "resnet10", "size": 48}
    assert make_recipe(how, "x").mirrored == 0
    assert make_recipe({**how, "mirror": True}, "x").mirrored == 48
    assert make_recipe({**how, "mirror": True, "mirror_size": 32}, "x").mirrored == 32
    for wrong in (
        {"mirror_size": 32},
        {"mirror": True, "mirror_size": 64},
        {"mirror": True, "mirror_size": 48},
        {"mirror": True, "mirror_size": 23},
        {"mirror": True, "mirror_size": 32, "arch": "cnn"},
    ):
        with pytest.raises(RecipeError, match="mirror_size"):
            make_recipe({**how, **wrong}, "x")


def test_a_teacher_of_any_name_comes_back_from_toml(tmp_path: Path) -> None:
    recipe = make_recipe({"teachers": ["\U0001fac1/lungé.toml"], "distil": 0.5}, "x")
    (tmp_path / "best.toml").write_text(recipe_toml(recipe), encoding="utf-8")
    assert load_recipe(str(tmp_path / "best.toml")) == recipe


def test_a_later_key_at_rest_leaves_a_run_known() -> None:
    """What a run is known by is made of its recipe: a new key must not make old runs others."""
    assert "sharpness" not in Recipe().to_dict()
    sharp = Recipe(sharpness=0.05)
    assert sharp.to_dict()["sharpness"] == 0.05
    assert make_recipe(sharp.to_dict(), "x") == sharp
    assert make_recipe(Recipe().to_dict(), "x") == Recipe()
