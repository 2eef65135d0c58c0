"""What is told of the label without the lungs costs, however small the steps between films are."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

import torch

from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.train import blind
from firstread.train.augment import geometry
from firstread.train.batches import Batches
from firstread.train.blind import blinded, told_of
from firstread.train.module import FilmFit
from firstread.train.recipe import Recipe, make_recipe
from firstread.train.strengths import Augment


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_it_is_the_squared_correlation_at_any_scale() -> None:
    labels = (torch.arange(64) % 2).float()
    logits = torch.randn(64, generator=rng()) + labels
    wanted = float(torch.corrcoef(torch.stack([logits, labels]))[0, 1] ** 2)
    assert 0.1 < wanted < 0.5
    for scale, way in ((30.0, 1), (1.0, 1), (1.0, -1)):
        assert float(told_of(labels, way * scale * logits + 5)) == pytest.approx(wanted, rel=1e-3)
    assert float(told_of(labels, 1e-4 * logits)) < 0.01  # as good as alike


def test_nothing_is_told_where_all_are_alike() -> None:
    labels, logits = torch.tensor([0.0, 1.0]), torch.ones(2, requires_grad=True)
    told = told_of(labels, logits)
    told.backward()
    assert float(told.detach()) == 0.0
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())
    assert float(told_of(torch.ones(2), torch.tensor([1.0, 2.0]))) == 0.0


def test_the_lungs_are_gone_and_the_surroundings_are_the_films_own() -> None:
    films = torch.rand(32, 1, 112, 112, generator=torch.Generator().manual_seed(4))
    out = blinded(films, Augment(), 112, rng())
    middle = (slice(None), 0, slice(24, 88), slice(24, 88))
    of_film = torch.stack([films[middle].flatten(), out[middle].flatten()])
    assert abs(float(torch.corrcoef(of_film)[0, 1])) < 0.05
    torch.testing.assert_close(out[..., :4], films[..., :4], atol=1e-4, rtol=0)


def test_strong_crops_are_no_stronger_than_half_of_the_film(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def kept(n: int, how: Augment, rng: torch.Generator) -> torch.Tensor:
        asked.append(how)
        return geometry(n, how, rng)

    monkeypatch.setattr(blind, "geometry", kept)
    films = torch.rand(2, 1, 64, 64, generator=rng())
    for crop in ((0.08, 1.0), (0.08, 0.3), (0.7, 0.9)):
        assert blinded(films, Augment(crop=crop, flip=0.5), 32, rng()).shape == (2, 1, 32, 32)
    assert [how.crop for how in asked] == [(0.5, 1.0), (0.5, 0.5), (0.7, 0.9)]
    assert {how.flip for how in asked} == {0.5}


def fit_of(recipe: Recipe) -> FilmFit:
    def batches(epoch: int) -> Batches:
        raise AssertionError("not asked for")

    torch.manual_seed(0)
    return FilmFit(build_net("resnet10", 32, 0.0, Weights(SCRATCH, {})), recipe, 10, batches)


def marked(labels: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Films (n, 32, 32) uint8 of noise whose edge alone tells the label."""
    films = torch.randint(0, 64, (len(labels), 32, 32), generator=draw, dtype=torch.uint8)
    films[:, :, :4] += (labels * 150).reshape(-1, 1, 1).to(torch.uint8)
    return films


def test_a_mark_beside_the_lungs_is_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = (torch.arange(32) % 2).float()
    told = {}
    for weight in (0.0, 1.0):
        how = {"arch": "resnet10", "size": 32, "pretrained": False, "blind": weight}
        module, draw = fit_of(make_recipe(how, "mine")), rng()
        monkeypatch.setattr(module, "log", lambda *_, **__: None)
        learn = torch.optim.Adam(module.net.parameters(), lr=5e-3)
        module.net.train()
        for _ in range(25):
            learn.zero_grad()
            batch = (marked(labels, draw), labels)
            module.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
            learn.step()
        assert module.net.training
        hidden = blinded(marked(labels, draw).unsqueeze(1) / 255, Augment(), 32, rng())
        module.net.eval()
        with torch.no_grad():
            told[weight] = float(told_of(labels, module.net(hidden)))
    assert told[1.0] < 0.3 < 0.7 < told[0.0]
