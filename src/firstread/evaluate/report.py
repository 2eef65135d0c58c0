"""The evaluation report: everything in the JSON, for eyes, in one HTML file.

The page shows no number that the JSON does not hold: it is `firstread.evaluate.result`'s
dictionary set in type, with its curves drawn and the worst films shown. What would flatter
stands beside what would not: the shortcuts next to the model, the intervals under the
numbers, the mistakes in pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstread.evaluate import figures
from firstread.evaluate.curve_figure import map_curves
from firstread.evaluate.page import number, picture, places, span, value_of, write_page
from firstread.read.card import LABELS
from firstread.read.overlay import data_uri, film_png, overlay_png

if TYPE_CHECKING:
    from firstread.evaluate.score import ReportFilm

THRESHOLDS = {
    "decision": "in use",
    "best": "best on validation",
    "sensitivity_95": "sensitivity 95 %",
    "sensitivity_98": "sensitivity 98 %",
    "rule_out": "rule out",
    "rule_in": "rule in",
}
"""What the card's names of thresholds are called on the page."""


def write_report(path: Path, result: Mapping[str, Any], films: Sequence[ReportFilm]) -> None:
    """Write the report of an evaluation as one HTML file that opens offline.

    `result`: the dictionary of `firstread.evaluate.result`; `films`: the worst films, worst
    first. Raises `OutputError`, leaving nothing half written.
    """
    context = {
        "result": result,
        "notices": result.get("notices", ()),
        "labels": LABELS,
        "threshold_names": THRESHOLDS,
        "bars": shortcut_bars(result),
        "silent": [
            (SHORTCUTS.get(s["name"], s["name"]), s.get("note") or "not measured")
            for s in result.get("shortcuts", ())
            if not s.get("auc")
        ],
        "figures": _figures(result),
        "quality": _quality(result),
        "facts": _facts(result),
        "wrong": result["confusion"]["matrix"][0][1] + result["confusion"]["matrix"][1][0],
        "films": [_film(film) for film in films if film.decision != "rejected"],
    }
    write_page(path, "report.html", context)


SHORTCUTS = {
    "aspect": "width to height",
    "area": "size of the picture",
    "bytes": "size of the file",
    "colour": "stored in colour",
    "sharpness": "fine detail of the picture",
}
"""What the shortcuts of the JSON are called on the page."""


def shortcut_bars(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model and the shortcuts as bars: name, auc (an estimate), width in per cent, note.

    Widths run from AUC 0.5 to 1. Empty where no shortcut has an AUC.
    """
    others = [s for s in result.get("shortcuts", ()) if s.get("auc")]
    if not others:
        return []
    model = {"name": f"the model ({result['bundle']['name']})", "auc": result["auc"]}
    bars = []
    for entry in (model, *others):
        area = entry["auc"]["value"]
        width = 0.0 if area is None else 200.0 * max(0.0, min(1.0, area) - 0.5)
        bars.append(
            {
                "name": SHORTCUTS.get(entry["name"], entry["name"]),
                "auc": entry["auc"],
                "width": f"{width:.1f}",
                "note": entry.get("note") or "",
                "model": entry is model,
            }
        )
    return bars


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    threshold = f"threshold {number(result['threshold'], 2)}"
    sensitivity, specificity = value_of(result["sensitivity"]), value_of(result["specificity"])
    precision = value_of(result["precision"])
    roc, pr, bins = result["roc"], result["pr"], result["reliability"]["bins"]
    labels = result["confusion"]["labels"]
    band = result.get("selective") or {}
    drawn = {}
    if band.get("curve"):
        kept, wrong = value_of(band["coverage"]), value_of(band["error"])
        drawn["selective"] = picture(
            figures.selective(
                band["curve"]["coverage"],
                band["curve"]["error"],
                _mark("decided", kept, wrong),
            )
        )
    if (result.get("map_curves") or {}).get("n"):
        drawn["map_curves"] = picture(map_curves(result["map_curves"]))
    return drawn | {
        "roc": picture(
            figures.roc(
                roc["fpr"],
                roc["tpr"],
                _mark(threshold, 1.0 - specificity, sensitivity),
                _said("AUC", result["auc"]),
            )
        ),
        "pr": picture(
            figures.precision_recall(
                pr["recall"],
                pr["precision"],
                float(pr["share"]),
                _mark(threshold, sensitivity, precision),
                _said("area", result.get("average_precision")),
            )
        ),
        "reliability": picture(
            figures.reliability(
                [
                    figures.Bin(b["predicted"], b["observed"], b["low"], b["high"], b["count"])
                    for b in bins
                ],
                _said("ECE", result["ece"]),
            )
        ),
        "confusion": picture(figures.confusion(result["confusion"]["matrix"], labels, labels)),
    }


def _mark(name: str, x: float, y: float) -> list[figures.Mark]:
    """The operating point, unless a class is missing and there is none."""
    return [figures.Mark(name, x, y)] if math.isfinite(x + y) else []


def _said(name: str, estimate: Any) -> str:
    digits = places(estimate, 3, 1)
    interval = span(estimate, digits)
    return f"{name} {number(estimate, digits)}" + (f" ({interval})" if interval else "")


def _quality(result: Mapping[str, Any]) -> list[tuple[str, Any]]:
    line = result.get("calibration") or {}
    rows = [
        ("AUC", result["auc"]),
        ("Average precision", result.get("average_precision")),
        ("Balanced accuracy", result.get("balanced_accuracy")),
        ("Log loss", result["loss"]),
        ("Brier score", result["brier"]),
        (f"Expected calibration error{_by_chance(result['ece'])}", result["ece"]),
        ("Calibration slope (1 is right)", line.get("slope")),
        ("Calibration intercept (0 is right)", line.get("intercept")),
    ]
    return [(name, estimate) for name, estimate in rows if estimate is not None]


def _by_chance(ece: Mapping[str, Any]) -> str:
    chance = span(ece.get("by_chance"))
    return f" ({chance} if calibrated)" if chance else ""


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the films and the model were, as pairs of name and text."""
    data, bundle = result["data"], result["bundle"]
    learned = bundle.get("data") or {}
    facts = [
        ("Films", data.get("given", data.get("source"))),
        ("Hash of the films", data.get("sha256")),
        ("Model", f"{bundle.get('name')}, {bundle.get('arch')}, {bundle.get('size')} px"),
        ("Made", bundle.get("created")),
        ("Hash of the bundle", bundle.get("sha256")),
        ("Trained on", learned.get("source")),
        ("Training films", learned.get("films")),
        ("Training patients", learned.get("patients")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _film(film: ReportFilm) -> dict[str, Any]:
    plain = overlay = None
    if film.pixels is not None:
        plain = data_uri(film_png(film.pixels))
        if film.heat is not None:
            overlay = data_uri(overlay_png(film.pixels, film.heat))
    return {
        "file": film.file,
        "truth": LABELS[film.label],
        "decision": film.decision,
        "probability": film.probability,
        "reasons": film.reasons,
        "plain": plain,
        "overlay": overlay,
    }
