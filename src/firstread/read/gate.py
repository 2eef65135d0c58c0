"""The gate: no opinion on what is no upright frontal chest film, or not of the model's patients.

Three measures, cheapest first:

1. What the file tells: body part, view and age tags, held against what the model is for.
2. On the features the model computes anyway (`firstread.train.gate`): a probe tells how much more
   like a film turned, upside down or inverted than like a good one; and how much of the film lies
   outside of what good films vary in tells how strange it is. Lateral views, CT slices and
   photographs, of which neither has seen one, lie on the far side as well.
3. Where the probe is in doubt, the lungs are looked for: two, side by side.

A film that is turned away is "rejected", with a reason a person understands. A film that may be
none of ours, and a patient outside of the model's ages, are for a person to read: "refer".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

OUTPUT = "gate"
"""The graph's output that the gate reads, (n, 1 + kinds + 1): log odds of good and of each kind,
and the strangeness on the same scale, which earlier graphs lack."""

NO_GATE = "the bundle has no gate, so nobody looked whether this is an upright frontal chest film"
"""Said of every film where the bundle was made without one."""

KINDS = {
    "left": "it looks like a film lying on its side; turn it upright",
    "right": "it looks like a film lying on its side; turn it upright",
    "upside down": "it looks like a film upside down, or another view; turn it upright",
    "negative": "it looks like a negative, bones dark; invert it",
}
"""What the probe tells from a good film, and what is said of each. Which side it lies on is not
said: lungs are nearly symmetric, and the probe at times takes one side for the other."""

STRANGE = "it is unlike the films that the model was trained on"
"""Said of a film by its strangeness."""

CHEST = ("CHEST", "THOR", "TORAX", "LUNG", "RIB", "PULM", "BABYGRAM", "TRUNK")
"""Beginnings and parts of what vendors call the chest in BodyPartExamined (PS3.16 Annex L, and
files seen)."""

OTHER_PARTS = ("ABDOMEN", "ANKLE", "ARM", "BREAST", "CLAVICLE", "ELBOW", "FEMUR", "FINGER", "FOOT",
               "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS", "KNEE", "LEG", "NECK", "PELVIS",
               "SHOULDER", "SKULL", "SPINE", "TIBIA", "TOE", "WRIST")  # fmt: skip
"""Other parts that a message names (PS3.16 Annex L). No other word of the file is quoted: in a
spoilt one, or from a careless hand, it may be a patient's name."""

FRONTAL = frozenset({"AP", "PA"})
OTHER_VIEWS = frozenset({"LL", "RL", "RLD", "LLD", "RLO", "LLO", "LPO", "RPO", "LAO", "RAO"})
"""View positions of PS3.3 C.8.1.2.1 that are not frontal, and the oblique ones that files have."""

OTHER_VIEW_WORDS = re.compile(r"(?<![A-Z])[LR]?(LAT|OBL)")
"""How the words for such views begin, in ViewPosition and in the code's meaning."""

FOR_PROCESSING = "raw detector values, not made to be looked at; send the image for presentation"
"""Said of a film that its detector meant for processing alone (PS3.3 C.8.11.1)."""

TRAINED_ON = " and the model was trained on patients of "
"""What parts the patient's age from the ages of the model in a reason."""


@dataclass(frozen=True)
class Gate:
    """A card's limits. `kinds`: in the order of the graph's output, after good.

    A film is turned away where its oddness is above `limit`, or oddness and strangeness together
    are above `strange`. Of the two together: above `unsure` a person should look first, above
    `suspect` the film's lungs are looked for.
    """

    kinds: tuple[str, ...]
    limit: float
    strange: float
    unsure: float
    suspect: float
    how: str


def oddness(outputs: Floats, kinds: int = len(KINDS)) -> npt.NDArray[np.float64]:
    """Log odds (n,) of any kind of bad film against a good one, of the graph's `OUTPUT`."""
    z = outputs.astype(np.float64)
    return np.asarray(np.logaddexp.reduce(z[:, 1 : 1 + kinds], axis=1) - z[:, 0])


