"""Has anything changed since the clinic began? A baseline, and later films held against it.

No labels are needed. For each number of a film (the network's logit, how grey, how contrasty, how
black, of what shape and size) the baseline keeps tenths of its distribution; later films are
counted into the same bins, and the population stability index (Siddiqi, "Credit risk scorecards",
2006) sums up how far the shares have moved: below 0.1 little, above 0.25 much. Few films move it
by chance alone: without any change, PSI / (1/n + 1/m) is about chi-squared (Yurdakul, "Statistical
properties of population stability index", 2018), so a number counts as moved only if it is above
0.1 and above what chance exceeds once in a hundred. Shares (referred, rejected, called pneumonia)
are compared by Newcombe's interval of a difference (Statistics in Medicine 17, 1998, method 10),
at 99 % as well: with ten things compared, one time in twenty each would cry wolf too often.

Films of one patient are alike, and moving together they would cry wolf; both sides therefore hold
one film a patient, drawn, as far as patients are known (`clinic.films.one_a_patient`).

A value that many films share (all are 512 px wide) is a bin of its own, so that a change of it
cannot hide among its neighbours.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.clinic.films import Look
from firstread.errors import DataError
from firstread.evaluate.calibration import Floats
from firstread.evaluate.closed_form import wilson
from firstread.evaluate.intervals import finite
from firstread.evaluate.metrics import Bools

FORMAT = 1
TENTHS = np.linspace(0.0, 1.0, 11)
SOME, MUCH = 0.1, 0.25
OFTEN = 0.1
"""Share of films at one and the same value from which on it is a bin of its own."""
Z99 = 2.3263478740408408
"""99 % point of the standard normal distribution."""

Z99_TWO = 2.5758293035489004
"""99.5 % point: of two-sided 99 % intervals."""

LEAST = 20
"""Films below which nothing is compared."""

MOST = sys.float_info.max

RATES = ("referred", "rejected", "called")
NAMES = {
    "logit": "the model's logit",
    "grey": "mean grey",
    "contrast": "contrast of the greys",
    "black": "share of black",
    "aspect": "width to height",
    "area": "size of the picture",
    "bytes": "size of the file",
    "referred": "referred to a person",
    "rejected": "rejected",
    "called": "called pneumonia",
}
"""What the numbers and the rates are called for people."""

HOW = (
    "population stability index over tenths of the baseline (Siddiqi 2006): moved above 0.1, much "
    "above 0.25, and in either case only above what chance exceeds once in a hundred with so many "
    "films (Yurdakul 2018); rates by Newcombe's 99 % interval of a difference (1998)"
)


FIRST_FILMS = (
    "the baseline is of an earlier firstread and holds the first film of each patient, more often "
    "a normal one than the others are; so of these films the first is taken too; onboard anew"
)
"""Said where a baseline does not tell which films of patients it holds."""


def baseline(
    look: Look, cuts: Mapping[str, float], onnx_sha256: str, weights: Floats | None = None
) -> dict[str, Any]:
    """What later films are held against, ready for JSON.

    `cuts`: "threshold", "refer_low", "refer_high" as the network's own logits. `weights` (n,):
    what each film counts, to bring the shares of the classes to those of routine; all 1 if None.
    Fields: "format", "onnx_sha256", "cuts", "n", "n_effective", "how", "numbers" (name to
    {"edges", "shares", "n", "mean", "quantiles"}), "rates" (name to {"value", "low", "high", "n"}).
    """
    w = np.ones(len(look)) if weights is None else np.asarray(weights, dtype=np.float64)
    n = float(w.sum() ** 2 / np.sum(w**2))
    numbers = {}
    for name, values in look.numbers.items():
        has = np.isfinite(values)
        if not has.any():
            continue
        v, u = values[has], w[has]
        quantiles = _quantiles(v, u)
        edges = np.unique(quantiles[1:-1])
        numbers[name] = {
            "edges": [float(e) for e in edges],
            "shares": [float(s) for s in _shares(v, edges, u)],
            "n": float(u.sum() ** 2 / np.sum(u**2)),
            "mean": float(np.average(v, weights=u)),
            "quantiles": [float(q) for q in quantiles],
        }
    rates = {name: _rate(hit, w, n) for name, hit in _decided(look, cuts).items()}
    return {
        "format": FORMAT,
        "onnx_sha256": onnx_sha256,
        "cuts": dict(cuts),
        "n": len(look),
        "n_effective": n,
        "how": HOW,
        "numbers": numbers,
        "rates": rates,
    }


def load_baseline(path: Path) -> dict[str, Any]:
    """The baseline of a file: one of its own, or an onboarding's JSON. Raises `DataError`."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: no baseline ({type(e).__name__}); name an onboard.json") from None
    found = told.get("drift", told) if isinstance(told, dict) else None
    wanted = {"onnx_sha256", "cuts", "numbers", "rates", "n_effective"}
    if not isinstance(found, dict) or not wanted <= set(found) or found.get("format") != FORMAT:
        raise DataError(f"{path}: holds no drift baseline; name the onboard.json of an onboarding")
    if (damage := _damage(found)) is not None:
        raise DataError(
            f"{path}: the drift baseline is damaged ({damage}); name the onboard.json as it was "
            "written, or onboard anew"
        )
    return found


