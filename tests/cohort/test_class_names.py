"""A hint to rename a folder never turns the labels over."""

import pytest

from firstread.cohort.class_names import denies, misspelt
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