def strangeness(outputs: Floats, kinds: int = len(KINDS)) -> npt.NDArray[np.float64]:
    """Oddness and strangeness (n,) together; the oddness alone where the graph has no other."""
    beside = outputs[:, 1 + kinds :].astype(np.float64).sum(axis=1)
    return np.asarray(oddness(outputs, kinds) + beside)


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a film: why it gets no opinion, or why a person should look first."""

    reject: str | None = None
    refer: str | None = None


def judge(gate: Gate, outputs: Floats, doubt: Callable[[], str | None]) -> Verdict:
    """The verdict on a film with the graph's `OUTPUT`, a row of it.

    `doubt` looks for the lungs and says what is wrong with them (`firstread.film.lungs.doubt`);
    it is called only where the features are in doubt.
    """
    n = len(gate.kinds)
    odd = float(oddness(outputs[None], n)[0])
    both = float(strangeness(outputs[None], n)[0])
    kind = KINDS[gate.kinds[int(outputs[1 : 1 + n].argmax())]]
    if odd > gate.limit:
        return Verdict(reject=f"no upright frontal chest film: {kind}")
    if both > gate.strange:
        return Verdict(reject=f"no upright frontal chest film: {STRANGE}")
    found = doubt() if both > gate.suspect else None
    if found is not None:
        return Verdict(reject=f"no upright frontal chest film: {found}")
    if both > gate.unsure:
        # Whichever lies further beyond what good films have: the strangeness is counted from their
        # mean, the oddness from where one in ten of them is suspect.
        why = kind if odd - gate.suspect >= both - odd else STRANGE
        return Verdict(refer=f"perhaps no upright frontal chest film: {why}")
    return Verdict()


def told_otherwise(tags: dict[str, str]) -> str | None:
    """Why the DICOM tags rule a frontal chest film out; None where they do not.

    `ViewCode` and `RegionCode`: the meanings of the codes that DX has beside the other two. Of a
    region, which may be told in any language, only another part's name counts.
    """

    def told(name: str) -> str:
        return tags.get(name, "").upper().strip()

    if told("PresentationIntentType") == "FOR PROCESSING":
        return FOR_PROCESSING
    part = told("BodyPartExamined")
    where = part or told("RegionCode")
    chest = any(word in where for word in CHEST) and "SPINE" not in where
    other = next((f"{word}, " for word in OTHER_PARTS if word in where), "")
    if not chest and (part or other):
        return f"its DICOM body part is {other}not the chest"
    view = told("ViewPosition")
    if view in OTHER_VIEWS:
        return f"its DICOM view position is {view}, not a frontal view (AP or PA)"
    if OTHER_VIEW_WORDS.search(view) or OTHER_VIEW_WORDS.search(told("ViewCode")):
        return "its DICOM view position is lateral or oblique, not a frontal view (AP or PA)"
    return None


def out_of_age(age: float | None, ages: tuple[float, float] | None) -> str | None:
    """Why a patient of `age` years is not one of those the model is for, from and to, last
    birthdays; None where it is, or where either is not known."""
    if age is None or ages is None:
        return None
    low, high = ages
    if low <= age < high + 1:
        return None
    return (
        f"the patient is {_years(age)}{TRAINED_ON}{low:g} to "
        f"{high:g} years; a person must read the film"
    )


def without_age(reason: str) -> str:
    """A reason of an opinion; if it is of `out_of_age`, without the age, which may tell who it is
    (beyond 89 years by HIPAA's rules, 45 CFR 164.514)."""
    _, found, ages = reason.partition(TRAINED_ON)
    return f"the patient's age lies outside of {ages}" if found else reason


def unknown_age(ages: tuple[float, float] | None) -> str:
    """What is said where nobody told the age, of the patient or of those the model is for."""
    if ages is None:
        return "nobody told of what ages the patients were that the model was trained on"
    return f"the patient's age is not known; the opinion holds for {ages[0]:g} to {ages[1]:g} years"


def _years(age: float) -> str:
    if age >= 1:
        return f"{int(age)} years old"
    return f"{int(age * 12)} months old"


def gate_from_card(raw: dict[str, Any]) -> Gate:
    """The limits out of a card's `gate` field. Raises ValueError with what is wrong."""
    kinds = raw.get("kinds")
    if not isinstance(kinds, list) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds must be a list out of {', '.join(KINDS)}")
    limits = {}
    for key in ("limit", "strange", "unsure", "suspect"):
        # Earlier cards have no strangeness: there the limit holds for all there is.
        value = raw.get(key, raw.get("limit") if key == "strange" else None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ValueError(f"{key} must be a finite number")
        limits[key] = float(value)
    return Gate(tuple(kinds), **limits, how=str(raw.get("how", "")))
