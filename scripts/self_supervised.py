#!/usr/bin/env python3
"""Warm a network up on films without their labels, and keep it as a weights file.

    python scripts/self_supervised.py RECIPE --table $FIRSTREAD_DATA/chest_xray.csv \\
        --split series.csv --out warm.safetensors
    firstread train RECIPE --weights warm.safetensors ...

SimCLR (Chen et al. 2020, arXiv:2002.05709): two random views of each film of the training part,
changed as the recipe changes films, must be nearer to one another than to the views of all other
films of a batch. The network begins with the recipe's ImageNet weights; its projection head is
thrown away. A trial of recipes (docs/protocol.md), no part of what ships.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from firstread.train.malloc import tune_malloc

tune_malloc()

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from firstread.cohort.cache import cached_films  # noqa: E402
from firstread.cohort.split import load_split  # noqa: E402
from firstread.cohort.table import load_cohort  # noqa: E402
from firstread.errors import FirstreadError  # noqa: E402
from firstread.model.build import build_net  # noqa: E402
from firstread.model.net import FilmNet, channels_last  # noqa: E402
from firstread.model.weights import Weights, resolve_weights  # noqa: E402
from firstread.train.augment import augment  # noqa: E402
from firstread.train.recipe import Recipe, load_recipe  # noqa: E402

SIZE, BATCH, LR, WEIGHT_DECAY = 112, 64, 5e-4, 0.05
TEMPERATURE = 0.2
LEAST_CROP = 0.2
"""Smaller crops of one film need have nothing in common."""
PROJECTED = 128


def contrastive(one: Tensor, other: Tensor) -> Tensor:
    """NT-Xent of projections (n, d) of two views each of n films."""
    both = F.normalize(torch.cat([one, other]), dim=1)
    n = len(one)
    alike = both @ both.T / TEMPERATURE
    alike.fill_diagonal_(-torch.inf)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(alike, partner)


def warmed(recipe: Recipe, weights: Weights, films: Tensor, epochs: int) -> FilmNet:
    """The recipe's network after `epochs` over films (n, s, s) uint8."""
    torch.manual_seed(recipe.seed)
    net = channels_last(build_net(recipe.arch, recipe.size, recipe.dropout, weights))
    net.opening = recipe.opening
    wide = net.head.layers[-1].in_features
    project = nn.Sequential(nn.Linear(wide, wide // 2), nn.ReLU(), nn.Linear(wide // 2, PROJECTED))
    how = dataclasses.replace(recipe.augment, crop=(LEAST_CROP, 1.0))
    rng = torch.Generator().manual_seed(recipe.seed)
    parameters = [*net.trunk.parameters(), *project.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY)
    steps = len(films) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(films), generator=rng)[: steps * BATCH].split(BATCH):
            batch = films[chosen].unsqueeze(1).float() / 255
            views = torch.cat([augment(batch, how, SIZE, rng) for _ in range(2)])
            seen = net.features(views.contiguous(memory_format=torch.channels_last))
            loss = contrastive(*project(seen.mean(dim=(2, 3))).chunk(2))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: contrastive loss {total / steps:.3f}", flush=True)
    return net


def main() -> int:
    """0: written; 2: the films, the split or the recipe are not as told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", metavar="RECIPE")
    parser.add_argument("--table", type=Path, required=True, help="the films, as a CSV")
    parser.add_argument("--split", type=Path, required=True, help="of that table")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    try:
        recipe = load_recipe(args.recipe)
        weights = resolve_weights(recipe.arch, None, recipe.pretrained)
        cohort = load_split(args.split, load_cohort(args.table)).part("train")
    except FirstreadError as e:
        print(f"self_supervised: {e}", file=sys.stderr)
        return 2
    films = torch.from_numpy(cached_films(cohort, recipe.kept).pixels.copy())
    net = warmed(recipe, weights, films, args.epochs)
    record = weights.record
    told = {
        "source": f"{record.name}, warmed up by scripts/self_supervised.py",
        "licence": record.licence or "Apache-2.0",
        "padding": record.padding,
        "input": "[-1,1]" if record.std == (0.5,) * 3 else "ImageNet",
    }
    state = {k: v.contiguous() for k, v in net.trunk.state_dict().items()}
    save_file(state, args.out, metadata=told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
