"""What about a set of films makes its figures less than they seem, whoever trained on them."""

from __future__ import annotations

from collections.abc import Sequence

from firstread.cohort.table import Cohort
from firstread.evaluate.calibration import to_logit
from firstread.read.gate import out_of_age

FAR = 1.0
"""Difference of the logits of two shares of pneumonia from which on probabilities are plainly not
true: as of 0.7 and 0.46."""


def doubts(
    cohort: Cohort, prevalence: float | None, ages: Sequence[float] | None = None
) -> list[str]:
    """One sentence for each doubt; [] if there is none.

    `prevalence`: the share of pneumonia at which the model's probabilities are true, if known.
    `ages`: years, from and to, of the patients that the model is for, if known.
    """
    n, said = len(cohort), []
    unknown = sum(row.is_alone for row in cohort.rows)
    if unknown:
        said.append(
            f"the patient of {unknown} of {n} films is not known, so that each counts as one of "
            "its own: where some are of one child, intervals are too narrow and splits leak; name "
            "patients in a column `patient` of a CSV"
        )
    between = None if ages is None else (float(ages[0]), float(ages[1]))
    others = sum(out_of_age(row.told_age, between) is not None for row in cohort.rows)
    if between is not None and others:
        said.append(
            f"{others} of {n} films are of patients outside of the ages that the model is for, "
            f"{between[0]:g} to {between[1]:g} years: whatever is measured here, `firstread read` "
            "refers such a film where the file or --age tells the age"
        )
    share = float(cohort.labels.mean())
    if prevalence is None or not (0 < share < 1 and 0 < prevalence < 1):
        return said
    if abs(float(to_logit(share) - to_logit(prevalence))) > FAR:
        said.append(
            f"{share:.0%} of these films have pneumonia, and the model's probabilities are true at "
            f"{prevalence:.0%}: its log loss, Brier score, calibration error and line say as much "
            "of that as of the films; recalibrate on films of your own (--recalibrate-on)"
        )
    return said