def _damage(base: Mapping[str, Any]) -> str | None:
    """Which field of a baseline cannot be what was written; None where `compare` can use it."""

    def field(table: object, *names: str, of: Callable[[Any], bool]) -> bool:
        return isinstance(table, dict) and all(of(table.get(name)) for name in names)

    if not isinstance(base["onnx_sha256"], str):
        return "onnx_sha256"
    if not field(base, "n_effective", of=_above_0):
        return "n_effective"
    if not field(base["cuts"], "threshold", "refer_low", "refer_high", of=_is_number):
        return "cuts"
    if not field(base["rates"], *RATES, of=lambda rate: field(rate, "value", of=_is_share)):
        return "rates"
    if not isinstance(base["numbers"], dict):
        return "numbers"
    for name, was in base["numbers"].items():
        whole = name in NAMES and field(was, "n", of=_above_0) and field(was, "mean", of=_is_number)
        edges: Any = was.get("edges") if whole else None
        shares: Any = was.get("shares") if whole else None
        if not (
            _are(edges, _is_number)
            and _are(shares, _is_share)
            and all(a < b for a, b in pairwise(edges))
            and len(shares) == 2 * len(edges) + 1
        ):
            return f"numbers: {name}"
    return None


def _are(values: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(values, list) and all(map(of, values))


def _is_number(x: Any) -> bool:
    """Whether `x` is one, and finite; Python reads NaN and integers of any size from JSON."""
    return isinstance(x, int | float) and not isinstance(x, bool) and abs(x) <= MOST


def _above_0(x: Any) -> bool:
    return _is_number(x) and x > 0


def _is_share(x: Any) -> bool:
    return _is_number(x) and 0 <= x <= 1 + 1e-9


def compare(base: Mapping[str, Any], look: Look, onnx_sha256: str) -> dict[str, Any]:
    """Later films against a baseline.

    {"n", "how", "moved": [names], "numbers": {name: {"psi", "chance", "mean", "mean_before", "n",
    "moved", "much"}}, "rates": {name: {"value", "low", "high", "n", "before", "difference":
    {"value", "low", "high", "n"}, "moved"}}}. Raises `DataError` with fewer than `LEAST` films, or
    where the network is another one.
    """
    if base["onnx_sha256"] != onnx_sha256:
        raise DataError(
            "the baseline was made with another network; give --bundle the one it was made with, "
            "or onboard anew"
        )
    if len(look) < LEAST:
        raise DataError(
            f"{len(look)} film{' is' if len(look) == 1 else 's are'} too few to compare, of each "
            f"patient one; give films of {LEAST} patients or more"
        )
    numbers = {}
    for name, was in base["numbers"].items():
        values = look.numbers.get(name, np.empty(0))
        values = values[np.isfinite(values)]
        if len(values) < LEAST:
            continue
        is_now = _shares(values, np.array(was["edges"]), np.ones(len(values)))
        numbers[name] = _moved(np.array(was["shares"]), is_now, float(was["n"]), len(values)) | {
            "mean": float(values.mean()),
            "mean_before": was["mean"],
            "n": len(values),
        }
    rates = {}
    for name, hit in _decided(look, base["cuts"]).items():
        now = _rate(hit, np.ones(len(look)), len(look))
        before = base["rates"][name]
        gap = newcombe(now["value"], len(look), before["value"], base["n_effective"])
        rates[name] = now | {
            "before": before["value"],
            "difference": gap,
            "moved": not gap["low"] <= 0.0 <= gap["high"],
        }
    moved = [k for table in (numbers, rates) for k, row in table.items() if row["moved"]]
    return {"n": len(look), "how": HOW, "moved": moved, "numbers": numbers, "rates": rates}


def newcombe(p1: float, n1: float, p2: float, n2: float) -> dict[str, Any]:
    """p1 - p2 with Newcombe's 99 % interval from two of Wilson's."""
    (l1, u1), (l2, u2) = wilson(p1 * n1, n1, Z99_TWO), wilson(p2 * n2, n2, Z99_TWO)
    gap = p1 - p2
    return {
        "value": gap,
        "low": gap - math.hypot(p1 - l1, u2 - p2),
        "high": gap + math.hypot(u1 - p1, p2 - l2),
        "n": n1,
    }


def chi_squared_99(df: int) -> float:
    """The 99 % point of chi-squared with `df` degrees (Wilson & Hilferty 1931; within 1 %)."""
    a = 2.0 / (9.0 * df)
    return float(df * (1.0 - a + Z99 * math.sqrt(a)) ** 3)


def _decided(look: Look, cuts: Mapping[str, float]) -> dict[str, Bools]:
    z = np.where(look.rejected, -np.inf, look.logit)
    band = (z >= cuts["refer_low"]) & (z <= cuts["refer_high"])
    referred = (band | look.aside) & ~look.rejected
    return {
        "referred": referred,
        "rejected": look.rejected,
        "called": (z >= cuts["threshold"]) & ~referred & ~look.rejected,
    }


def _rate(hit: Bools, w: Floats, n: float) -> dict[str, Any]:
    value = float(np.average(hit, weights=w))
    low, high = wilson(value * n, n)
    return {"value": value, "low": finite(low), "high": finite(high), "n": n}


def _quantiles(values: Floats, weights: Floats) -> Floats:
    """The tenths of `values`, each one of the values themselves."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    at = np.minimum(np.searchsorted(share, TENTHS - 1e-9), len(values) - 1)
    return np.asarray(values[order][at], dtype=np.float64)


def _shares(values: Floats, edges: npt.NDArray[np.float64], weights: Floats) -> Floats:
    """The share of films below, at and above each edge: (2 * edges + 1,)."""
    bins = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    count = np.bincount(bins, weights=weights, minlength=2 * len(edges) + 1)
    return np.asarray(count / weights.sum())


def _moved(was: Floats, now: Floats, n: float, m: int) -> dict[str, Any]:
    # A film just on an edge belongs to the bin below, unless many lie there.
    if len(was) > 1:
        lone = was[1::2] < OFTEN
        was, now = was.copy(), now.copy()
        for shares in (was, now):
            shares[:-1:2] += np.where(lone, shares[1::2], 0.0)
            shares[1::2] = np.where(lone, 0.0, shares[1::2])
    used = (was > 0) | (now > 0)
    # Half a film more in each bin: an empty one would make the index infinite.
    k = int(used.sum())
    a = (was[used] * n + 0.5) / (n + 0.5 * k)
    b = (now[used] * m + 0.5) / (m + 0.5 * k)
    psi = float(np.sum((b - a) * np.log(b / a)))
    chance = chi_squared_99(k - 1) * (1.0 / n + 1.0 / m) if k > 1 else 0.0
    moved = psi > max(SOME, chance)
    return {"psi": psi, "chance": chance, "moved": moved, "much": moved and psi > MUCH}
