"""What a hospital gains by fitting the calibration anew on a few labelled films of its own.

`recalibration_study(scored, local=None, *, seed, films, repeats)` is the whole of it. `scored`:
the films to judge on. `local`: the films of the table given as --recalibrate-on, scored by the
same bundle; None where that table is the one evaluated. Each of `repeats` draws takes `films`
local films of randomly ordered patients, fits slope and intercept on them, and judges on those
evaluated films whose patients are not in the draw. The same films are judged as shipped, and
with the one number changed that a hospital knows without labelling any film: its share of
pneumonia. What that mends was a shift in prevalence; what only the fit mends, a shift in films.

Draws are not stratified by label: a hospital labels the films that come, and the luck of its
own share is part of what 100 films can do.

The object (D is ``{"value": median over draws, "mean", "low", "high", "method"}``, low and high
the 2.5 and 97.5 percentiles, null where nothing finite came out; the median, because a fitted
slope near 0 makes the slope of the rest huge and a few such draws carry the mean away)::

    films repeats seed source                    as asked; `source` names the local table
    n_local n_judged n_rejected                  local films; D of judged films; left out
    as_shipped  prior_corrected  recalibrated    {"slope", "intercept", "in_the_large", "brier",
                                                 "ece"}: D each; prior_corrected null where the
                                                 card does not tell the share it is true at
    fitted          {"slope": D, "intercept": D}: on the shipped logit, and "held": share of
                    draws whose slope came out at or below 0 and was held just above; these
                    have no "slope" in recalibrated and are not within
    brier_gain      {"prior_corrected": D | null, "recalibrated": D}: shipped minus mended
    within          shares of draws, 0 to 1: {"slope", "intercept", "brier", "all"}
    prevalence      {"calibrated_at", "known"}
    how             {name: sentence}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.evaluate.calibration import FLAT, Floats, fit_logistic, sigmoid, to_logit
from firstread.evaluate.intervals import finite
from firstread.evaluate.local_draws import Draws, Films
from firstread.evaluate.metrics import Bools, brier, calibration_line, ece
from firstread.evaluate.score import Scored
from firstread.progress import Progress, counted

FILMS = 100
REPEATS = 200
SLOPE_RANGE = (0.8, 1.25)
INTERCEPT_RANGE = 0.2
SLOPE_PRIOR = (1.0, 1.0)
"""Mean and standard deviation of the normal prior on the slope. The fewer the films, the noisier
a slope of their own and the better a guess the one shipped, 1 (Steyerberg et al., "Validation and
updating of predictive logistic regression models: a study on sample size and shrinkage",
Statistics in Medicine 23, 2004). A standard deviation of 1 leaves every plausible slope open: it
weighs about as one film, keeps the fit finite where the draw is parted without error, and yields
to 100 films. In simulations a tighter one pulled the slopes of badly shifted films from 1."""

MEASURES = ("slope", "intercept", "in_the_large", "brier", "ece")

_COUNTS = re.compile(r"\((\d+) normal, (\d+) pneumonia")


def recalibration_study(
    scored: Scored,
    local: Scored | None = None,
    *,
    seed: int = 0,
    films: int = FILMS,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge recalibration on `films` local films, over `repeats` draws; fields at the module's top.

    `progress` is called with (done, all) draws. Raises `DataError` where there are too few films of
    a class to draw from or to judge on, or where `local` was scored by another bundle.
    """
    if local is not None and local.bundle.get("sha256") != scored.bundle.get("sha256"):
        raise DataError("the local films were scored by another bundle; score both by the same")
    if films < 2 or repeats < 1:
        raise DataError("recalibration needs 2 films and 1 draw or more")
    judged = Films.of(scored)
    pool = judged if local is None else Films.of(local)
    at = calibrated_prevalence(scored.bundle)
    known = float(judged.truth.mean())
    shift = None if at is None or not 0 < known < 1 else float(to_logit(known) - to_logit(at))
    draws = Draws(pool, judged, films)
    columns, fits, counts = _over(draws, repeats, np.random.default_rng(seed), shift, progress)
    method = f"{repeats} draws of {films} films, median and percentiles"
    shown: dict[str, Any] = {
        name: {m: _spread(values, method) for m, values in column.items()}
        for name, column in columns.items()
    }
    plain = columns["as_shipped"]["brier"]
    gain = {
        name: _spread(plain - columns[name]["brier"], method)
        for name in ("prior_corrected", "recalibrated")
        if name in columns
    }
    return {
        "films": films,
        "repeats": repeats,
        "seed": seed,
        "source": _source(scored if local is None else local),
        "n_local": len(pool),
        "n_judged": _spread(counts, method),
        "n_rejected": len(scored) - len(judged),
        "as_shipped": shown["as_shipped"],
        "prior_corrected": shown.get("prior_corrected"),
        "recalibrated": shown["recalibrated"],
        "fitted": {
            "slope": _spread(np.array([f[0] for f in fits]), method),
            "intercept": _spread(np.array([f[1] for f in fits]), method),
            "held": float(np.mean([f[2] for f in fits])),
        },
        "brier_gain": {"prior_corrected": None} | gain,
        "within": _within(columns["recalibrated"], plain),
        "prevalence": {"calibrated_at": at, "known": known},
        "how": _how(films, local is not None),
    }


