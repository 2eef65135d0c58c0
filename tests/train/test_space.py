import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

from optuna.distributions import CategoricalDistribution, FloatDistribution

from firstread.train.recipe import Recipe, load_recipe
from firstread.train.space import CROP_LOW, point_of, recipe_at, space_of


@pytest.mark.parametrize("name", ["default", "cnn", "vgg19"])
def test_a_recipe_is_a_point_of_its_own_space(name: str) -> None:
    recipe = load_recipe(name)
    point = point_of(recipe)
    for key, bounds in space_of(recipe).items():
        if isinstance(bounds, CategoricalDistribution):
            assert point[key] in bounds.choices
        else:
            assert bounds.low <= point[key] <= bounds.high
    assert recipe_at(recipe, point) == recipe


def test_what_may_change_and_what_may_not() -> None:
    recipe = load_recipe("default")
    assert set(space_of(recipe)) == {
        "lr", "weight_decay", "dropout", "label_smoothing", "batch_size", CROP_LOW,
        "augment.brightness", "augment.contrast", "augment.gamma", "augment.noise", "augment.blur",
    }  # fmt: skip
    changed = recipe_at(recipe, {CROP_LOW: 0.3, "augment.blur": 0.0, "batch_size": 64})
    assert changed.augment.crop == (0.3, 1.0)
    assert (changed.augment.blur, changed.batch_size) == (0.0, 64)
    assert (changed.arch, changed.size, changed.seed) == (recipe.arch, recipe.size, recipe.seed)


def test_features_computed_once_stay_so() -> None:
    assert not any(key.startswith("augment") for key in space_of(load_recipe("vgg19")))


def test_bounds_hold_unusual_values_and_none() -> None:
    recipe = Recipe(batch_size=48, weight_decay=0.9, dropout=0.8, lr=3.0)
    space = space_of(recipe)
    assert space["batch_size"] == CategoricalDistribution((16, 32, 48, 64))
    assert recipe_at(recipe, point_of(recipe)) == recipe
    little = Recipe(weight_decay=1e-5)
    assert recipe_at(little, point_of(little)) == little
    # No decay at all has no place on a logarithmic axis: the least stands for it.
    assert point_of(Recipe(weight_decay=0.0))["weight_decay"] == 1e-4
    none = Recipe(weight_decay=0.0)
    assert recipe_at(none, point_of(none)) == none
    assert isinstance(space["lr"], FloatDistribution)
    assert space["lr"].log
