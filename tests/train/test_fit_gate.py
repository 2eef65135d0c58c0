import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime as ort
import torch

from firstread.cohort.synthetic import draw_film
from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.read.gate import KINDS, gate_from_card, oddness, strangeness
from firstread.train.export import to_onnx
from firstread.train.gate import WEIGHT, residual, subspace, with_gate
from firstread.train.gate_films import spoilt
from firstread.train.gate_graph import joined

SIZE = 32


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([draw_film(rng, i % 2 == 1, 64) for i in range(90)])


def small(films: np.ndarray) -> np.ndarray:
    return films.reshape(len(films), SIZE, 2, SIZE, 2).mean(axis=(2, 4)).astype(np.uint8)


@pytest.fixture(scope="module")
def gated(films: np.ndarray) -> tuple[ort.InferenceSession, dict, np.ndarray]:
    torch.manual_seed(0)
    graph = to_onnx(build_net("resnet10", SIZE, 0.0, Weights(SCRATCH, {})), SIZE)
    val = small(films[60:])
    graph, card = with_gate(graph, films[:60], val, seed=0)
    return ort.InferenceSession(graph, providers=["CPUExecutionProvider"]), card, val


def test_the_graph_gains_one_output_and_keeps_the_others(
    gated: tuple[ort.InferenceSession, dict, np.ndarray],
) -> None:
    session, _, val = gated
    assert [o.name for o in session.get_outputs()] == ["logit", "map", "gate"]
    assert session.run(["gate"], {"film": val[:3]})[0].shape == (3, 1 + len(KINDS) + 1)


def test_no_validation_film_is_turned_away_and_spoilt_ones_are_odder(
    gated: tuple[ort.InferenceSession, dict, np.ndarray],
) -> None:
    session, card, val = gated
    gate = gate_from_card(card)
    outputs = session.run(["gate"], {"film": val})[0]
    good, both = oddness(outputs), strangeness(outputs)
    assert good.max() < gate.limit
    assert both.max() < gate.strange
    assert gate.suspect <= gate.unsure <= gate.strange
    assert (both > gate.unsure).sum() == 1  # one in a hundred, and of so few the strangest
    # The strangeness has no side of its own: it is measured from that of good films.
    assert (both - good).mean() == pytest.approx(0.0, abs=1e-3)
    assert (both - good).std() == pytest.approx(WEIGHT * good.std(), rel=1e-3)
    rng = np.random.default_rng(1)
    for kind in KINDS:
        odd = oddness(session.run(["gate"], {"film": spoilt(val, kind, rng)})[0])
        # Even random features tell a drawn film from the same one spoilt.
        assert np.median(odd) > np.median(good), kind


def test_what_varies_otherwise_than_good_films_is_strange() -> None:
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    spreads = np.r_[np.full(4, 3.0), np.full(28, 0.1)]
    good = (rng.normal(size=(400, 32)) * spreads @ axes.T).astype(np.float32)
    space = subspace(good)
    assert space.axes.shape == (32, 4)
    far_along = good[:1] + 30 * axes[:, 0].astype(np.float32)
    across = good[:1] + 3 * axes[:, 10].astype(np.float32)
    known = residual(good, space)
    assert residual(far_along, space)[0] < known.max() + 1
    assert residual(across, space)[0] > known.max() + 1


def test_a_silent_feature_that_speaks_once_is_not_all_that_counts() -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(size=(200, 40)).astype(np.float32)
    good[:, 7] = 0.0
    space = subspace(good)
    once, strange = good[:1].copy(), good[:1] + 4 * np.sign(rng.normal(size=(1, 40)))
    once[0, 7] = 0.5
    assert residual(once, space)[0] < residual(strange.astype(np.float32), space)[0]


@pytest.mark.parametrize("strange", [None, 16])
def test_the_graph_computes_what_the_fit_did(strange: int | None) -> None:
    torch.manual_seed(2)
    graph = to_onnx(build_net("resnet10", SIZE, 0.0, Weights(SCRATCH, {})), SIZE)
    films = np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE), np.uint8)
    plain = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    features = plain.run(["features"], {"film": films})[0]
    space = subspace(features[:9, :strange])
    weight = np.random.default_rng(1).normal(size=(5, features.shape[1])).astype(np.float32)
    bias = np.arange(5, dtype=np.float32)
    both = ort.InferenceSession(
        joined(graph, (weight, bias), space, (2.0, -0.5)), providers=["CPUExecutionProvider"]
    )
    found = both.run(["gate"], {"film": films})[0]
    wanted = features @ weight.T + bias
    assert np.allclose(found[:, :5], wanted, rtol=1e-4, atol=1e-3)
    # The first nine lie within what they span, but for rounding.
    assert np.allclose(found[9:, 5], 2.0 * residual(features[9:], space) - 0.5, rtol=1e-3)


def test_the_same_seed_gives_the_same_gate(films: np.ndarray) -> None:
    torch.manual_seed(1)
    graph = to_onnx(build_net("resnet10", SIZE, 0.0, Weights(SCRATCH, {})), SIZE)
    val = small(films[60:70])
    assert with_gate(graph, films[:20], val, 0) == with_gate(graph, films[:20], val, 0)
