"""What about a set of films makes its figures less than they seem, whoever trained on them."""

from __future__ import annotations

from firstread.cohort.table import Cohort
from firstread.evaluate.calibration import to_logit

FAR = 1.0
"""Difference of the logits of two shares of pneumonia from which on probabilities are plainly not
true: as of 0.7 and 0.46."""


def doubts(cohort: Cohort, prevalence: float | None) -> list[str]:
    """One sentence for each doubt; [] if there is none.

    `prevalence`: the share of pneumonia at which the model's probabilities are true, if known.
    """
    n, said = len(cohort), []
    unknown = sum(row.is_alone for row in cohort.rows)
    if unknown:
        said.append(
            f"the patient of {unknown} of {n} films is not known, so that each counts as one of "
            "its own: where some are of one child, intervals are too narrow and splits leak; name "
            "patients in a column `patient` of a CSV"
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
