"""The report: whole, offline, escaped, and no number that the result does not hold."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from firstread.cohort.synthetic import draw_film
from firstread.errors import OutputError
from firstread.evaluate.report import shortcut_bars, write_report
from firstread.evaluate.result import measure
from firstread.evaluate.score import ReportFilm, Scored

NASTY = '<script>alert("x")</script>&.jpeg'


def est(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "method": "bootstrap"}


def example(**changes):
    """A result as `firstread.evaluate.result` describes it, with one of everything."""
    rates = {
        name: est(0.9, 0.85, 0.94)
        for name in ("sensitivity", "specificity", "accuracy", "precision", "npv", "f1")
    }
    by_class = {"precision": est(0.9, 0.8, 0.95), "recall": est(0.9, 0.8, 0.95)}
    by_class |= {"f1": est(0.9, 0.8, 0.95), "support": 100}
    result = {
        **rates,
        "auc": est(0.96123, 0.94, 0.98),
        "loss": est(0.2, 0.1, 0.3),
        "ece": est(0.03, 0.02, 0.05) | {"by_chance": {"low": 0.01, "high": 0.04}},
        "brier": est(0.05, 0.03, 0.07),
        "balanced_accuracy": est(0.9, 0.85, 0.94),
        "average_precision": est(0.97, 0.95, 0.99),
        "n": 1234,
        "n_refer": 55,
        "n_band": 50,
        "n_rejected": 1,
        "n_normal": 334,
        "n_pneumonia": 900,
        "n_patients": 700,
        "threshold": 0.431,
        "calibration": {"slope": est(None), "intercept": est(0.1, -0.1, 0.3), "how": "Cox"},
        "classes": {
            "no pneumonia": by_class,
            "pneumonia": by_class,
            "macro avg": {"precision": 0.9, "recall": 0.9, "f1": 0.9, "support": 1234},
        },
        "confusion": {
            "labels": ["no pneumonia", "pneumonia"],
            "matrix": [[300, 34], [25, 875]],
            "how": "Counted at the threshold.",
        },
        "thresholds": [
            {"name": name, "value": value, "how": f"rule of {name}", **rates}
            for name, value in (("decision", 0.431), ("0.5", 0.5), ("sensitivity_95", 0.2))
        ],
        "selective": {
            "low": 0.3,
            "high": 0.6,
            "how": "Band from validation.",
            "coverage": est(0.955, 0.94, 0.97),
            "error": est(0.02, 0.01, 0.03),
            "error_all": est(0.048, 0.03, 0.06),
            "sensitivity": est(0.98, 0.97, 0.99),
            "specificity": est(0.97, 0.95, 0.98),
            "n_kept": 1179,
        },
        "prevalence": [
            {"prevalence": 0.05, "given": True, "ppv": est(0.3, 0.2, 0.4), "npv": est(0.99)},
            {"prevalence": 0.5, "given": False, "ppv": est(0.9), "npv": est(0.9)},
        ],
        "groups": {
            "etiology": [
                {
                    "value": "viral",
                    "n": 300,
                    "n_normal": 0,
                    "n_pneumonia": 300,
                    "auc": None,
                    "accuracy": est(0.88, 0.8, 0.9),
                    "sensitivity": est(0.88, 0.8, 0.9),
                    "specificity": None,
                }
            ]
        },
        "roc": {"fpr": [0, 0.1, 1], "tpr": [0, 0.9, 1], "threshold": [None, 0.4, 0.0]},
        "pr": {"recall": [0.5, 1], "precision": [1, 0.7], "threshold": [0.9, 0], "share": 0.7},
        "reliability": {
            "definition": "Fifteen bins.",
            "bins": [
                {"from": 0, "to": 0.1, "predicted": 0.05, "observed": 0.06}
                | {"low": 0.02, "high": 0.1, "count": 300},
                {"from": 0.9, "to": 1, "predicted": 0.97, "observed": 0.96}
                | {"low": 0.94, "high": 0.98, "count": 934},
            ],
        },
        "shortcuts": [
            {
                "name": "aspect ratio",
                "auc": est(0.83, 0.8, 0.86),
                "n": 1234,
                "values": "",
                "note": "w",
            },
            {"name": "file size", "auc": None, "n": 0, "values": "", "note": "all alike"},
        ],
        "rejected": [{"file": NASTY, "label": 0, "reasons": ["not a picture <b>"]}],
        "bundle": {"name": "first", "sha256": "ab", "arch": "mobilenetv2", "size": 192}
        | {"data": {"source": "Guangzhou", "films": 5000, "patients": 2700}},
        "data": {"source": "films", "films": 1234, "patients": 700, "sha256": "cd"},
        "methods": {"intervals": "Patients are drawn."},
        "warnings": ["Only one hospital."],
        "notices": ["Said by the card."],
        "command": "firstread evaluate RUN --data films",
        "date": "2025-01-01",
        "versions": {"firstread": "0.1.0", "numpy": "2"},
        "seed": 0,
    }
    return result | changes


def films():
    rng = np.random.default_rng(0)
    pixels = draw_film(rng, True, 64)
    heat = rng.normal(size=(7, 7)).astype(np.float32)
    return [
        ReportFilm(NASTY, 1, 0.02, "no pneumonia", ("faint",), pixels, heat),
        ReportFilm("b.png", 0, 0.5, "refer", (), pixels, None),
        ReportFilm("c.png", 0, 0.99, "pneumonia"),
        ReportFilm("gone.png", 0, None, "rejected", ("truncated",)),
    ]


class Page(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in {"src", "href", "xlink:href", "action"}]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def html(tmp_path):
    write_report(tmp_path / "r" / "report.html", example(), films())
    return (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_nothing_outside_is_needed(html):
    page = Page(html)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert not re.search(r"https?://|url\((?!#)|@import", html)


def test_names_from_strangers_are_escaped(html):
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "not a picture &lt;b&gt;" in html


def test_what_must_be_said_is_said(html):
    text = " ".join(Page(html).words)
    for words in (
        "Expected calibration error (0.010 to 0.040 if calibrated)",
        "Not a medical device",
        "Said by the card.",
        "Only one hospital.",
        "0.961",
        "0.940 to 0.980",
        "aspect ratio",
        "file size (all alike)",
        "sensitivity 95 %",
        "5.0 % (yours)",
        "decided",
        "Patients are drawn.",
        "firstread evaluate RUN --data films",
        "Guangzhou",
        "truth: pneumonia; decision: no pneumonia",
        "Within etiology",
        "1,234",
    ):
        assert words in text
    assert "Undefined" not in html
    assert "None" not in text.replace("None:", "")


def test_films_are_shown_with_and_without_heat(html):
    page = Page(html)
    assert page.tags.count("img") == 3  # film and heat map; film alone; no picture
    assert "no picture" in " ".join(page.words)
    assert "gone.png" not in html


def test_a_table_in_the_working_folder_has_its_name_on_the_page(tmp_path):
    result = example()
    result["data"] |= {"source": ".", "given": "ours.csv"}
    write_report(tmp_path / "r.html", result, [])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "patients in ours.csv:" in page
    assert "<dd>ours.csv</dd>" in page


def test_what_is_nearly_1_is_not_told_as_1(tmp_path):
    rows = [{"prevalence": 0.01, "given": True, "ppv": est(0.2), "npv": est(0.99972, 0.9991, 1.0)}]
    result = example(auc=est(0.99961, 0.991, 0.99998), accuracy=est(1.0, 0.98, 1.0))
    write_report(tmp_path / "r.html", result | {"prevalence": rows}, [])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<b>0.99961</b><span>0.99100 to 0.99998</span>" in page
    assert "<b>1.000</b><span>0.980 to 1.000</span>" in page
    assert '0.9997<br><span class="range">0.9991 to 1.0000</span>' in page


def test_the_model_stands_beside_the_shortcuts():
    bars = shortcut_bars(example())
    assert [b["name"] for b in bars] == ["the model (first)", "aspect ratio"]
    assert bars[0]["width"] == "92.2"
    assert bars[0]["model"]
    assert not bars[1]["model"]


def test_a_bare_result_still_makes_a_page(tmp_path):
    bare = example(shortcuts=[], rejected=[], groups={}, warnings=[], notices=[], methods={})
    bare = bare | {"selective": None, "sensitivity": est(None), "average_precision": est(None)}
    write_report(tmp_path / "bare.html", bare, [])
    text = (tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "No shortcut could be measured" in text
    assert "every film could be read" in text
    assert "nan" not in " ".join(Page(text).words)


def test_equal_results_give_equal_bytes(tmp_path):
    for name in ("a.html", "b.html"):
        write_report(tmp_path / name, example(), films())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_nothing_is_half_written(tmp_path):
    with pytest.raises(OutputError):
        write_report(tmp_path, example(), [])
    broken = example()
    del broken["auc"]
    with pytest.raises(KeyError):
        write_report(tmp_path / "broken.html", broken, [])
    assert list(tmp_path.iterdir()) == []


def test_a_measured_result_makes_a_page(tmp_path):
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 30).astype(np.int8)
    p = np.clip(0.5 + 0.3 * (labels - 0.5) + 0.2 * rng.normal(size=60), 0.01, 0.99)
    p[7] = np.nan
    calls = ["rejected" if np.isnan(x) else "pneumonia" if x >= 0.5 else "no pneumonia" for x in p]
    scored = Scored(
        files=tuple(f"{i}.png" for i in range(60)),
        labels=labels,
        patients=tuple(f"p{i // 2}" for i in range(60)),
        probabilities=p,
        decisions=tuple(calls),
        reasons=tuple(("torn",) if c == "rejected" else () for c in calls),
        threshold=0.5,
        refer=(0.45, 0.55),
        thresholds={"decision": {"value": 0.5, "how": "by hand"}},
        groups={"series": tuple("ab"[i % 2] for i in range(60))},
        numbers={"bytes": (rng.normal(size=60), "bytes")},
        bundle={"name": "tiny", "arch": "mean", "size": 32},
        data={"source": "drawn", "films": 60, "patients": 30, "sha256": "00"},
    )
    result = measure(scored, prevalence=0.03, draws=200, command="firstread evaluate X")
    write_report(tmp_path / "measured.html", result, [])
    text = " ".join(Page((tmp_path / "measured.html").read_text(encoding="utf-8")).words)
    for words in (
        "3.0 % (yours)",
        "size of the file",
        "torn",
        "Within series",
        "firstread evaluate X",
    ):
        assert words in text


def test_a_threshold_for_a_rare_disease_can_be_read(tmp_path):
    rare = example() | {"threshold": 0.00088}
    write_report(tmp_path / "rare.html", rare, [])
    assert "at a probability of 0.00088 or more" in (tmp_path / "rare.html").read_text()
