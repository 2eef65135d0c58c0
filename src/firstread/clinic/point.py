"""A clinic's operating point, and what a threshold and a refer band do to its films.

`operating` says it of one set of decisions, the same for the bundle as shipped and for the local
one, so that they can stand side by side. A rejected film is a wrong answer in sensitivity and
specificity, as everywhere; in the tally of 1,000 films it is counted by itself.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from firstread.clinic import calibrate
from firstread.clinic.calibrate import Films
from firstread.clinic.need import LEAST_CLASS
from firstread.evaluate.calibration import Platt, sigmoid, to_logit
from firstread.evaluate.cuts import MARGIN
from firstread.evaluate.intervals import Estimate, Sampler, mix
from firstread.evaluate.metrics import Bools
from firstread.evaluate.operating import OperatingPoint, sensitivity_name
from firstread.evaluate.tables import prevalences
from firstread.read.card import Threshold

SURE = 0.95
"""How sure the tolerance bound is."""

Told = dict[str, Any]


def told(estimate: Estimate | Told, n: int) -> Told:
    """An estimate for the JSON: {"value", "low", "high", "method", ..., "n"}."""
    plain = estimate.to_json() if isinstance(estimate, Estimate) else dict(estimate)
    return plain | {"n": n}


def operating(
    sampler: Sampler,
    truth: Bools,
    calls: Bools,
    referred: Bools,
    rejected: Bools,
    prevalence: float,
    enough: tuple[bool, bool],
) -> Told:
    """What decisions come to, of n films (all arrays (n,)).

    `calls`: pneumonia or not, at the threshold alone, rejected films called wrongly; `referred`:
    to a person. `prevalence`: the clinic's; `enough`: whether there are enough films without and
    with pneumonia: what rests on a class with too few is None.

    {"sensitivity", "specificity", "refer_rate", "decided": {"sensitivity", "specificity"},
    "predictive": [{"prevalence", "given", "ppv", "npv"}], "per_1000": {"pneumonia": {"called",
    "referred", "missed", "rejected"}, "no pneumonia": {"called", "referred", "cleared",
    "rejected"}}}: estimates, per_1000 in films at the clinic's prevalence.
    """
    n0, n1 = int((~truth).sum()), int(truth.sum())
    ill, well = enough[1], enough[0]
    both = ill and well
    kept = ~referred & ~rejected
    n_kept = int(kept.sum())
    predictive = prevalences(sampler, truth, calls, prevalence) if both else []
    for row in predictive:
        row |= {name: told(row[name], len(truth)) for name in ("ppv", "npv")}
    return {
        "sensitivity": told(sampler.proportion(calls, truth), n1) if ill else None,
        "specificity": told(sampler.proportion(~calls, ~truth), n0) if well else None,
        "refer_rate": told(_at(sampler, referred, truth, prevalence), n0 + n1) if both else None,
        "decided": {
            "sensitivity": _share(sampler, calls, truth & kept),
            "specificity": _share(sampler, ~calls, ~truth & kept),
            "n": n_kept,
        },
        "predictive": predictive,
        "per_1000": {
            "pneumonia": _tally(sampler, truth, prevalence, calls, referred, rejected, "missed"),
            "no pneumonia": _tally(
                sampler, ~truth, 1 - prevalence, calls, referred, rejected, "cleared"
            ),
        }
        if both
        else None,
    }


def _share(sampler: Sampler, hit: Bools, among: Bools) -> Told | None:
    n = int(among.sum())
    return told(sampler.proportion(hit, among), n) if n >= LEAST_CLASS else None


def _at(sampler: Sampler, hit: Bools, truth: Bools, prevalence: float) -> Estimate:
    """The share of `hit` where a share `prevalence` of films has pneumonia."""

    return mix(sampler.proportion(hit, truth), sampler.proportion(hit, ~truth), prevalence)


def _tally(
    sampler: Sampler,
    of: Bools,
    share: float,
    calls: Bools,
    referred: Bools,
    rejected: Bools,
    other: str,
) -> Told:
    kept, films = ~referred & ~rejected, 1000.0 * share
    out = {}
    for name, hit in (
        ("called", calls & kept),
        ("referred", referred),
        (other, ~calls & kept),
        ("rejected", rejected),
    ):
        e = sampler.proportion(hit, of)
        scaled = Estimate(films * e.value, films * e.low, films * e.high, e.method)
        out[name] = told(scaled, int(of.sum()))
    return out


def local_point(
    films: Films,
    method: str,
    shipped: Platt,
    sensitivity: float,
    prevalence: float | None,
    base: str,
) -> OperatingPoint:
    """Calibration, thresholds and band of the local bundle, on all films that were read.

    `method`: of `calibrate`. `prevalence`: the share at which the probabilities shall be true, None
    for that of `films`. `base`: the name of the bundle that `shipped` is of.
    """
    share = float(films.truth.mean())
    true_at = share if prevalence is None else prevalence
    n0, n1 = int((~films.truth).sum()), int(films.truth.sum())
    on = f"the clinic's {n0 + n1} films"
    how = (
        f"{calibrate.HOW[method]} on top of {base}'s, on {on} ({n0} normal, {n1} pneumonia); "
        "the way with the lowest log loss on films it was not fitted on; true at a share of "
        f"pneumonia of {true_at:.3f}"
    )
    if true_at != share:
        how += f", that of the films ({share:.3f}) moved by the intercept"
    on_top = calibrate.fit(method, films).moved(float(to_logit(true_at) - to_logit(share)))
    point = calibrate.point_on(films, on_top, sensitivity, on)
    thresholds = dict(point.thresholds)
    if sure := sure_threshold(films, on_top, sensitivity):
        thresholds[sensitivity_name(sensitivity) + "_sure"] = sure
    whole = dataclasses.replace(shipped.then(on_top), how=how, prevalence=true_at)
    return dataclasses.replace(point, calibration=whole, thresholds=thresholds)


def sure_threshold(films: Films, platt: Platt, sensitivity: float) -> Threshold | None:
    """The highest threshold that reaches `sensitivity` with a confidence of `SURE`.

    A one-sided tolerance bound from order statistics, whatever the distribution (Wilks, Annals of
    Mathematical Statistics 12, 1941). One film a patient counts, the one with the lowest logit.
    `platt`: on top of the shipped calibrated logit. None with too few films for any.
    """
    lowest: dict[str, float] = {}
    for who, z in zip(films.patients[films.truth], platt.logit(films.z)[films.truth], strict=True):
        lowest[who] = min(float(z), lowest.get(who, np.inf))
    z = np.sort(np.array(list(lowest.values())))
    beyond = _films_beyond(len(z), 1.0 - sensitivity)
    if beyond < 1:
        return None
    cut = (z[beyond - 2] + z[beyond - 1]) / 2.0 if beyond > 1 else z[0] - MARGIN
    return Threshold(
        float(sigmoid(cut)),
        f"with a confidence of {SURE:.0%} at least {100 * sensitivity:g} % of patients with "
        f"pneumonia lie at or above, if drawn like these: order statistic {beyond} of "
        f"{len(z)} patients (Wilks 1941)",
    )


def _films_beyond(n: int, miss: float) -> int:
    """The largest k for which k or more of `n` films lie beyond, with `SURE`, if each does with a
    chance of `miss`.

    >>> _films_beyond(58, 0.05), _films_beyond(59, 0.05), _films_beyond(93, 0.05)
    (0, 1, 2)
    """
    total = 0.0
    for k in range(n):
        # By logarithms: (1 - miss)^n alone is 0 to a computer for a few thousand films.
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        total += math.exp(ways + k * math.log(miss) + (n - k) * math.log1p(-miss))
        if total > 1.0 - SURE:
            return k
    return n
