from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import tiny_bundle, tiny_card
from conv_graph import conv_onnx
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import DataError, NoFilms
from firstread.evaluate.alike import alike, pearson, spearman
from firstread.evaluate.heat import SIDE, energy_inside, heat_energy_study
from firstread.evaluate.occlusion import occlusion_study
from firstread.read.bundle import write_bundle

SIZE = 32
KEYS = {
    "n", "n_left_out", "n_no_heat", "n_pneumonia", "lift", "lift_pneumonia", "inside", "area",
    "randomised", "rule",
}  # fmt: skip


def test_energy_of_known_maps() -> None:
    left = np.zeros((SIDE, SIDE), bool)
    left[:, : SIDE // 2] = True
    flat = np.ones((7, 7), np.float32)
    assert energy_inside(flat, left) == pytest.approx(0.5)
    corner = np.zeros((8, 8), np.float32)
    corner[0, 0] = 3.0
    assert energy_inside(corner, left) == pytest.approx(1.0)
    assert energy_inside(corner, ~left) == pytest.approx(0.0)
    half = np.zeros((8, 8), np.float32)
    half[:, :4] = 1.0
    half[:, 4:] = -5.0  # what speaks against pneumonia is no energy
    assert energy_inside(half, left) > 0.95
    assert energy_inside(1e-30 * half, left) == pytest.approx(energy_inside(half, left), rel=1e-5)


def test_a_map_with_nothing_positive_has_no_share() -> None:
    mask = np.ones((8, 8), bool)
    for heat in (np.zeros((4, 4)), -np.ones((4, 4)), np.full((4, 4), np.nan)):
        assert np.isnan(energy_inside(heat.astype(np.float32), mask))


def test_correlations_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 7))
    assert pearson(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert spearman(a, np.exp(a)) == pytest.approx(1.0)
    assert spearman(a, -a) == pytest.approx(-1.0)
    assert pearson(a, np.ones((7, 7))) == 0.0


def test_a_map_without_heat_or_relief_is_compared_with_nothing() -> None:
    rng = np.random.default_rng(0)
    good, other = rng.normal(size=(2, 7, 7)).astype(np.float32)
    flat = np.full((7, 7), 0.1, np.float32)
    for heat in (0 * flat, flat, -np.abs(good)):
        assert np.isnan(alike(heat, [other], pearson))
    assert np.isnan(alike(good, [flat], pearson))
    assert alike(good, [flat, -good], pearson) == pytest.approx(1.0)


def write(root: Path, n: int = 5) -> tuple[Cohort, Path]:
    """Films with a bright square in a place of their own, and masks of that square."""
    rng = np.random.default_rng(1)
    names = ("NORMAL/IM-{:04d}-0001.png", "PNEUMONIA/person{}_virus_1.png")
    for label, name in enumerate(names):
        for i in range(n):
            row, column = 8 * rng.integers(0, 3, 2)
            grey = rng.integers(0, 60, (SIZE, SIZE)).astype(np.uint8)
            mask = np.zeros((SIZE, SIZE), np.uint8)
            grey[row : row + 16, column : column + 16] = 200 + 40 * label
            mask[row : row + 16, column : column + 16] = 255
            for base, pixels in (("films", grey), ("masks", mask)):
                path = root / base / name.format(i + 1)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return load_cohort(root / "films"), root / "masks"


def test_heat_on_the_lungs_is_a_lift_and_random_weights_change_the_map(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path)
    bundle = write_bundle(tmp_path / "conv", conv_onnx(SIZE), tiny_card(SIZE)).path
    seen: list[tuple[int, int]] = []
    result = heat_energy_study(bundle, cohort, masks, progress=lambda *a: seen.append(a))
    assert set(result) == KEYS
    assert (result["n"], result["n_left_out"], result["n_no_heat"]) == (10, 0, 0)
    assert result["area"]["value"] == pytest.approx(0.25, abs=0.01)
    assert result["lift"]["value"] > 2.0
    assert result["lift"]["low"] <= result["lift"]["value"] <= result["lift"]["high"]
    assert result["inside"]["value"] == pytest.approx(result["lift"]["value"] / 4, abs=0.02)
    assert result["n_pneumonia"] == 10
    assert result["lift_pneumonia"] == result["lift"]
    assert result["randomised"]["weights"] == 3
    assert result["randomised"]["lift"]["value"] < result["lift"]["value"]
    assert seen[-1] == (10, 10)
    assert heat_energy_study(bundle, cohort, masks) == result
    assert heat_energy_study(bundle, cohort, masks, seed=1) != result


def test_a_map_that_hangs_on_no_weight_is_found_out(tmp_path: Path) -> None:
    """The tiny bundle has no weights, so its map stays the same: the check must fail."""
    cohort, masks = write(tmp_path)
    result = heat_energy_study(tiny_bundle(tmp_path / "tiny", SIZE), cohort, masks)
    after = result["randomised"]
    assert after["weights"] == 0
    assert after["correlation"]["value"] == pytest.approx(1.0)
    assert after["spearman"]["value"] == pytest.approx(1.0)
    assert after["changed"] is False


def test_films_without_a_mask_are_left_out_and_without_heat_counted(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path)
    bundle = tiny_bundle(tmp_path / "tiny", SIZE)
    (masks / cohort.rows[0].file).unlink()
    cohort.rows[1].path.write_bytes(b"broken")
    Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(masks / cohort.rows[2].file)
    dark = np.full((SIZE, SIZE), 20, np.uint8)
    Image.fromarray(dark).save(cohort.rows[3].path)
    result = heat_energy_study(bundle, cohort, masks)
    assert (result["n"], result["n_left_out"], result["n_no_heat"]) == (7, 3, 1)
    for row in cohort.rows[3:]:
        Image.fromarray(dark).save(row.path)
    nothing = heat_energy_study(bundle, cohort, masks)
    assert nothing["lift"] is None
    assert nothing["lift_pneumonia"] is None
    assert nothing["n_no_heat"] == nothing["n"] == 7
    assert nothing["randomised"]["correlation"] is None
    assert nothing["randomised"]["changed"] is False


def test_films_of_one_patient_give_no_interval_and_prove_nothing(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path)
    one = Cohort(cohort.root, (cohort.rows[0],))
    bundle = write_bundle(tmp_path / "conv", conv_onnx(SIZE), tiny_card(SIZE)).path
    assert heat_energy_study(bundle, one, masks)["randomised"]["changed"] is False


def test_a_broken_mask_is_left_out(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path)
    (masks / cohort.rows[0].file).write_bytes(b"broken")
    bundle = tiny_bundle(tmp_path / "tiny", SIZE)
    result = heat_energy_study(bundle, cohort, masks)
    assert (result["n"], result["n_left_out"]) == (9, 1)
    hidden = occlusion_study(bundle, cohort, "silhouette", masks)
    assert (hidden["n"], hidden["n_left_out"]) == (9, 1)


def test_without_masks_or_films_there_is_nothing_to_say(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path, n=1)
    bundle = tiny_bundle(tmp_path / "tiny", SIZE)
    with pytest.raises(DataError, match="--masks"):
        heat_energy_study(bundle, cohort)
    for row in cohort.rows:
        row.path.write_bytes(b"broken")
    with pytest.raises(NoFilms, match="could be read"):
        heat_energy_study(bundle, cohort, masks)


@pytest.mark.films
def test_the_shipped_map_hangs_on_its_weights(films_dir: Path) -> None:
    cohort = load_cohort(films_dir / "chest_xray.csv")
    some = cohort.subset(range(0, len(cohort), len(cohort) // 5))
    result = heat_energy_study(None, some)
    assert result["randomised"]["changed"] is True
    assert 0.1 < result["area"]["value"] < 0.4
    assert result["lift"]["value"] > 0.5


def test_a_model_of_the_middle_is_refused(tmp_path: Path) -> None:
    cohort, masks = write(tmp_path / "films")
    middle = tiny_bundle(tmp_path / "middle", SIZE, preprocess={"size": SIZE, "frame": "centre"})
    with pytest.raises(DataError, match='frame is "centre"'):
        heat_energy_study(middle, cohort, masks)
