"""What a model is worth at a clinic, what has to be set anew there, and what it rests on.

`onboard(scored, look, bundle, ...)` is the whole of it: from the opinions on N labelled films of
the clinic to one JSON object and, where the films suffice, the operating point of a local bundle.
An estimate (E) is ``{"value", "low", "high", "method", "n"}``, a 95 % interval; null where there
are too few films for it, and then `withheld` says so. The fields::

    format status       1; "proposal" or "signed"
    signed              {"by", "date"} | null
    n n_normal n_pneumonia n_patients n_rejected        plain numbers
    patients            {"normal", "pneumonia"}: patients with a film of that class
    need                [{"name", "of", "expected", "width", "needed", "have", "enough",
                        "width_now", "how"}]: see `need`
    withheld            [{"name", "why"}]
    asked               {"sensitivity", "interval", "prevalence": number | null}
    prevalence          the share of pneumonia that all is reckoned for: as asked, or the films'
    auc                 E, of the model as it is; with "delong"
    rejected_rate       E
    shift               {"prevalence": {"shipped", "here": E, "logit"}, "films": {"slope": E,
                        "in_the_large": E, "left": E | null}, "says", "how"}
    recalibration       {"rule", "chosen", "slope", "intercept", "bends", "held": bool, "methods":
                        {name: {"log_loss": E, "brier": E, "gain": E, "slope": E, "intercept": E,
                        "reliability"}}} | null; held: the slope came out at or below 0
    as_shipped local    {"threshold", "refer": {"low", "high"}, "sensitivity": E, "specificity": E,
                        "refer_rate": E, "decided", "predictive", "per_1000"}: see `point`; local
                        is cross-fitted, and null where withheld
    thresholds          {name: {"value", "how"}}: of the local bundle; {} where withheld
    drift               the baseline: see `drift`
    local_bundle        {"name", "path", "sha256"} | null
    roc bundle data methods warnings notices command date versions seed    as in an evaluation
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstread.clinic import calibrate, drift
from firstread.clinic.films import Look, one_a_patient
from firstread.clinic.need import LEAST_CLASS, WIDTH, check_width, needs
from firstread.clinic.point import Told, local_point, operating, told
from firstread.clinic.shift import shift_of
from firstread.errors import DataError
from firstread.evaluate.calibration import Floats, Platt, sigmoid
from firstread.evaluate.intervals import DRAWS, Sampler
from firstread.evaluate.metrics import Bools, film_losses
from firstread.evaluate.operating import OperatingPoint, checked_sensitivity
from firstread.evaluate.recalibrate import calibrated_prevalence, refit
from firstread.evaluate.result import measure
from firstread.evaluate.score import Scored
from firstread.evaluate.tables import check_prevalence, reliability
from firstread.read.bundle import Bundle

SENSITIVITY = 0.95

TELLS_NOTHING = (
    "the interval of the AUC reaches down to 0.5: it could not be shown that the model tells films "
    "with pneumonia from films without here, and no threshold or calibration mends that; do not "
    "put it into use on such films"
)

TAKEN = (
    *("roc", "bundle", "data", "methods", "notices"),
    *("command", "date", "versions", "seed"),
)
"""What is taken over from the evaluation as it is."""


@dataclass(frozen=True)
class Onboarding:
    """`result`: the JSON object. `point`: of the local bundle, None with too few films."""

    result: dict[str, Any]
    point: OperatingPoint | None


def check_asked(sensitivity: float, width: float, prevalence: float | None) -> None:
    """Raise `DataError` for what cannot be asked for, before any film is read."""
    checked_sensitivity(sensitivity)
    check_width(width)
    check_prevalence(prevalence)


def onboard(
    scored: Scored,
    look: Look,
    bundle: Bundle,
    *,
    sensitivity: float = SENSITIVITY,
    width: float = WIDTH,
    prevalence: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    command: str = "",
    warnings: Sequence[str] = (),
) -> Onboarding:
    """Everything about a clinic's films; the fields are listed at the module's top.

    `scored`, `look`: the same films read with `bundle`. `width`: of the interval wanted.
    `prevalence`: the clinic's share of pneumonia; None takes that of the films. Raises
    `DataError` where a class is missing or what is asked for cannot be had.
    """
    check_asked(sensitivity, width, prevalence)
    _check_films(scored)
    truth = scored.truth
    shipped = Platt.of(bundle.card.calibration)
    films, read = _films(scored, look, shipped)
    counts = films.patients_of(False), films.patients_of(True)
    enough = counts[0] >= LEAST_CLASS, counts[1] >= LEAST_CLASS
    share = float(truth.mean()) if prevalence is None else prevalence
    sampler = Sampler(scored.patients, seed, draws)
    base = measure(scored, prevalence=prevalence, seed=seed, draws=draws, command=command)
    withheld = _withheld(counts, sensitivity)
    auc = told(base["auc"], len(scored)) if all(enough) else None
    decided = scored.calls(scored.threshold), scored.referred, scored.rejected
    as_shipped = _told_of(
        scored.threshold, scored.refer, operating(sampler, truth, *decided, share, enough)
    )
    recalibration = local = point = None
    if all(enough):
        recalibration, method = _recalibration(films, seed, draws)
        if not any(w["name"] == "thresholds" for w in withheld):
            point = local_point(films, method, shipped, sensitivity, prevalence, bundle.name)
            judged = calibrate.cross_decided(films, method, sensitivity, seed)
            decided = _everywhere(judged, truth, look, read)
            found = operating(sampler, truth, *decided, share, enough)
            local = _told_of(point.threshold, (point.refer.low, point.refer.high), found)
    if auc is not None and auc["low"] is not None and auc["low"] <= 0.5:
        warnings = [*warnings, TELLS_NOTHING]
    specificity = _value((local or as_shipped)["specificity"])
    wants = needs(
        *counts, sensitivity=sensitivity, specificity=specificity, auc=_value(auc), width=width
    )
    result: dict[str, Any] = {
        "format": 1,
        "status": "proposal",
        "signed": None,
        **_counted(scored, sampler, counts),
        "need": [w.to_json() for w in wants],
        "withheld": withheld,
        "asked": {"sensitivity": sensitivity, "interval": width, "prevalence": prevalence},
        "prevalence": share,
        "auc": auc,
        "rejected_rate": told(sampler.proportion(scored.rejected), len(scored)),
        "shift": shift_of(films, seed, draws) if all(enough) else None,
        "recalibration": recalibration,
        "as_shipped": as_shipped,
        "local": local,
        "thresholds": {} if point is None else point.to_card()["thresholds"],
        "drift": _baseline(look, bundle, point, scored, prevalence),
        "local_bundle": None,
    }
    taken = {name: base[name] for name in TAKEN}
    return Onboarding(result | taken | {"warnings": list(warnings)}, point)


def _told_of(threshold: float, refer: tuple[float, float], found: Told) -> Told:
    """A threshold and its band, with what decisions by them come to."""
    return {"threshold": threshold, "refer": {"low": refer[0], "high": refer[1]}} | found


def _counted(scored: Scored, sampler: Sampler, counts: tuple[int, int]) -> Told:
    return {
        "n": len(scored),
        "n_normal": int((~scored.truth).sum()),
        "n_pneumonia": int(scored.truth.sum()),
        "n_patients": sampler.m,
        "n_rejected": int(scored.rejected.sum()),
        "patients": {"normal": counts[0], "pneumonia": counts[1]},
    }


def _check_films(scored: Scored) -> None:
    truth = scored.truth
    if not truth.any() or truth.all():
        raise DataError("films of one class only; onboarding needs films with and without")
    if scored.rejected.all():
        why = "; ".join(scored.reasons[0])
        raise DataError(f"all {len(scored)} films were rejected; the first because: {why}")


def _everywhere(
    judged: calibrate.Judged, truth: Bools, look: Look, read: Bools
) -> tuple[Bools, Bools, Bools]:
    """What was decided of the films that were read, of all films (n,): called pneumonia, those
    not read wrongly; referred; not read."""
    calls, referred = ~truth, look.aside & read
    calls[read], referred[read] = judged.calls, judged.referred | look.aside[read]
    return calls, referred, ~read


def _value(estimate: Told | None) -> float | None:
    return None if estimate is None else float(estimate["value"])


def _films(scored: Scored, look: Look, shipped: Platt) -> tuple[calibrate.Films, Any]:
    """The films that were read, and which of all (n,) they are."""
    read = ~scored.rejected & np.isfinite(look.logit)
    z = shipped.logit(look.logit[read])
    patients = np.array(scored.patients)[read]
    at = calibrated_prevalence(scored.bundle)
    return calibrate.Films(z, scored.truth[read], patients, at), read


def _withheld(counts: tuple[int, int], sensitivity: float) -> list[Told]:
    """What is not told for want of films, and why."""
    out = []
    least = {
        "AUC, calibration, predictive values": (LEAST_CLASS, LEAST_CLASS),
        "sensitivity": (0, LEAST_CLASS),
        "specificity": (LEAST_CLASS, 0),
        # With fewer, not even one film may be missed: the threshold would be the lowest film.
        "thresholds": (LEAST_CLASS, max(LEAST_CLASS, math.ceil(1 / (1 - sensitivity) - 1e-9))),
    }
    for name, wanted in least.items():
        lacks = [
            f"{want} patients {what} pneumonia, here are {have}"
            for what, want, have in zip(("without", "with"), wanted, counts, strict=True)
            if have < want
        ]
        if lacks:
            out.append({"name": name, "why": "needs at least " + " and ".join(lacks)})
    return out


def _recalibration(films: calibrate.Films, seed: int, draws: int) -> tuple[Told, str]:
    """The ways to calibrate, each judged cross-fitted, and which is in use."""
    logits = calibrate.cross_fitted(films, calibrate.allowed(films), seed)
    method = calibrate.choose(logits, films.truth)
    sampler = Sampler([str(p) for p in films.patients], seed, draws)
    n, y = len(films.z), films.truth
    plain = film_losses(sigmoid(logits["as_shipped"]), y)
    methods = {}
    for name, z in logits.items():
        p = sigmoid(z)
        slope, intercept = sampler.calibration(p, y)
        loss = film_losses(p, y)
        methods[name] = {
            "log_loss": told(sampler.mean(loss, least=0.0), n),
            "brier": told(sampler.mean_within((p - y) ** 2), n),
            "gain": told(sampler.mean(plain - loss), n),
            "slope": told(slope, n),
            "intercept": told(intercept, n),
            "reliability": reliability(p, y),
        }
    chosen = calibrate.fit(method, films)
    return {
        "rule": calibrate.RULE,
        "chosen": method,
        "slope": chosen.slope,
        "intercept": chosen.intercept,
        "bends": [list(pair) for pair in chosen.bends],
        "held": method in ("slope", "isotonic") and refit(films.z, y)[2],
        "methods": methods,
    }, method


def _baseline(
    look: Look,
    bundle: Bundle,
    point: OperatingPoint | None,
    scored: Scored,
    prevalence: float | None,
) -> Told:
    """The drift baseline, with the local point where there is one, at the prevalence asked for."""
    drawn = one_a_patient(scored.patients)
    truth = scored.truth[drawn]
    card = bundle.card
    c = Platt.of(card.calibration) if point is None else point.calibration
    threshold = card.threshold if point is None else point.threshold
    band = card.refer if point is None else point.refer
    points = {"threshold": threshold, "refer_low": band.low, "refer_high": band.high}
    cuts = {name: float(c.undo(p)) for name, p in points.items()}
    weights: Floats | None = None
    if prevalence is not None and 0 < truth.mean() < 1:
        share = float(truth.mean())
        weights = np.where(truth, prevalence / share, (1 - prevalence) / (1 - share))
    made = drift.baseline(look.some(drawn), cuts, card.onnx_sha256, weights)
    return made | {
        "prevalence": prevalence,
        "point": "shipped" if point is None else "local",
        "film_of_patient": "drawn",
    }
