"""What a search may change of a recipe, and between which bounds.

Only what decides how well a network learns: step size, regularisation, batch, augmentation.
Architecture and sizes stay the recipe's, since they decide what it costs to read a film.
Bounds are widened to hold the recipe's own value, so the recipe is a point of its own search.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from firstread.train.recipe import Recipe

CROP_LOW = "augment.crop.low"

Space = dict[str, FloatDistribution | CategoricalDistribution]

BATCH_SIZES = (16, 32, 64)
LEAST_DECAY = 1e-4
"""A weight decay of none lies at no finite place on a logarithmic axis; this stands for it."""

AUGMENT = {"brightness": 0.5, "contrast": 0.5, "gamma": 0.5, "noise": 0.2, "blur": 2.5}
"""How strong each may become; units as in `Augment`. All may be none."""


def space_of(recipe: Recipe) -> Space:
    """What may change of a recipe, by name.

    A recipe whose features are computed once keeps its films as they are: with augmentation
    every epoch would have to run the frozen base again.
    """
    decay = recipe.weight_decay
    space: Space = {
        "lr": FloatDistribution(recipe.lr / 10, recipe.lr * 10, log=True),
        "weight_decay": FloatDistribution(
            min(LEAST_DECAY, decay or LEAST_DECAY), max(0.3, decay), log=True
        ),
        "dropout": FloatDistribution(0.0, max(0.6, recipe.dropout)),
        "label_smoothing": FloatDistribution(0.0, max(0.2, recipe.label_smoothing)),
        "batch_size": CategoricalDistribution(tuple(sorted({*BATCH_SIZES, recipe.batch_size}))),
    }
    if recipe.features_once:
        return space
    low, high = recipe.augment.crop
    if high > 0.08:
        space[CROP_LOW] = FloatDistribution(min(0.08, low), high)
    for name, most in AUGMENT.items():
        space[f"augment.{name}"] = FloatDistribution(0.0, max(most, getattr(recipe.augment, name)))
    return space


def point_of(recipe: Recipe) -> dict[str, float | int]:
    """Where in its own space a recipe lies."""
    point: dict[str, float | int] = {}
    for name, bounds in space_of(recipe).items():
        if name == CROP_LOW:
            value: Any = recipe.augment.crop[0]
        elif name.startswith("augment."):
            value = getattr(recipe.augment, name.removeprefix("augment."))
        else:
            value = getattr(recipe, name)
        if isinstance(bounds, FloatDistribution):
            value = min(max(float(value), bounds.low), bounds.high)
        point[name] = value
    return point


def recipe_at(recipe: Recipe, point: dict[str, Any]) -> Recipe:
    """The recipe with the values of a point of its space. Raises `RecipeError`."""
    augment, changes = recipe.augment, dict[str, Any]()
    for name, value in point.items():
        if name == CROP_LOW:
            augment = dataclasses.replace(augment, crop=(float(value), augment.crop[1]))
        elif name.startswith("augment."):
            change = {name.removeprefix("augment."): float(value)}
            augment = dataclasses.replace(augment, **change)  # type: ignore[arg-type]
        elif name == "weight_decay" and value == LEAST_DECAY and not recipe.weight_decay:
            changes[name] = 0.0
        else:
            changes[name] = value
    return dataclasses.replace(recipe, augment=augment, **changes)
