"""The onboarding as a page: everything in the JSON that a head of department decides by.

First what the answer is (may it be used here, with what threshold), then what it rests on, then
what is missing. The page shows no number that the JSON does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstread.clinic.drift import NAMES
from firstread.evaluate import figures
from firstread.evaluate.page import number, picture, render, span
from firstread.film.files import write_atomic
from firstread.read.digits import limits_in_digits

WAYS = {
    "as_shipped": "as shipped",
    "prevalence": "moved for the share of pneumonia",
    "intercept": "intercept fitted",
    "slope": "slope and intercept fitted",
    "isotonic": "slope and intercept fitted, then bent",
}
"""What the ways to calibrate are called on the page."""


def onboard_page(result: Mapping[str, Any]) -> str:
    """The page of an onboarding's result as HTML text."""
    return render(
        "onboard.html",
        {
            "result": result,
            "notices": result.get("notices", ()),
            "ways": WAYS,
            "names": NAMES,
            "digits": limits_in_digits,
            "figures": _figures(result),
        },
    )


def write_drift_page(path: Path, result: Mapping[str, Any]) -> None:
    """Write the page of a comparison with a baseline. Raises `OutputError`."""
    write_atomic(path, render("drift.html", {"result": result, "notices": (), "names": NAMES}))


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    if result["auc"]:
        marks = []
        for name, key in (("shipped", "as_shipped"), ("local", "local")):
            point = result[key]
            if point and point["sensitivity"] and point["specificity"]:
                x, y = 1 - point["specificity"]["value"], point["sensitivity"]["value"]
                marks.append(figures.Mark(name, x, y))
        roc = result["roc"]
        note = f"AUC {number(result['auc'])} ({span(result['auc'])})"
        drawn["roc"] = picture(figures.roc(roc["fpr"], roc["tpr"], marks, note))
    if result["recalibration"]:
        methods, chosen = result["recalibration"]["methods"], result["recalibration"]["chosen"]
        drawn["before"] = _reliability(methods["as_shipped"], "as shipped")
        if chosen != "as_shipped":
            drawn["after"] = _reliability(methods[chosen], WAYS[chosen])
    return drawn


def _reliability(method: Mapping[str, Any], note: str) -> Any:
    bins = method["reliability"]["bins"]
    return picture(
        figures.reliability(
            [
                figures.Bin(b["predicted"], b["observed"], b["low"], b["high"], b["count"])
                for b in bins
            ],
            note,
        )
    )
