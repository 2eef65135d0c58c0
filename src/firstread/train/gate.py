"""Fit the gate: a probe on the network's own features that knows a bad film when it sees one.

Training films are spoilt in ways that happen: turned by 90 degrees, upside down, inverted.
A linear probe on the pooled features tells these from good films, good ones with corruptions
among them, so that noise alone turns nothing away. It goes into the graph as one more product of
a matrix, and so costs nothing at reading. What it has never seen, such as lateral views, CT
slices and photographs, lies on the far side as well; how far is measured (docs/results.md).

Limits are chosen on validation films: none of them as it is, and one in a hundred of them made
worse, is turned away by the probe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional as F

from firstread.evaluate.corruptions import FAMILIES, corrupt
from firstread.read.gate import KINDS, OUTPUT, oddness
from firstread.train.point import shrunk

Films = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FEATURES = "features"
"""The graph's output that the probe works on: (n, channels), pooled over the map."""

TRAIN_FILMS = 1200
"""Training films looked at, evenly drawn; more moved no measure."""

STRENGTH = 3
"""Of the corruptions among the good films, of 5."""

PENALTY = 0.5
"""Weight of the squared probe weights, on standardised features."""

LOST = (0.35, 0.55)
"""Share of the film's height or width that a cut film lacks, from and to. A probe for these had
an AUC of 0.87 and is not there; cut films are for the lungs to tell."""

MARGIN = 0.25
"""Added to the limit, in log odds: the worst of a few hundred films is not the worst there is."""

UNSURE, SUSPECT = 0.99, 0.75
"""Shares of good films below these limits: so few are referred, so many need no lung net."""


def spoilt(films: Films, kind: str, rng: np.random.Generator) -> Films:
    """Films (n, s, s) made bad: a kind of `KINDS`, or "cut"."""
    if kind == "cut":
        return np.stack([_cut(film, rng) for film in films])
    turns = {"left": 1, "upside down": 2, "right": 3}
    if kind in turns:
        return np.ascontiguousarray(np.rot90(films, turns[kind], (1, 2)))
    return np.asarray(255 - films)


def _cut(film: Films, rng: np.random.Generator) -> Films:
    """A film without a part of it at one side, at the size it had."""
    size = len(film)
    kept = size * (1 - rng.uniform(*LOST))
    boxes = {
        "right": (0.0, 0.0, kept, float(size)),
        "left": (size - kept, 0.0, float(size), float(size)),
        "bottom": (0.0, 0.0, float(size), kept),
        "top": (0.0, size - kept, float(size), float(size)),
    }
    box = boxes[rng.choice(list(boxes))]
    whole = Image.fromarray(film).resize((size, size), Image.Resampling.BILINEAR, box)
    return np.asarray(whole)


def worse(films: Films, rng: np.random.Generator) -> Films:
    """Each film with one corruption, all kinds in turn."""
    kinds = list(FAMILIES)
    return np.stack(
        [corrupt(film, kinds[i % len(kinds)], STRENGTH, rng) for i, film in enumerate(films)]
    )


def with_gate(
    graph: bytes,
    train: Films,
    val: Films,
    seed: int,
    say: Callable[[str], None] = lambda text: None,
    quick: Callable[[Films], Floats] | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """A graph with the output `features` as one with `gate` in its place, and the card's field.

    `train`: films (n, k, k) that the probe learns from; `val`: films (n, s, s), as the graph
    reads them, that the limits are chosen on. `quick`: gives about the graph's features of films,
    faster than the graph; the probe then learns from these. The limits come from the graph.
    """
    rng = np.random.default_rng([seed, 7])
    drawn = np.sort(rng.permutation(len(train))[:TRAIN_FILMS])
    some = np.stack([shrunk(train[i], val.shape[-1]) for i in drawn])
    read = _reader_of(graph)
    say(f"fitting the gate on {len(some)} films, whole and spoilt")
    learnt = quick or read
    good = np.concatenate([learnt(some), learnt(worse(some, rng))])
    bad = [learnt(spoilt(some, kind, rng)) for kind in KINDS]
    weight, bias = _probe([good, *bad])
    as_is, spoiled = (read(films) @ weight.T + bias for films in (val, worse(val, rng)))
    card = limits(as_is, spoiled)
    return _joined(graph, weight, bias), card


def limits(as_is: Floats, made_worse: Floats) -> dict[str, Any]:
    """The card's field `gate` from outputs (n, 1 + kinds) for good films, as they are and worse."""
    odd, odd_worse = oddness(as_is), oddness(made_worse)
    limit = max(odd.max(), np.quantile(odd_worse, 0.99)) + MARGIN
    return {
        "kinds": list(KINDS),
        "limit": float(limit),
        "unsure": float(min(limit, np.quantile(odd, UNSURE))),
        "suspect": float(np.quantile(odd, SUSPECT)),
        "how": f"limit: above every one of {len(as_is)} validation films, and of 99 % of them with "
        f"a corruption of strength {STRENGTH}, by {MARGIN} in log odds; unsure: the "
        f"{1 - UNSURE:.0%} of them that are oddest; suspect: the {1 - SUSPECT:.0%}",
    }


def _reader_of(graph: bytes) -> Callable[[Films], Floats]:
    import onnxruntime as ort

    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def read(films: Films) -> Floats:
        parts = [
            session.run([FEATURES], {"film": np.ascontiguousarray(films[i : i + 32])})[0]
            for i in range(0, len(films), 32)
        ]
        return np.concatenate(parts)

    return read


def _probe(classes: list[Floats]) -> tuple[Floats, Floats]:
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


def _joined(graph: bytes, weight: Floats, bias: Floats) -> bytes:
    """The graph with `gate` = features x weight + bias as its last output."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(weight.T), "gate/weight"),
            numpy_helper.from_array(bias, "gate/bias"),
        ]
    )
    inputs = [FEATURES, "gate/weight", "gate/bias"]
    model.graph.node.append(helper.make_node("Gemm", inputs, [OUTPUT]))
    shape: list[str | int | None] = ["n", len(bias)]
    kept = [out for out in model.graph.output if out.name != FEATURES]
    del model.graph.output[:]
    model.graph.output.extend(
        [*kept, helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)]
    )
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
