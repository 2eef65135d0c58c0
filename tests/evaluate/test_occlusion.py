"""The tiny bundle's logit is a film's mean grey, so what a painted film scores is known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundles import tiny_bundle
from firstread.cohort.table import Cohort, load_cohort
from firstread.errors import DataError, NoFilms
from firstread.evaluate.occlusion import Way, box_mask, occlusion_study, painted, silhouette

SIZE = 32


def film(path: Path, lungs: int, border: int) -> None:
    grey = np.full((SIZE, SIZE), border, np.uint8)
    grey[box_mask(SIZE)] = lungs
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)


def write(root: Path, lungs: tuple[int, int], border: tuple[int, int], n: int = 6) -> Cohort:
    """Films whose greys within and around the box depend on the class (normal, pneumonia)."""
    for label, name in enumerate(("NORMAL/IM-{:04d}-0001.png", "PNEUMONIA/person{}_virus_1.png")):
        for i in range(n):
            film(root / name.format(i + 1), lungs[label] + i, border[label] + i)
    return load_cohort(root)


def mirror(cohort: Cohort, folder: Path, widths: tuple[int, int]) -> Path:
    for row in cohort.rows:
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[8:24, 8 : 8 + widths[row.label or 0]] = 255
        path = folder / Path(row.file).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "bundle", SIZE)


def test_the_box_is_that_of_the_protocol() -> None:
    box = box_mask(224)
    assert box[18:200, 27:198].all()
    assert box.sum() == (199 - 18 + 1) * (197 - 27 + 1)
    assert box_mask(112).sum() == pytest.approx(box.sum() / 4, rel=0.02)


def test_painting_takes_the_mean_of_the_whole_film_and_leaves_the_film() -> None:
    grey = np.zeros((4, 4), np.uint8)
    grey[:, :1] = 200
    before = grey.copy()
    area = np.zeros((4, 4), bool)
    area[:, 2:] = True
    out = painted(grey, area)
    assert (out[:, 2:] == 50).all()
    assert (out[:, :2] == grey[:, :2]).all()
    assert (grey == before).all()


def test_the_silhouette_is_8_of_224_pixels_wider() -> None:
    mask = np.zeros((224, 224), bool)
    mask[100:120, 100:120] = True
    assert silhouette(mask).sum() == 36**2
    small = np.zeros((28, 28), bool)
    small[10:12, 10:12] = True
    assert silhouette(small).sum() == 4**2


def test_a_shortcut_at_the_border_is_found_out(tmp_path: Path, bundle: Path) -> None:
    """Lungs and border speak against each other: painted, only the border is left."""
    cohort = write(tmp_path / "films", lungs=(50, 60), border=(40, 150))
    seen: list[tuple[int, int]] = []
    result = occlusion_study(bundle, cohort, "box", progress=lambda *a: seen.append(a))
    assert set(result) == {
        *("how", "n", "n_left_out", "auc", "auc_clean", "distance_left", "area_auc", "rule")
    }
    assert (result["how"], result["n"], result["n_left_out"]) == ("box", 12, 0)
    assert result["auc_clean"]["value"] == result["auc"]["value"] == 1.0
    assert result["area_auc"] is None
    assert seen[-1] == (12, 12)
    assert "rows 3 to 28" in result["rule"]


def test_the_box_hides_the_lungs(tmp_path: Path) -> None:
    """With the lungs hidden, a network that looks only at the middle has nothing to go by."""
    films = tmp_path / "films"
    cohort = write(films, lungs=(60, 160), border=(100, 100))
    middle = _middle_bundle(tmp_path / "middle")
    # The film's mean grey is what fills the box, so its level is still told; take that away.
    for i, row in enumerate(cohort.rows):
        lungs, total = (60 if row.label == 0 else 160) + i % 6, 110
        share = box_mask(SIZE).mean()
        film(row.path, lungs, round((total - share * lungs) / (1 - share)) % 256)
    result = occlusion_study(middle, load_cohort(films), "box")
    assert result["auc_clean"]["value"] == 1.0
    assert 0.1 < result["auc"]["value"] < 0.9


def _middle_bundle(folder: Path) -> Path:
    """A bundle whose logit is the mean grey of the middle alone."""
    import onnx
    from onnx import helper as h

    from bundles import tiny_card, tiny_onnx
    from firstread.read.bundle import write_bundle

    model = onnx.load_from_string(tiny_onnx(SIZE))
    window = box_mask(SIZE).astype(np.float32)
    window *= window.size / window.sum()
    model.graph.initializer.append(
        h.make_tensor("window", onnx.TensorProto.FLOAT, [1, SIZE, SIZE], window.ravel())
    )
    model.graph.node[1].output[0] = "whole"
    model.graph.node.insert(2, h.make_node("Mul", ["whole", "window"], ["unit"]))
    return write_bundle(folder, model.SerializeToString(), tiny_card(SIZE)).path


def test_how_far_the_classes_still_lie_apart(tmp_path: Path, bundle: Path) -> None:
    """The tiny model's logit is linear in the mean grey: painting with it takes nothing away
    where all is of one grey, and what is left where only the lungs differ can be reckoned."""
    even = write(tmp_path / "even", (60, 120), (60, 120))
    assert occlusion_study(bundle, even, "box")["distance_left"]["value"] == pytest.approx(1)
    inside = occlusion_study(bundle, write(tmp_path / "in", (60, 120), (90, 90)), "box")
    share = box_mask(SIZE).mean()  # the lungs move the mean by it, and the mean is the paint
    assert inside["distance_left"]["value"] == pytest.approx(share, abs=0.02)
    alike = occlusion_study(bundle, write(tmp_path / "alike", (90, 90), (90, 90)), "box")
    assert alike["distance_left"] is None  # of nothing there is no share
    assert inside["auc"]["value"] == pytest.approx(inside["auc_clean"]["value"], abs=0.1)


def test_the_area_alone_gives_the_label_away_in_either_direction(
    tmp_path: Path, bundle: Path
) -> None:
    cohort = write(tmp_path / "films", lungs=(50, 60), border=(40, 150))
    for name, widths in (("more", (6, 12)), ("less", (12, 6))):
        masks = mirror(cohort, tmp_path / name, widths)
        result = occlusion_study(bundle, cohort, "silhouette", masks)
        assert result["area_auc"]["value"] == 1.0
    same = mirror(cohort, tmp_path / "same", (9, 9))
    assert occlusion_study(bundle, cohort, "silhouette", same)["area_auc"] is None


def test_films_without_a_mask_or_unreadable_are_left_out_and_counted(
    tmp_path: Path, bundle: Path
) -> None:
    cohort = write(tmp_path / "films", lungs=(50, 60), border=(40, 150))
    masks = mirror(cohort, tmp_path / "masks", (6, 12))
    (masks / Path(cohort.rows[0].file).with_suffix(".png")).unlink()
    empty = masks / Path(cohort.rows[1].file).with_suffix(".png")
    Image.fromarray(np.zeros((SIZE, SIZE), np.uint8)).save(empty)
    cohort.rows[2].path.write_bytes(b"broken")
    result = occlusion_study(bundle, cohort, "silhouette", masks)
    assert (result["n"], result["n_left_out"]) == (9, 3)
    assert occlusion_study(bundle, cohort, "box")["n_left_out"] == 1


def test_the_same_seed_gives_the_same_result(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "films", lungs=(90, 92), border=(60, 61))
    first = occlusion_study(bundle, cohort, "box", seed=3)
    assert 0.5 < first["auc"]["value"] < 1.0
    assert first["auc"]["low"] < first["auc"]["value"] < first["auc"]["high"]
    assert occlusion_study(bundle, cohort, "box", seed=3) == first


def test_what_cannot_be_judged_says_why(tmp_path: Path, bundle: Path) -> None:
    cohort = write(tmp_path / "films", lungs=(50, 60), border=(40, 150), n=2)
    with pytest.raises(DataError, match="box or silhouette"):
        occlusion_study(bundle, cohort, "circle")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="lung masks"):
        occlusion_study(bundle, cohort, "silhouette")
    for row in cohort.rows:
        row.path.write_bytes(b"broken")
    with pytest.raises(NoFilms, match="no film could be read"):
        occlusion_study(bundle, cohort, "box")
    unlabelled = load_cohort(tmp_path / "films/NORMAL", need_labels=False)
    with pytest.raises(DataError, match="no label"):
        occlusion_study(bundle, unlabelled, "box")


@pytest.mark.parametrize("how", ["box", "silhouette"])
def test_a_model_of_the_middle_is_refused(tmp_path: Path, how: Way) -> None:
    cohort = write(tmp_path / "films", lungs=(50, 60), border=(40, 150))
    masks = mirror(cohort, tmp_path / "masks", (8, 12))
    middle = tiny_bundle(tmp_path / "middle", SIZE, preprocess={"size": SIZE, "frame": "centre"})
    with pytest.raises(DataError, match='frame is "centre"'):
        occlusion_study(middle, cohort, how, masks)
