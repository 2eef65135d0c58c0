"""What a network tells of the label without seeing the lungs: a penalty on it.

Where surroundings are swapped and evidence is held to the lungs, what lies around them moves an
opinion by little; but films whose lungs are painted over are still ranked by it, however small the
steps between them. The squared correlation of such films' logits with their labels does not
shrink with the logits. In the manner of Kasieczka & Shih 2020 (arXiv:2001.05310), who
decorrelate a classifier from what it must not know.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from firstread.train.augment import geometry, resampled
from firstread.train.mix import lung_box, painted
from firstread.train.strengths import Augment

LEAST = 0.5
"""Least share of a painted film that a crop keeps, where training's crops keep less: the whole
film is what is read, and smaller pieces of a painted one are grey."""

EVEN = 1e-4
"""Variance of logits, squared units of a logit, below which films count as told alike."""


def blinded(films: Tensor, how: Augment, size: int, rng: torch.Generator) -> Tensor:
    """(n, 1, s, s) to (n, 1, size, size): films with a painted box over the lungs, moved about by
    the recipe's own changes of place, but for crops of less than `LEAST`."""
    n = len(films)
    box = (lung_box(n, films.shape[-1], rng) > 0).to(films)
    films = films * (1 - box) + painted(films, rng) * box
    low, high = how.crop
    mild = replace(how, crop=(max(low, LEAST), max(high, LEAST)))
    return resampled(films, geometry(n, mild, rng), size)


def told_of(labels: Tensor, logits: Tensor) -> Tensor:
    """Squared correlation of logits (n,) with labels (n,); a scalar in [0, 1].

    0 where all labels are alike, or all logits.
    """
    logits, labels = logits - logits.mean(), labels - labels.mean()
    spread = (logits.square().mean() + EVEN) * labels.square().mean()
    return (logits * labels).mean().square() / spread.clamp(min=1e-12)
