"""The studies of `firstread evaluate` as plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def study_lines(result: Mapping[str, Any]) -> list[str]:
    """The studies of a result as plain text; nothing where none was made."""
    lines: list[str] = []
    if study := result.get("corruptions"):
        lines += [
            "",
            f"corrupted films: balanced error {_with_interval(study['mean_balanced_error'])}, "
            f"clean {_number(study['clean'])}",
            f"  {'strength':18}" + "".join(f"  {k:>6}" for k in (1, 2, 3, 4, 5)) + "    mean",
        ]
        for family in study["families"]:
            errors = "".join(f"  {e:6.3f}" for e in family["balanced_error"])
            lines.append(f"  {family['name']:18}{errors}  {_number(family['mean'])}")
    for study in result.get("occlusion", ()):
        area, left = study.get("area_auc"), study.get("distance_left")
        lines += [
            "",
            f"{study['how']} painted over: AUC {_with_interval(study['auc'])}, "
            f"untouched {_number(study['auc_clean'])}"
            + (f", of the painted area alone {_number(area)}" if area else "")
            + (f"; distance of the classes {_number(left)} of what it was" if left else "")
            + f" ({_films(study)})",
        ]
    if study := result.get("heat_energy"):
        random = study["randomised"]
        lines += [
            "",
            f"heat inside the lungs: {_number(study['inside'])} on {_number(study['area'])} of the "
            f"film, lift {_with_interval(study['lift'])} ({_films(study)})",
            f"  with random weights: lift {_number(random['lift'])}, "
            f"correlation {_number(random['correlation'])}; the map " + _changes(random),
        ]
    if study := result.get("map_curves"):
        lines += ["", *_curve_lines(study)]
    if study := result.get("recalibration"):
        from firstread.evaluate.recalibrate import lines as recalibration_lines

        lines += ["", *recalibration_lines(study)]
    return lines


def _changes(random: Mapping[str, Any]) -> str:
    if random["correlation"] is None:
        return "shows nothing to compare"
    return "changes" if random["changed"] else "does NOT change"


def _curve_lines(study: Mapping[str, Any]) -> list[str]:
    if not study["n"]:
        return ["map curves: no film was called pneumonia, so there is no map to judge"]
    lines = [f"map curves ({_films(study)}), area of map, random order, random weights:"]
    for way in ("deletion", "insertion"):
        areas = ", ".join(_number(study[way][o]["area"]) for o in ("map", "random", "randomised"))
        lines.append(
            f"  {way:9} {areas}; better by {_with_interval(study[way]['over_random'])} and "
            f"{_with_interval(study[way]['over_randomised'])}"
        )
    verdict = "holds" if study["holds"] else "does NOT hold"
    spearman = _with_interval(study["spearman"])
    return [*lines, f"  rank correlation with random weights {spearman}; the map {verdict}"]


def _films(study: Mapping[str, Any]) -> str:
    left_out = f", {study['n_left_out']} left out" if study["n_left_out"] else ""
    return f"{study['n']} films{left_out}"


def _number(x: Any) -> str:
    from firstread.evaluate.page import number

    return number(x)


def _with_interval(x: Any) -> str:
    from firstread.evaluate.page import span

    return f"{_number(x)} ({span(x)})" if span(x) else _number(x)
