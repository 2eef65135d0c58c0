"""What is judged is what was trained on: a squashed copy at its true size, too."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from bundles import tiny_bundle
from firstread.cohort.cache import cached_films
from firstread.cohort.synthetic import write_folder
from firstread.cohort.table import Cohort, load_cohort
from firstread.evaluate.score import score_cohort
from firstread.film.preprocess import Preprocess
from firstread.read.reader import Reader


def table(folder: Path) -> Path:
    """Two films of 64 x 64, stored squashed: their originals were twice as wide as high."""
    lines = ["file,label,original_width,original_height"]
    for i, label in enumerate(("NORMAL", "PNEUMONIA")):
        # Bright at the sides, which a square from the middle of the original leaves out.
        pixels = np.full((64, 64), 60 + 20 * i, np.uint8)
        pixels[:, :16] = pixels[:, 48:] = 220
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{label},128,64")
    (folder / "films.csv").write_text("\n".join(lines) + "\n")
    return folder / "films.csv"


def test_a_squashed_copy_is_judged_as_the_training_saw_it(tmp_path: Path) -> None:
    cohort = load_cohort(table(tmp_path))
    how = Preprocess(32, "centre")
    bundle = tiny_bundle(tmp_path / "b", preprocess=how.to_dict())
    seen = np.asarray(cached_films(cohort, how, tmp_path / "cache").pixels)
    assert seen.max() < 100  # the sides are left out
    reader = Reader(bundle)
    for row, pixels in zip(cohort.rows, seen, strict=True):
        found = reader.read(row)
        assert found.pixels is not None
        assert np.array_equal(found.pixels, pixels)
    mean = seen.mean(axis=(1, 2)) / 255
    assert np.allclose(
        score_cohort(bundle, cohort).probabilities, 1 / (1 + np.exp(-10 * (mean - 0.5)))
    )


def test_a_tables_own_column_comes_before_what_a_name_tells(tmp_path: Path) -> None:
    cohort = load_cohort(write_folder(tmp_path / "films", 4, size=32))
    own = [replace(r, extra={"series": "mine"}) for r in cohort.rows[:2]]
    cohort = Cohort(cohort.root, (*own, *cohort.rows[2:]))
    groups = score_cohort(tiny_bundle(tmp_path / "bundle"), cohort, ["series"]).groups
    assert groups["series"] == ("mine", "mine", *(r.series for r in cohort.rows[2:]))


def test_a_column_is_asked_for_as_its_table_spells_it(tmp_path: Path) -> None:
    path = table(tmp_path)
    path.write_text("file,label,Patient ID,Patient Age\n0.png,0,7,058Y\n1.png,1,8,4\n")
    by = ["Patient ID", "Patient Age", "age"]
    groups = score_cohort(tiny_bundle(tmp_path / "b"), load_cohort(path), by).groups
    assert groups["Patient ID"] == ("7", "8")
    assert groups["Patient Age"] == groups["age"] == ("058Y", "4")
