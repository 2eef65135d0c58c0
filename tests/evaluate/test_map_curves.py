from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import tiny_bundle, tiny_card
from conv_graph import conv_onnx
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.curve_figure import map_curves
from firstread.evaluate.graph import Graph
from firstread.evaluate.map_curves import (
    ORDERS,
    STEPS,
    WAYS,
    area,
    blurred,
    map_curve_study,
    mixtures,
    order_of,
)
from firstread.read.bundle import write_bundle

SIZE = 64
KEYS = {
    "n", "n_called", "n_left_out", "share", "deletion", "insertion", "correlation", "spearman",
    "changed", "holds", "draws", "rule",
}  # fmt: skip


def lit(seed: int, row: int, column: int) -> np.ndarray:
    """A dark film with a bright square of 16 pixels: what the graph of the tests looks for."""
    rng = np.random.default_rng(seed)
    film = rng.integers(0, 30, (SIZE, SIZE)).astype(np.uint8)
    film[row : row + 16, column : column + 16] = 250
    return film


def write(root: Path, n: int = 12) -> Cohort:
    rng = np.random.default_rng(1)
    for label, name in enumerate(("NORMAL/IM-{:04d}-0001.png", "PNEUMONIA/person{}_virus_1.png")):
        for i in range(n):
            row, column = (int(x) for x in 8 * rng.integers(0, 7, 2))
            path = root / name.format(i + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(lit(100 * label + i, row, column)).save(path)
    return load_cohort(root)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "conv", conv_onnx(SIZE), tiny_card(SIZE)).path


