"""Everything that is measured on a scored cohort, as one JSON object.

An estimate (written E below) is ``{"value", "low", "high", "method"}``, a 95 % interval; a
proportion also has ``"wilson": {"low", "high"}``, the AUC ``"delong": {"low", "high"}``, and the
ECE ``"by_chance": {"low", "high"}``, what it would be of as many films, were they calibrated.
A value or bound that cannot be computed is null. The fields::

    accuracy auc sensitivity specificity precision f1 loss ece brier    E; f1 and precision of
                                                                        the pneumonia class
    n n_refer n_band n_rejected threshold                               plain numbers
    n_normal n_pneumonia n_patients                                     plain numbers
    balanced_accuracy npv average_precision                             E
    calibration     {"slope": E, "intercept": E, "how"}
    classes         {"no pneumonia" | "pneumonia": {"precision": E, "recall": E, "f1": E,
                     "support": n}, "macro avg" | "weighted avg": the same, plain numbers}
    confusion       {"labels": ["no pneumonia", "pneumonia"], "matrix": [[tn, fp], [fn, tp]],
                     "how"}: a row a truth, a column a decision
    thresholds      [{"name", "value", "how", "sensitivity": E, "specificity": E,
                      "accuracy": E, "precision": E, "npv": E, "f1": E,
                      "balanced_accuracy": E, "confusion": [[tn, fp], [fn, tp]]}]
    selective       {"low", "high", "how", "coverage": E, "error": E, "error_all": E,
                     "sensitivity": E, "specificity": E, "n_kept",
                     "at_80": {"how", "error": E, "sensitivity": E, "specificity": E,
                     "coverage", "n_kept", "distance"}: of the 80 % of films furthest from the
                     threshold, whatever the band; distance of the nearest kept, in logits
                     "curve": {"coverage": [..], "error": [..]}}
    prevalence      [{"prevalence", "given": bool, "ppv": E, "npv": E}]
    groups          {column: [{"value", "n", "n_normal", "n_pneumonia", "auc": E | null,
                     "accuracy": E, "sensitivity": E | null, "specificity": E | null}]}
    roc             {"fpr": [..], "tpr": [..], "threshold": [.. null first]}
    pr              {"recall": [..], "precision": [..], "threshold": [..], "share"}
    reliability     {"definition", "bins": [{"from", "to", "predicted", "observed", "low",
                     "high", "count"}]}: full bins only; the interval is Wilson's
    shortcuts       [{"name", "auc": E | null, "n", "values", "note"}]
    worst           [{"file", "label", "probability", "decision", "reasons"}], at most 24
    rejected        [{"file", "label", "reasons"}]
    films           [{"file", "label", "patient", "probability", "decision"}]: all, in order
    bundle          {"name", "sha256", "arch", "size", "path", ...}
    data            {"source", "films", "patients", "sha256", ...}
    methods         {name: sentence}
    warnings notices    [sentence]
    command date versions seed format
    corruptions occlusion heat_energy recalibration    only where asked for: see the modules
                                                       corruptions, occlusion, heat, recalibrate
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import firstread
from firstread.evaluate import tables
from firstread.evaluate.intervals import DRAWS, FEW, RARE, Sampler
from firstread.evaluate.metrics import ECE_BINS, LOSS_FLOOR, confusion, film_losses
from firstread.evaluate.score import WORST_FILMS, Scored, worst_order
from firstread.evaluate.shortcuts import shortcut_aucs
from firstread.evaluate.tables import decisions
from firstread.read.card import LABELS


def measure(
    scored: Scored,
    *,
    prevalence: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    command: str = "",
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """The whole metrics object, ready for JSON; its fields are listed at the module's top.

    `prevalence`: a share of pneumonia to give predictive values at, besides the usual ones.
    `seed`, `draws`: of the bootstrap. Raises `DataError` where a class is missing.
    """
    truth, p = scored.truth, scored.scores
    sampler = Sampler(scored.patients, seed, draws)
    calls = scored.calls(scored.threshold)
    result: dict[str, Any] = {
        "format": 1,
        **_measures(sampler, scored, calls, seed),
        "classes": tables.classes(sampler, truth, calls),
        "confusion": {
            "labels": list(LABELS),
            "matrix": confusion(truth, calls).matrix,
            "how": "a row a truth, a column a decision at the threshold; films in the refer "
            "band are decided too, rejected films stand in the wrong column",
        },
        "thresholds": [
            {"name": name, "value": t["value"], "how": t.get("how", "")}
            | decisions(sampler, truth, scored.calls(t["value"]))
            | {"confusion": confusion(truth, scored.calls(t["value"])).matrix}
            for name, t in scored.thresholds.items()
        ],
        "selective": tables.selective(sampler, scored, calls),
        "prevalence": tables.prevalences(sampler, truth, calls, prevalence),
        "groups": {
            name: tables.within(scored, values, seed, draws)
            for name, values in scored.groups.items()
        },
        "roc": tables.roc(p, truth),
        "pr": tables.pr(p, truth),
        "reliability": tables.reliability(p, truth),
        "shortcuts": shortcut_aucs(scored.numbers, truth, scored.patients, seed),
    }
    return result | _films(scored) | _provenance(scored, sampler, seed, command, warnings)


def _measures(
    sampler: Sampler, scored: Scored, calls: npt.NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    """The estimates and counts that are one number each, and how well calibrated it is."""
    truth, p = scored.truth, scored.scores
    slope, intercept = sampler.calibration(p, truth)
    main = decisions(sampler, truth, calls)
    return {
        "accuracy": main["accuracy"],
        "auc": sampler.auc(p, truth).to_json(),
        "sensitivity": main["sensitivity"],
        "specificity": main["specificity"],
        "precision": main["precision"],
        "f1": main["f1"],
        "loss": sampler.mean(film_losses(p, truth), least=0.0).to_json(),
        "ece": tables.calibration_error(sampler, p, truth, seed).to_json(),
        "brier": sampler.mean_within((p - truth) ** 2).to_json(),
        "n": len(scored),
        "n_refer": int(scored.referred.sum()),
        "n_band": int(scored.in_band.sum()),
        "n_rejected": int(scored.rejected.sum()),
        "threshold": scored.threshold,
        "n_normal": int((~truth).sum()),
        "n_pneumonia": int(truth.sum()),
        "n_patients": sampler.m,
        "balanced_accuracy": main["balanced_accuracy"],
        "npv": main["npv"],
        "average_precision": sampler.average_precision(p, truth).to_json(),
        "calibration": {
            "slope": slope.to_json(),
            "intercept": intercept.to_json(),
            "how": "logistic regression of truth on the logit of the probability; 1 and 0 are "
            "perfect, null where the classes are told apart without error",
        },
    }


def _films(scored: Scored) -> dict[str, Any]:
    """The films one by one, and the worst and the rejected among them."""
    rows = [
        {
            "file": file,
            "label": int(label),
            "patient": patient,
            "probability": None if np.isnan(p) else float(p),
            "decision": decision,
        }
        for file, label, patient, p, decision in zip(
            scored.files,
            scored.labels,
            scored.patients,
            scored.probabilities,
            scored.decisions,
            strict=True,
        )
    ]
    shown = ("file", "label", "probability", "decision")
    return {
        "worst": [
            {k: rows[i][k] for k in shown} | {"reasons": list(scored.reasons[i])}
            for i in worst_order(scored)[:WORST_FILMS]
        ],
        "rejected": [
            {
                "file": scored.files[i],
                "label": int(scored.labels[i]),
                "reasons": list(scored.reasons[i]),
            }
            for i in np.flatnonzero(scored.rejected)
        ],
        "films": rows,
    }


def _provenance(
    scored: Scored, sampler: Sampler, seed: int, command: str, warnings: Sequence[str]
) -> dict[str, Any]:
    """What was measured with what, so that it can be measured again."""
    drawn = (
        f"bootstrap over {sampler.m} patients of {sampler.n} films, "
        if sampler.clustered
        else f"bootstrap over {sampler.n} films, no patient known to have two, "
    )
    return {
        "bundle": scored.bundle,
        "data": scored.data,
        "methods": {
            "rule": "called pneumonia at a probability at or above the threshold, films in the "
            "refer band too",
            "rejected": "a rejected film counts as the worst possible answer: probability 0 for "
            "pneumonia and 1 for none, in every measure",
            "interval": "95 %. Shares: Wilson's over as many films as those of the patients are "
            f"worth (Kish's design effect), over patients where fewer than {RARE} of them have the "
            f"rarer answer or there are fewer than {FEW}. AUC: DeLong's over patients (Obuchowski "
            "1997) or Newcombe's (2006, method 5), whichever is wider. Means of two and predictive "
            f"values: MOVER (Zou & Donner 2008). Others: {drawn}{sampler.draws} draws, seed "
            f"{seed}, percentiles; Student's t over fewer than {FEW} patients for the log loss",
            "wilson": "Wilson's score interval over films, as if they were independent",
            "delong": "DeLong's interval on the logit scale, what films add summed by patient",
            "loss": f"mean log loss in nats, probabilities clipped to {LOSS_FLOOR} from 0 and 1",
            "ece": f"{ECE_BINS} equal-width bins of the probability of pneumonia; mean over "
            "films of the bin's |observed share - mean probability|; basic bootstrap interval, not "
            "below the estimate; by chance: 95 % of what labels drawn from the probabilities give",
            "brier": "mean squared error of the probability of pneumonia",
            "auc": "exact, ties count one half",
            "f1": "of the pneumonia class, as are precision and sensitivity (its recall)",
            "shortcuts": "AUC of one number a film, the better of both directions: max(a, 1 - a)",
        },
        "warnings": list(warnings),
        "notices": list(scored.notices),
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "seed": seed,
    }


def versions() -> dict[str, str]:
    """Of what a result hangs on."""
    import onnxruntime

    return {
        "firstread": firstread.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": str(onnxruntime.__version__),
    }
