"""Fit the gate: two measures on the network's own features that know a bad film when they see one.

Training films are spoilt in ways that happen: turned by 90 degrees, upside down, inverted.
A linear probe on the pooled features tells these from good films. Good are films with corruptions
too, and with other fields, tones and frames, so that none of these alone turns a film away.

The features are those of the middle of the network where it names such (`FilmNet.looks`): the last
ones know little but the disease, and took films of another hospital for strange.

The strangeness is how much of a film's features, or of the first of them (`FilmNet.strange`), lies
outside of the directions that good films vary in: the residual of their principal subspace, as in
ViM (Wang et al. 2022, arXiv:2203.10807), as a logarithm.

Both go into the graph as products of matrices, and so cost next to nothing at reading. What
neither has seen, such as lateral views, CT slices and photographs, lies on the far side as well;
how far is measured (docs/results.md). No validation film as it is lies beyond a limit, and of them
made worse one in a hundred is too odd, one in two hundred too strange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from firstread.evaluate.corruptions import shrunk
from firstread.read.gate import KINDS, oddness, strangeness
from firstread.train.gate_films import STRENGTH, otherwise, spoilt, worse
from firstread.train.gate_graph import FEATURES, LEAST, Subspace, joined, output_of

Films = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

TRAIN_FILMS = 800
"""Training films looked at, at most, evenly drawn."""

PENALTY = 0.5
"""Weight of the squared probe weights, on standardised features."""

RANK = 8
"""One in so many of the features' directions is what good films vary in; with one in five more
adults were turned away."""

LEAST_SPREAD = 0.25
"""Least spread of a feature, over the mean spread. Without it a feature that is silent on the films
at hand makes one film in a thousand the strangest of all, for speaking once."""

WEIGHT = 0.75
"""Of the strangeness beside the oddness, both by their spread over good films. Less tells lateral
views and CT slices worse, more refers adults."""

MARGIN = 0.02
"""Added to a limit, in log odds: a film read alone is summed up otherwise than among others."""

STRANGEST = 0.995
"""Share of good films made worse below the limit of strangeness. What is less strange than that and
yet stranger than most is referred, so that a person still sees it."""

UNSURE, SUSPECT = 0.99, 0.9
"""Shares of good films below these limits: so few are referred, so many need no lung net."""


def with_gate(
    graph: bytes,
    train: Films,
    val: Films,
    seed: int,
    say: Callable[[str], None] = lambda text: None,
    quick: Callable[[Films], Floats] | None = None,
    strange: int | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """A graph with the output `features` as one with `gate` in its place, and the card's field.

    `train`: films (n, k, k) that the gate learns from; `val`: films (n, s, s), as the graph
    reads them, that the limits are chosen on. `quick`: gives about the graph's features of films,
    faster than the graph; the gate then learns from these. The limits come from the graph.
    `strange`: of how many of the features, from the first on, the strangeness is; None: of all.
    """
    rng = np.random.default_rng([seed, 7])
    drawn = np.sort(rng.permutation(len(train))[:TRAIN_FILMS])
    some = np.stack([shrunk(train[i], val.shape[-1]) for i in drawn])
    read = output_of(graph, FEATURES)
    say(f"fitting the gate on {len(some)} films, whole and spoilt")
    learnt = quick or read
    other = otherwise(some, rng)
    good = np.concatenate([learnt(films) for films in (some, worse(some, rng), other)])
    both = np.concatenate([some, other])
    probe = linear_probe([good, *(learnt(spoilt(both, kind, rng)) for kind in KINDS)])
    space = subspace(good[:, :strange])
    as_is, spoiled = read(val), read(worse(val, rng))
    outputs = [f @ probe[0].T + probe[1] for f in (as_is, spoiled)]
    outside = [residual(f, space) for f in (as_is, spoiled)]
    scale = WEIGHT * float(oddness(outputs[0]).std()) / (float(outside[0].std()) + 1e-6)
    line = scale, -scale * float(outside[0].mean())
    found = [
        np.column_stack([z, line[0] * r + line[1]]) for z, r in zip(outputs, outside, strict=True)
    ]
    return joined(graph, probe, space, line), limits(*found)


def limits(as_is: Floats, made_worse: Floats) -> dict[str, Any]:
    """The card's field `gate` from outputs (n, 1 + kinds + 1) for good films, as is and worse."""
    odd, both = oddness(as_is), strangeness(as_is)
    limit = max(odd.max(), np.quantile(oddness(made_worse), 0.99))
    strange = max(both.max(), np.quantile(strangeness(made_worse), STRANGEST))
    return {
        "kinds": list(KINDS),
        "limit": float(limit) + MARGIN,
        "strange": float(strange) + MARGIN,
        "unsure": float(np.quantile(both, UNSURE)),
        "suspect": float(np.quantile(both, SUSPECT)),
        "how": f"limit: the oddest of {len(as_is)} validation films; strange: the strangest of "
        f"them; also above 99 % and {STRANGEST:.1%} of them with a corruption of strength "
        f"{STRENGTH}; unsure: the {1 - UNSURE:.0%} of them that are strangest; suspect: the "
        f"{1 - SUSPECT:.0%}",
    }


def subspace(good: Floats) -> Subspace:
    """The principal directions of good films' features (n, c): one in `RANK` of them."""
    mean, spread = good.mean(axis=0), good.std(axis=0)
    spread = np.maximum(spread, LEAST_SPREAD * spread.mean()) + 1e-6
    z = ((good - mean) / spread).astype(np.float64)
    _, axes = np.linalg.eigh(z.T @ z)  # from the least variance to the most
    kept = axes[:, -max(1, z.shape[1] // RANK) :]
    return Subspace(mean, spread, kept.astype(np.float32))


def residual(features: Floats, space: Subspace) -> Floats:
    """Logarithm (n,) of the squared length of features (n, c) outside of the subspace, which is of
    the first of them or of all."""
    z = (features[:, : len(space.mean)] - space.mean) / space.spread
    outside = z - (z @ space.axes) @ space.axes.T
    return np.asarray(np.log(np.maximum((outside * outside).sum(axis=1), LEAST)), np.float32)


def linear_probe(classes: list[Floats]) -> tuple[Floats, Floats]:
    """Weights (k, c) and biases (k,) of a softmax over classes given as features (n_i, c).

    Every class weighs the same; L-BFGS on standardised features, whose scale is folded back.
    """
    everything = np.concatenate(classes)
    mean, spread = everything.mean(axis=0), everything.std(axis=0) + 1e-6
    x = torch.from_numpy((everything - mean) / spread).float()
    y = torch.from_numpy(np.repeat(np.arange(len(classes)), [len(c) for c in classes]))
    even = torch.tensor([len(everything) / len(c) / len(classes) for c in classes])
    weight = torch.zeros(len(classes), x.shape[1], requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=200, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        # Divided by the number of films, as a mean: weighted cross-entropy divides by weights.
        fit = F.cross_entropy(x @ weight.T + bias, y, weight=even)
        total = fit + 0.5 * PENALTY * (weight * weight).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    w = weight.detach().numpy() / spread
    return w.astype(np.float32), (bias.detach().numpy() - w @ mean).astype(np.float32)