def test_an_order_is_that_of_the_map_and_ties_are_drawn() -> None:
    heat = np.zeros((8, 8), np.float32)
    heat[2, 5] = 1.0
    ranks = order_of(heat, SIZE, np.random.default_rng(0))
    assert sorted(ranks.ravel()) == list(range(SIZE * SIZE))
    row, column = np.argwhere(ranks == 0)[0]
    assert (row // 8, column // 8) == (2, 5)
    assert ranks[16:24, 40:48].max() < ranks[48:].min()
    flat = [order_of(0 * heat, SIZE, np.random.default_rng(s)) for s in (0, 0, 1)]
    assert (flat[0] == flat[1]).all()
    assert abs(np.corrcoef(flat[0].ravel(), flat[2].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(flat[0].ravel(), np.arange(SIZE * SIZE))[0, 1]) < 0.1


def test_films_are_mixed_step_by_step() -> None:
    film, other = np.zeros((8, 8), np.uint8), np.full((8, 8), 9, np.uint8)
    ranks = np.arange(64).reshape(8, 8)
    mixed = mixtures(film, other, ranks)
    assert mixed.shape == (STEPS + 1, 8, 8)
    assert (mixed[0] == film).all()
    assert (mixed[-1] == other).all()
    counts = (mixed == 9).sum(axis=(1, 2))
    assert counts.tolist() == [round(64 * s / STEPS) for s in range(STEPS + 1)]
    assert (mixed[5].ravel()[:16] == 9).all()


def test_areas_of_known_curves() -> None:
    assert area(np.ones(21)) == pytest.approx(1.0)
    assert area(np.linspace(0, 1, 21)) == pytest.approx(0.5)
    x = np.linspace(0, 1, 21)
    assert area(x**2) == pytest.approx(np.trapezoid(x**2, x))


def test_the_right_place_first_beats_a_random_and_the_wrong_one_loses() -> None:
    """The mirrored order must be as bad as the true one is good, in both directions."""
    graph, film = Graph(conv_onnx(SIZE)), lit(0, 8, 40)
    rng = np.random.default_rng(0)
    heat = graph.both(film[None])[1][0]
    noise = rng.normal(size=heat.shape).astype(np.float32)
    areas = {}
    for name, m in (("true", heat), ("noise", noise), ("wrong", -heat)):
        ranks = order_of(m, SIZE, rng)
        pair = (film, blurred(film))
        areas[name] = [area(graph.logits(mixtures(a, b, ranks))) for a, b in (pair, pair[::-1])]
    assert areas["true"][0] < areas["noise"][0] < areas["wrong"][0]
    assert areas["true"][1] > areas["noise"][1] > areas["wrong"][1]


def test_a_map_that_names_the_evidence_gains_over_both_baselines(
    tmp_path: Path, bundle: Path
) -> None:
    cohort = write(tmp_path / "films")
    seen: list[tuple[int, int]] = []
    called = range(len(cohort))
    result = map_curve_study(bundle, cohort, called, progress=lambda *a: seen.append(a))
    assert set(result) == KEYS
    assert (result["n"], result["n_called"], result["n_left_out"]) == (24, 24, 0)
    assert len(result["share"]) == STEPS + 1
    for way, end in (("deletion", 0), ("insertion", -1)):
        assert set(result[way]) == {*ORDERS, "over_random", "over_randomised"}
        curves = [result[way][o]["curve"] for o in ORDERS]
        # Whatever the order, a curve begins and ends with the same two films.
        assert len({round(c[end], 9) for c in curves}) == 1
        for o in ORDERS:
            e = result[way][o]["area"]
            assert e["low"] <= e["value"] <= e["high"]
            assert e["value"] == pytest.approx(area(np.array(result[way][o]["curve"])))
        gain = result[way]["over_random"]
        assert gain["low"] > 0.0
        sign = 1 if way == "deletion" else -1
        difference = result[way]["random"]["area"]["value"] - result[way]["map"]["area"]["value"]
        assert gain["value"] == pytest.approx(sign * difference)
    assert seen[-1] == (24, 24)
    assert map_curve_study(bundle, cohort, called) == result
    assert map_curve_study(bundle, cohort, called, seed=1) != result
    drawn = map_curves(result)
    assert "Insertion: the higher, the better" in drawn
    assert "map of random weights" in drawn


def test_a_map_that_hangs_on_no_weight_does_not_hold(tmp_path: Path) -> None:
    cohort = write(tmp_path / "films")
    result = map_curve_study(tiny_bundle(tmp_path / "tiny", SIZE), cohort, range(len(cohort)))
    assert result["spearman"]["value"] == pytest.approx(1.0)
    assert result["changed"] is False
    assert result["holds"] is False


def test_a_drawn_part_and_films_that_cannot_be_read(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "films")
    called = [i for i in range(len(cohort)) if i % 2]
    some = map_curve_study(bundle, cohort, called, films=5)
    assert (some["n"], some["n_called"]) == (5, 12)
    for i in called[:3]:
        cohort.rows[i].path.write_bytes(b"broken")
    rest = map_curve_study(bundle, cohort, called)
    assert (rest["n"], rest["n_called"], rest["n_left_out"]) == (9, 12, 3)


def test_a_films_curves_hang_on_no_other_film(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "films", n=2)
    alone = map_curve_study(bundle, cohort, [1])["deletion"]
    pair = map_curve_study(bundle, cohort, [1, 3])["deletion"]
    other = map_curve_study(bundle, cohort, [3])["deletion"]
    for o in ("map", "random"):
        both = np.mean([alone[o]["curve"], other[o]["curve"]], axis=0)
        assert pair[o]["curve"] == pytest.approx(both.tolist(), abs=1e-6)


def test_without_films_called_pneumonia_there_is_nothing_to_say(
    tmp_path: Path, bundle: Path
) -> None:
    result = map_curve_study(bundle, write(tmp_path / "films", n=1), [])
    assert result["n"] == result["n_called"] == 0
    assert result["holds"] is False
    assert all(result[w][o] == {"curve": [], "area": None} for w in WAYS for o in ORDERS)


def test_films_of_one_patient_prove_nothing(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "films", n=1)
    assert map_curve_study(bundle, Cohort(cohort.root, (cohort.rows[1],)), [0])["holds"] is False


def test_intervals_of_few_films_stay_where_the_measures_are(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "chest")
    Image.fromarray(np.eye(SIZE, dtype=np.uint8)).save(cohort.paths[20])  # nothing to be found
    study = map_curve_study(bundle, cohort, [14, 20])
    for way in WAYS:
        for e in (study[way][order]["area"] for order in ORDERS):
            assert 0.0 <= e["low"] <= e["value"] <= e["high"] <= 1.0
        gains = (study[way]["over_random"], study[way]["over_randomised"])
        assert all(-1.0 <= e["low"] <= e["high"] <= 1.0 for e in gains)


@pytest.mark.films
def test_the_shipped_map_beats_a_random_order(films_dir: Path) -> None:
    cohort = load_cohort(films_dir / "chest_xray.csv")
    pneumonia = [i for i in range(len(cohort)) if cohort.rows[i].label == 1]
    result = map_curve_study(None, cohort, pneumonia, films=8)
    assert result["changed"] is True
    assert result["deletion"]["over_random"]["value"] > 0.0
