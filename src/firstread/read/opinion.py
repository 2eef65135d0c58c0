"""An opinion: what the reader says of one film, and why.

Four decisions are possible: "pneumonia", "no pneumonia", "refer" (the probability lies in
the band where the model is often wrong, a person should look first) and "rejected" (no
film, or none that could be read). The probability is given whatever the decision, so that
nobody has to guess what was held back; it is None only where there were no pixels. What people
look at leaves it out beside "rejected", where it means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from firstread.film.box import WHOLE, Box
from firstread.read.digits import in_digits
from firstread.read.gate import Verdict, out_of_age, unknown_age, without_age

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from firstread.read.bundle import Bundle
    from firstread.read.card import Card
    from firstread.read.regions import Region

PNEUMONIA, NO_PNEUMONIA, REFER, REJECTED = "pneumonia", "no pneumonia", "refer", "rejected"
DECISIONS = (PNEUMONIA, NO_PNEUMONIA, REFER, REJECTED)
"""Every decision there is; these words stand in files, so they never change."""


@dataclass(frozen=True)
class Opinion:
    """The reader's opinion on one film.

    `file`: as the caller named it. `probability`: of pneumonia, 0 to 1, or None. `logit`: the
    model's raw output, or None. `reasons`: plain sentences for "refer" and "rejected", and what
    limits the opinion (an age that nobody told). `notes`: remarks on the film's quality, which
    change nothing. `heat`: (h, w) float32, signed share of the logit by place, or None.
    `pixels`: (size, size) uint8 as the model saw them, or None. `aspect`: width over height of
    the film before it was squashed, or None. `seen`: what of the film `pixels`, `heat` and `lungs`
    show, as shares of its width and height. `lungs`: (size, size) bool and `regions`: where in
    them the evidence lies, strongest first; None where not asked for or not found, and then
    `regions_doubt` says why they were not. `mirrored`: by its file the patient's right is at the
    right of the picture. `engine`: what ran the network, of `firstread.read.engine.ENGINES`.
    """

    file: str
    probability: float | None
    logit: float | None
    threshold: float
    decision: str
    reasons: tuple[str, ...] = ()
    bundle: str = ""
    bundle_sha256: str = ""
    notices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    heat: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    pixels: npt.NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    aspect: float | None = field(default=None, repr=False, compare=False)
    seen: Box = field(default=WHOLE, repr=False, compare=False)
    lungs: npt.NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    regions: tuple[Region, ...] | None = None
    regions_doubt: str | None = None
    engine: str = ""
    mirrored: bool = field(default=False, repr=False)

    @property
    def picture_aspect(self) -> float:
        """Width over height of what `pixels` show: a part of a film is cut as a square."""
        return (self.aspect or 1.0) if self.seen == WHOLE else 1.0

    @property
    def remarks(self) -> list[str]:
        """Reasons and notes without the file's name, which may hold a patient's.

        It stands in front of a reason, where errors have it. Further in, what looks like it is a
        number or a word of the reason: a film may be called "1".
        """
        return [text.removeprefix(f"{self.file}: ") for text in (*self.reasons, *self.notes)]

    def anonymous(self) -> Opinion:
        """The opinion without the patient's age, for results that leave the patient out."""
        return replace(self, reasons=tuple(map(without_age, self.reasons)))

    def to_json(self) -> dict[str, Any]:
        """The opinion without its pictures, ready for `json.dumps`."""
        return {
            "file": self.file,
            "probability": self.probability,
            "threshold": self.threshold,
            "decision": self.decision,
            "reasons": list(self.reasons),
            "logit": self.logit,
            "bundle": self.bundle,
            "bundle_sha256": self.bundle_sha256,
            "engine": self.engine,
            "regions": None if self.regions is None else [r.to_json() for r in self.regions],
            "regions_doubt": self.regions_doubt,
            "notes": list(self.notes),
            "notices": list(self.notices),
        }


def rejected(file: str, reason: str, bundle: Bundle, engine: str = "") -> Opinion:
    """The opinion on a film that could not be read."""
    return Opinion(
        file=file,
        probability=None,
        logit=None,
        threshold=bundle.card.threshold,
        decision=REJECTED,
        reasons=(reason,),
        bundle=bundle.name,
        bundle_sha256=bundle.sha256[:12],
        notices=bundle.card.notices,
        engine=engine,
    )


def band_reason(probability: float, card: Card) -> str | None:
    """Why a film goes to a person for its probability; None outside of the refer band."""
    if not card.refer.low <= probability <= card.refer.high:
        return None
    p, low, high = in_digits(probability, card.refer.low, card.refer.high)
    return f"{p} lies in the uncertain band from {low} to {high}; let a person look first"


def decide(
    probability: float, verdict: Verdict, bundle: Bundle, age: float | None = None
) -> tuple[str, tuple[str, ...]]:
    """Decision and reasons for a probability.

    `verdict`: the gate's. `age`: the patient's in years, or None.
    """
    card = bundle.card
    if verdict.reject is not None:
        return REJECTED, (verdict.reject,)
    found = (verdict.refer, band_reason(probability, card), out_of_age(age, card.ages))
    reasons = [reason for reason in found if reason is not None]
    said = (unknown_age(card.ages),) if age is None or card.ages is None else ()
    if reasons:
        return REFER, (*reasons, *said)
    return (PNEUMONIA if probability >= card.threshold else NO_PNEUMONIA), said