def _over(
    draws: Draws,
    repeats: int,
    rng: np.random.Generator,
    shift: float | None,
    progress: Progress | None,
) -> tuple[dict[str, dict[str, Floats]], list[tuple[float, float, bool]], Floats]:
    """What `repeats` draws come to: each measure (repeats,) of each way to mend, what was fitted
    (`refit`), and the films judged on (repeats,). `shift`: of the logits for the share of pneumonia
    known beforehand, None where it is not."""
    pool, judged = draws.pool, draws.judged
    rows: dict[str, list[dict[str, float]]] = {"as_shipped": [], "recalibrated": []}
    if shift is not None:
        rows["prior_corrected"] = []
    fits: list[tuple[float, float, bool]] = []
    counts = []
    for _ in counted(range(repeats), progress):
        drawn, rest = draws.draw(rng)
        z, truth = judged.z[rest], judged.truth[rest]
        slope, intercept, held = refit(pool.z[drawn], pool.truth[drawn])
        fits.append((slope, intercept, held))
        counts.append(float(len(z)))
        rows["as_shipped"].append(_judge(z, truth))
        mended = _judge(slope * z + intercept, truth)
        # Held up, all films get nearly one probability: there is no slope to speak of.
        rows["recalibrated"].append(mended | ({"slope": np.nan} if held else {}))
        if shift is not None:
            rows["prior_corrected"].append(_judge(z + shift, truth))
    columns = {
        name: {m: np.array([row[m] for row in table]) for m in MEASURES}
        for name, table in rows.items()
    }
    return columns, fits, np.array(counts)


def check_draws(cohort: Cohort, local: Cohort | None) -> None:
    """Raise `DataError` where `FILMS` films cannot be drawn from `local` and leave enough to judge.

    As `recalibration_study` draws, but from the tables alone, before any film is read.
    """
    judged, pool = (Films.unread(c) for c in (cohort, cohort if local is None else local))
    Draws(pool, judged, FILMS).draw(np.random.default_rng(0))


def refit(z: Floats, truth: Bools) -> tuple[float, float, bool]:
    """Slope and intercept on shipped logits `z` (n,), and whether the slope had to be held up.

    Logistic regression with `SLOPE_PRIOR`; the intercept has no prior, as the share of
    pneumonia is what differs most between hospitals. A slope at or below 0 would turn the
    order of the films round: it is held just above, and the intercept gives the draw's share.
    """
    y = truth.astype(np.float64)
    slope, intercept = fit_logistic(z, y, slope_prior=SLOPE_PRIOR)
    if slope > 0:
        return slope, intercept, False
    slope = FLAT / max(float(z.std()), 1e-6)
    return slope, float(to_logit(y.mean())) - slope * float(z.mean()), True


def in_the_large(z: Floats, truth: Bools) -> float:
    """The intercept to add to logits `z` (n,) so that their mean probability is the share seen.

    Calibration in the large, the intercept at slope 1 (Steyerberg & Vergouwe 2014); 0 is
    perfect. By bisection: the mean rises with the intercept.
    """
    share = float(truth.mean())
    low, high = -60.0, 60.0
    for _ in range(50):
        middle = (low + high) / 2.0
        if float(sigmoid(z + middle).mean()) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def calibrated_prevalence(bundle: dict[str, Any]) -> float | None:
    """The share of pneumonia that a bundle's probabilities are true at; None where not told.

    `bundle`: what `Scored.bundle` holds. Cards of before the field "prevalence" tell the counts
    in their sentence.
    """
    calibration = bundle.get("calibration") or {}
    share = calibration.get("prevalence")
    if isinstance(share, int | float) and 0.0 < share < 1.0:
        return float(share)
    if m := _COUNTS.search(str(calibration.get("how", ""))):
        n0, n1 = int(m[1]), int(m[2])
        return n1 / (n0 + n1) if n0 and n1 else None
    return None


