"""The pictures: valid, deterministic, self-contained, and calm on odd input."""

import io
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from PIL import Image

from firstread.evaluate import figures

BINS = [figures.Bin(0.1, 0.12, 0.05, 0.2, 40), figures.Bin(0.9, 0.88, 0.8, 0.94, 60)]
TIMED = [
    figures.Timed("32 px", 0.91, 0.89, 0.93, 60.0, 0.4),
    figures.Timed("224 px", 0.97, 0.96, 0.98, 1800.0, 9.0),
]
DRAWN = {
    "roc": lambda: figures.roc(
        [0, 0.1, 1], [0, 0.9, 1], [figures.Mark("threshold 0.42", 0.1, 0.9)], "AUC 0.95"
    ),
    "pr": lambda: figures.precision_recall(
        [1, 0.5, 0], [0.6, 0.9, 1], 0.6, [figures.Mark("t", 0.9, 0.8)]
    ),
    "reliability": lambda: figures.reliability(BINS, "ECE 0.02"),
    "empty reliability": lambda: figures.reliability([]),
    "confusion": lambda: figures.confusion([[90, 10], [5, 95]], ["no", "yes"], ["no", "yes"]),
    "time": lambda: figures.accuracy_against_time(TIMED),
    "selective": lambda: figures.selective([0.1, 1], [0, 0.2], [figures.Mark("band", 0.9, 0.1)]),
    "untimed": lambda: figures.accuracy_against_time(
        [figures.Timed("a", 0.9, 0.8, 1.0, None, None)]
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_svg_is_well_formed_and_points_nowhere(name):
    text = DRAWN[name]()
    assert text.startswith("<svg role=")
    ET.fromstring(text)
    assert "http" not in text
    assert "aria-label" in text


@pytest.mark.parametrize("name", ["roc", "reliability", "confusion"])
def test_equal_numbers_give_equal_bytes(name):
    assert DRAWN[name]() == DRAWN[name]()


def test_text_stays_text_and_is_escaped():
    text = figures.accuracy_against_time([figures.Timed("<b>&", 0.9, 0.8, 1.0, 60.0, 1.0)])
    assert "<b>" not in text
    assert "Training time (minutes)" in text
    assert "DejaVu Sans', Arial" in text


def test_confusion_shows_counts():
    text = DRAWN["confusion"]()
    for count in ("90", "10", "5", "95"):
        assert f">{count}<" in text


def test_curves_is_a_picture():
    rows = [
        {"epoch": e, "train_loss": 0.5 / (e + 1), "val_loss": 0.6 / (e + 1), "val_auc": 0.9}
        for e in range(4)
    ]
    with Image.open(io.BytesIO(figures.curves(rows))) as image:
        assert image.format == "PNG"
        assert np.asarray(image.convert("L")).std() > 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"epoch": "0", "train_loss": "", "val_loss": "nan"}],
        [{"step": 1}, {"epoch": "", "val_accuracy": "0.5"}, {"epoch": "x", "val_accuracy": None}],
    ],
)
def test_curves_survive_gaps(rows):
    assert figures.curves(rows).startswith(b"\x89PNG")


def test_the_only_epoch_is_told_as_one(monkeypatch):
    monkeypatch.setattr(figures, "png", lambda figure: figure)
    drawn = figures.curves([{"epoch": 0.0, "val_loss": 0.6, "val_auc": 0.9}])
    for axes in drawn.axes:
        least, most = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if least <= tick <= most] == [0]


def test_what_a_user_has_set_for_pictures_changes_none_of_ours():
    def drawn():
        rows = [{"epoch": float(i), "loss": 0.6, "val_auc": 0.9} for i in range(2)]
        return figures.curves(rows), figures.confusion([[5, 1], [2, 7]], ["a", "b"], ["a", "b"])

    ours = drawn()
    dark = {"axes.facecolor": "black", "savefig.bbox": "tight", "font.size": 30}
    with matplotlib.rc_context(dark):
        assert drawn() == ours
        assert matplotlib.rcParams["axes.facecolor"] == "black"
