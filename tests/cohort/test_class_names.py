"""A hint to rename a folder never turns the labels over."""

import pytest

from firstread.cohort.class_names import denies, misspelt, stands_for
from firstread.cohort.table import CLASS_FOLDERS


@pytest.mark.parametrize(
    ("folder", "meant"),
    [
        ("Pnuemonia", "PNEUMONIA"),
        ("PNEUMONIAS", "PNEUMONIA"),
        ("normal", "NORMAL"),
        ("NORMALS", "NORMAL"),
        ("NORMAL_2", "NORMAL"),
        ("Noraml", "NORMAL"),
    ],
)
def test_a_misspelling_is_known(folder: str, meant: str) -> None:
    assert misspelt(folder, CLASS_FOLDERS) == meant


@pytest.mark.parametrize(
    "folder",
    [
        "ABNORMAL",
        "Abnorml",
        "UNNORMAL",
        "NOT_NORMAL",
        "not norml",
        "NO_PNEUMONIA",
        "NON-PNEUMONIA",
        "NOPNEUMONIA",
        "nopnuemonia",
        "PNEUMONIA_NO",
        "pneumonia-neg",
        "2019",
    ],
)
def test_an_opposite_is_no_misspelling(folder: str) -> None:
    assert misspelt(folder, CLASS_FOLDERS) is None


def test_a_word_that_denies_stands_alone() -> None:
    assert denies("pneumonia free")
    assert not denies("NORMAL")


def test_a_class_cut_short_or_with_more_behind_it() -> None:
    for folder in ("pneu", "Pneumonia all", "Pnuemonia"):
        assert stands_for(folder, "PNEUMONIA")
    for folder in ("PNEUMOTHORAX", "PNEUMONIA_NEGATIVE", "NO_PNEUMONIA", "PN"):
        assert not stands_for(folder, "PNEUMONIA")
