"""What `firstread onboard` found, and how many films it takes, as a few lines of plain text."""

from __future__ import annotations

from typing import Any


def lines(result: dict[str, Any]) -> list[str]:
    """The onboarding as a few lines of plain text."""
    from firstread.read.digits import limits_in_digits

    out = [
        f"{result['bundle']['name']} on {result['n']} films of {result['n_patients']} patients: "
        f"{result['n_normal']} normal, {result['n_pneumonia']} pneumonia, "
        f"{result['n_rejected']} rejected",
        "",
        *need_lines(result["need"], result["asked"]["interval"]),
    ]
    out += [f"  not given: {w['name']}; {w['why']}" for w in result["withheld"]]
    out += ["", *(f"warning: {w}" for w in result["warnings"])]
    out.append(f"AUC as it is: {_with_interval(result['auc'])}")
    if result["shift"]:
        out.append(f"shift: {result['shift']['says']}")
    if result["recalibration"]:
        c = result["recalibration"]
        gain = c["methods"][c["chosen"]]["gain"]
        out.append(
            f"calibration: {c['chosen'].replace('_', ' ')}; log loss less by {_with_interval(gain)}"
        )
    for name in ("as_shipped", "local"):
        if point := result[name]:
            threshold = limits_in_digits(point["threshold"], least=4)[0]
            out += [
                "",
                f"{name.replace('_', ' ')}, threshold {threshold}, at a share of "
                f"pneumonia of {result['prevalence']:.1%}:",
            ]
            rows = [(k, point[k]) for k in ("sensitivity", "specificity", "refer_rate")]
            for row in point["predictive"]:
                if row["prevalence"] == result["prevalence"]:
                    rows += [("PPV", row["ppv"]), ("NPV", row["npv"])]
            out += [f"  {k.replace('_', ' '):12} {_with_interval(e)}" for k, e in rows]
    return [*out, ""]


def need_lines(wants: list[dict[str, Any]], width: float) -> list[str]:
    """How many films are needed, as a few lines of plain text."""
    out = [f"for 95 % intervals {width:g} wide from low to high:"]
    for w in wants:
        line = f"  {w['name']:15} {w['needed']:>6} patients, {w['of']}"
        if w["have"]:
            line += f"; here {w['have']}: {'enough' if w['enough'] else 'NOT enough'}"
        if w["width_now"] is not None:
            line += f", width with these {w['width_now']:.3f}"
        out.append(line)
    return out


def drift_lines(result: dict[str, Any]) -> list[str]:
    """What a comparison found, a line a number and a rate."""
    from firstread.clinic.drift import NAMES

    out = []
    for name, x in result["numbers"].items():
        said = "much" if x["much"] else "yes" if x["moved"] else "no"
        mean = f"mean {x['mean']:.6g}, was {x['mean_before']:.6g}"
        out.append(f"{NAMES[name]:22}  {mean}; index {x['psi']:.3f}; changed: {said}")
    for name, x in result["rates"].items():
        said = "yes" if x["moved"] else "no"
        out.append(f"{NAMES[name]:22}  {x['value']:.1%}, was {x['before']:.1%}; changed: {said}")
    return out


def _with_interval(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "not given"
    from firstread.evaluate.page import places

    n = places(estimate, 3, 1.0)
    low, high = (("-" if estimate[k] is None else f"{estimate[k]:.{n}f}") for k in ("low", "high"))
    return f"{estimate['value']:.{n}f} ({low} to {high})"