def _judge(z: Floats, truth: Bools) -> dict[str, float]:
    p = sigmoid(z)
    slope, intercept = calibration_line(p, truth)
    return {
        "slope": slope,
        "intercept": intercept,
        "in_the_large": in_the_large(z, truth),
        "brier": brier(p, truth),
        "ece": ece(p, truth),
    }


def _within(mended: dict[str, Floats], shipped_brier: Floats) -> dict[str, float]:
    with np.errstate(invalid="ignore"):
        slope = (mended["slope"] >= SLOPE_RANGE[0]) & (mended["slope"] <= SLOPE_RANGE[1])
        intercept = np.abs(mended["intercept"]) <= INTERCEPT_RANGE
        better = mended["brier"] < shipped_brier
    return {
        "slope": float(slope.mean()),
        "intercept": float(intercept.mean()),
        "brier": float(better.mean()),
        "all": float((slope & intercept & better).mean()),
    }


def _spread(values: Floats, method: str) -> dict[str, Any]:
    good = values[np.isfinite(values)]
    if not len(good):
        return {"value": None, "mean": None, "low": None, "high": None, "method": method}
    low, median, high = np.percentile(good, [2.5, 50.0, 97.5])
    return {
        "value": finite(float(median)),
        "mean": finite(float(good.mean())),
        "low": finite(float(low)),
        "high": finite(float(high)),
        "method": method if len(good) == len(values) else f"{method}; {len(good)} had a value",
    }


def _source(scored: Scored) -> str:
    return str(scored.data.get("given") or scored.data.get("source", ""))


def _how(films: int, other: bool) -> dict[str, str]:
    where = "another table than the one evaluated" if other else "the evaluated films themselves"
    return {
        "draw": f"{films} films of randomly ordered patients, not stratified by label, from "
        f"{where}; judged on the evaluated films whose patients are not in the draw. Draws from "
        "one table overlap, and a draw that is by luck easy leaves a rest that is hard",
        "as_shipped": "the probabilities as they come",
        "prior_corrected": "one intercept from the known share of pneumonia, no film labelled: "
        "the logit plus the difference of the shares' logits (Saerens, Latinne & Decaestecker "
        "2002); it mends a shift in prevalence and nothing else",
        "recalibrated": "slope and intercept of the logit by logistic regression on the draw, "
        f"the slope with a normal prior, mean {SLOPE_PRIOR[0]:g}, standard deviation "
        f"{SLOPE_PRIOR[1]:g} (shrinkage: Steyerberg et al. 2004), the intercept with none",
        "slope": "with the intercept, of the line of truth on the logit (Cox 1958); 1 and 0 are "
        "perfect",
        "in_the_large": "intercept at slope 1: 0 where as many have pneumonia as were expected",
        "within": f"share of draws with slope {SLOPE_RANGE[0]:g} to {SLOPE_RANGE[1]:g}, "
        f"intercept within {INTERCEPT_RANGE:g}, Brier score better than as shipped, and all",
        "rejected": "rejected films have no probability to mend: left out here, unlike elsewhere",
    }


def lines(study: dict[str, Any]) -> Sequence[str]:
    """The study as a few lines of plain text, for the terminal."""
    out = [f"recalibrated on {study['films']} local films, median of {study['repeats']} draws:"]
    for name in ("as_shipped", "prior_corrected", "recalibrated"):
        if study[name] is not None:
            values = [f"{m.replace('_', ' ')} {_number(study[name][m]['value'])}" for m in MEASURES]
            out.append(f"  {name.replace('_', ' '):16} {', '.join(values)}")
    w = study["within"]
    out.append(
        f"  draws within the bounds: slope {w['slope']:.0%}, intercept {w['intercept']:.0%}, "
        f"better Brier {w['brier']:.0%}, all {w['all']:.0%}"
    )
    return out


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.3f}"
