"""What a training begins with: a run that it goes on from, or weights; and the network of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from firstread.errors import RecipeError, WeightsError
from firstread.model.build import build_net, freeze
from firstread.model.net import FilmNet
from firstread.model.weights import Weights, resolve_weights
from firstread.train.recipe import Recipe
from firstread.train.start import Start, load_start


def beginning(
    recipe: Recipe, start: Path | None, weights: str | None
) -> tuple[Start | None, Weights]:
    """The run that a training goes on from, if there is one, and the weights that it begins with.

    `start`: that run's folder; `weights`: as `first_weights` takes them, who says what is raised.
    """
    if start and weights:
        raise WeightsError("--start brings its own weights; leave --weights or --start away")
    if start:
        found = load_start(start, recipe)
        return found, found.weights
    return None, first_weights(recipe, weights)


def first_weights(recipe: Recipe, given: str | None) -> Weights:
    """The weights of a training that goes on from no run; `given` as in `Job`.

    Raises `RecipeError` where the recipe wants a run to go on from, `WeightsError` as
    `resolve_weights` does, and where the recipe would freeze weights that
    are random, unless "none" was asked for by name.
    """
    if recipe.start_share:
        raise RecipeError(
            f"recipe: start_share = {recipe.start_share} keeps a share of the network that "
            "`firstread train --start RUN` goes on from; without one set it to 0"
        )
    frozen = recipe.freeze != "nothing"
    weights = resolve_weights(recipe.arch, given, recipe.pretrained, frozen)
    if frozen and not weights.tensors and given != "none":
        raise WeightsError(
            f'freeze = "{recipe.freeze}" would keep random weights from learning; give ImageNet '
            'weights, set freeze = "nothing", or go on from a run by `firstread train --start RUN`'
        )
    return weights


def network_of(
    recipe: Recipe, weights: Weights, start: Start | None, say: Callable[[str], None]
) -> FilmNet:
    """The network as it is before the first step, with what is frozen frozen."""
    torch.manual_seed(recipe.seed)
    if start:
        net = start.network(recipe)
    else:
        net = build_net(recipe.arch, recipe.size, recipe.dropout, weights)
    net.opening = recipe.opening
    if recipe.freeze == "all but the last block" and not start:
        say("the head has learnt nothing yet; `train --start RUN` goes on from one that has")
    freeze(net, recipe.freeze)
    return net
