"""One fit: what learns and what does not, on which device, and what is written down."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightning")

import torch

from firstread.cohort.synthetic import draw_film
from firstread.errors import RecipeError
from firstread.model.build import build_net, freeze
from firstread.model.net import FilmNet
from firstread.model.weights import SCRATCH, Weights
from firstread.train.fit import device_for, fit, precision_for, write_history
from firstread.train.module import FilmFit
from firstread.train.recipe import Recipe
from tiny_training import tiny_recipe


def net_for(recipe: Recipe) -> FilmNet:
    torch.manual_seed(0)
    net = build_net(recipe.arch, recipe.size, recipe.dropout, Weights(SCRATCH, {}))
    freeze(net, recipe.freeze)
    return net


def drawn(n: int, size: int = 32) -> tuple[Any, Any]:
    """(n, size, size) synthetic films, half of them ill, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    films = np.stack([draw_film(rng, bool(label), size) for label in labels])
    return films, labels.astype(np.int8)


def test_the_small_cnn_learns_the_synthetic_films(tmp_path: Path) -> None:
    films, labels = drawn(260)
    recipe = tiny_recipe(epochs=8, batch_size=20, lr=3e-3, ema=0.0, augment={})
    module = fit(
        net_for(recipe), recipe, (films[:200], films[200:]), (labels[:200], labels[200:]),
        tmp_path,
    )  # fmt: skip
    first, last = module.history[0], module.history[-1]
    assert last["val_auc"] > 0.85
    assert last["train_loss"] < first["train_loss"]
    assert [row["epoch"] for row in module.history] == list(range(8))
    assert list(first) == [
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_auc", "seconds",
    ]  # fmt: skip
    with (tmp_path / "metrics.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [float(r["val_auc"]) for r in rows] == pytest.approx(
        [r["val_auc"] for r in module.history], rel=1e-5
    )
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert not module.net.training


def test_a_frozen_base_does_not_move(tmp_path: Path) -> None:
    films, labels = drawn(24)
    recipe = tiny_recipe(arch="mobilenet_v2", freeze="base", epochs=1, ema=0.0, batch_size=12)
    net = net_for(recipe)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    fit(net, recipe, (films, films), (labels, labels), tmp_path)
    after = net.state_dict()
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved == {"head.layers.0.weight", "head.layers.0.bias"}


def test_features_computed_once_train_the_head_alone(tmp_path: Path) -> None:
    films, labels = drawn(40)
    recipe = tiny_recipe(freeze="base", epochs=2, ema=0.0, augment={})
    assert recipe.features_once
    net = net_for(recipe)
    with torch.inference_mode():
        features = net.features(torch.from_numpy(films).unsqueeze(1) / 255).half().numpy()
    trunk = {k: v.clone() for k, v in net.trunk.state_dict().items()}
    module = fit(net, recipe, (features, features), (labels, labels), tmp_path)
    assert len(module.history) == 2
    assert all(torch.equal(v, net.trunk.state_dict()[k]) for k, v in trunk.items())


def module_for(recipe: Recipe) -> FilmFit:
    return FilmFit(net_for(recipe), recipe, 10, lambda epoch: None)  # type: ignore[arg-type, return-value]


def test_weights_decay_and_biases_do_not() -> None:
    recipe = tiny_recipe(weight_decay=0.1)
    made = module_for(recipe).configure_optimizers()
    matrices, rest = made["optimizer"].param_groups
    assert matrices["weight_decay"] == 0.1
    assert rest["weight_decay"] == 0.0
    assert all(p.ndim > 1 for p in matrices["params"])
    assert all(p.ndim <= 1 for p in rest["params"])
    assert len(matrices["params"]) + len(rest["params"]) == len(list(net_for(recipe).parameters()))


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
def test_the_schedule_ends_where_the_fit_ends(steps: int) -> None:
    """Five steps and a warm-up of a fifth is one step exactly, which torch divides by."""
    module = module_for(tiny_recipe(lr=0.1, warmup=0.2))
    module.steps = steps
    made = module.configure_optimizers()
    rates = []
    for _ in range(steps):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        if len(rates) < steps:
            made["lr_scheduler"]["scheduler"].step()
    assert all(0 < rate <= 0.1 for rate in rates)
    assert rates[-1] == min(rates)
    assert rates[0] > 1e-3, "a fit of one step is to learn something as well"


def test_label_smoothing_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    films, labels = drawn(4)
    batch = torch.from_numpy(films), torch.from_numpy(labels).float()
    losses = []
    for smooth in (0.0, 0.2):
        module = module_for(tiny_recipe(label_smoothing=smooth, dropout=0.0, augment={}))
        monkeypatch.setattr(module, "log", lambda *_, **__: None)
        losses.append(module.training_step(batch, 0))
        with torch.no_grad():
            logits = module.net(batch[0].unsqueeze(1) / 255)
        aim = batch[1] * (1 - smooth) + (1 - batch[1]) * 0 + smooth / 2
        expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, aim)
        torch.testing.assert_close(losses[-1], expected)
    assert losses[0] != losses[1]


def test_training_films_are_resized_to_the_training_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = module_for(tiny_recipe(arch="mobilenet_v2", size=64, train_size=32))
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    seen: list[int] = []
    module.net.trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    films = torch.zeros(2, 64, 64, dtype=torch.uint8)
    module.training_step((films, torch.zeros(2)), 0)
    module.validation_step((films, torch.zeros(2)), 0)
    assert seen == [32, 64]


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision_for(Recipe(), "cpu") == "32-true"
    assert precision_for(Recipe(precision="bf16-mixed"), "cpu") == "bf16-mixed"
    wish = Recipe(precision="bf16-if-fast")
    assert precision_for(wish, "mps") == "32-true"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert precision_for(wish, "cpu") == "32-true"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert precision_for(wish, "cpu") == "bf16-mixed"


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_for(None) == "cpu"
    with pytest.raises(RecipeError, match="no cuda device is seen here; use --device cpu"):
        device_for("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_for(None) == "cuda"
    assert device_for("cpu") == "cpu"


def test_history_of_nothing_is_a_header(tmp_path: Path) -> None:
    write_history(tmp_path / "metrics.csv", [])
    assert (tmp_path / "metrics.csv").read_text() == "epoch\n"
