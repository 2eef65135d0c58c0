import numpy as np
import pytest

pytest.importorskip("torch")

import onnxruntime as ort
import torch

from firstread.cohort.synthetic import draw_film
from firstread.model.build import build_net
from firstread.model.weights import SCRATCH, Weights
from firstread.read.gate import KINDS, gate_from_card, oddness
from firstread.train.export import to_onnx
from firstread.train.gate import spoilt, with_gate, worse

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
    assert session.run(["gate"], {"film": val[:3]})[0].shape == (3, 1 + len(KINDS))


def test_no_validation_film_is_turned_away_and_spoilt_ones_are_odder(
    gated: tuple[ort.InferenceSession, dict, np.ndarray],
) -> None:
    session, card, val = gated
    gate = gate_from_card(card)
    good = oddness(session.run(["gate"], {"film": val})[0])
    assert good.max() < gate.limit
    assert gate.suspect <= gate.unsure <= gate.limit
    rng = np.random.default_rng(1)
    for kind in KINDS:
        odd = oddness(session.run(["gate"], {"film": spoilt(val, kind, rng)})[0])
        # Even random features tell a drawn film from the same one spoilt.
        assert np.median(odd) > np.median(good), kind


def test_the_same_seed_gives_the_same_gate(films: np.ndarray) -> None:
    torch.manual_seed(1)
    graph = to_onnx(build_net("resnet10", SIZE, 0.0, Weights(SCRATCH, {})), SIZE)
    val = small(films[60:70])
    assert with_gate(graph, films[:20], val, 0) == with_gate(graph, films[:20], val, 0)


def test_spoilt_films_are_what_their_kind_says(films: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    some = small(films[:2])
    assert np.array_equal(spoilt(spoilt(some, "left", rng), "right", rng), some)
    assert np.array_equal(spoilt(some, "upside down", rng), some[:, ::-1, ::-1])
    assert np.array_equal(spoilt(some, "negative", rng), 255 - some)
    assert spoilt(some, "cut", rng).shape == some.shape
    assert worse(some, rng).shape == some.shape
