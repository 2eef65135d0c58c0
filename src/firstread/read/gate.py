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

CHEST = ("CHEST", "THOR", "TORAX", "TORAC", "TORAKS", "LUNG", "RIB", "PULM", "HEART", "CXR", "C-XR",
         "BABYGRAM", "TRUNK", "T-D3000", "51185008", "BRUSTK", "BORSTKAS", "POITRINE", "POUMON",
         "POLMON", "KLATKA", "HRUDN", "GRUDN", "GOGUS", "AKCIGER", "MELLKAS",
         "RINTAKE")  # fmt: skip
"""Beginnings and parts of what vendors and languages call the chest in BodyPartExamined (PS3.16
Annex L, its codes in SRT and SCT, and files seen)."""

OTHER_PARTS = ("ABDOMEN", "ANKLE", "ARM", "BREAST", "CALCANEUS", "CLAVICLE", "COCCYX", "ELBOW",
               "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HIP", "HUMERUS",
               "JAW", "KNEE", "LEG", "MANDIBLE", "MAXILLA", "NECK", "PATELLA", "PELVIS", "SACRUM",
               "SCAPULA", "SHOULDER", "SINUS", "SKULL", "SPINE", "TIBIA", "TOE",
               "WRIST")  # fmt: skip
"""Other parts that a message names (PS3.16 Annex L). No other word of the file is quoted: in a
spoilt one, or from a careless hand, it may be a patient's name."""

NO_PART = frozenset({"", "UNKNOWN", "UNDEFINED", "UNSPECIFIED", "NOT SPECIFIED", "OTHER", "OTHERS",
                     "NONE", "N/A", "NA", "*", "-"})  # fmt: skip
"""What is written in BodyPartExamined and tells nothing."""

UNKNOWN_PART = "its DICOM body part is not known here; perhaps it is not the chest"
"""Said of a film with another word there, of a language or a habit that is not listed."""

OTHER_VIEWS = frozenset({"LL", "RL", "RLD", "LLD", "RLO", "LLO", "LPO", "RPO", "LAO", "RAO"})
"""View positions of PS3.3 C.8.1.2.1 that are not frontal, and the oblique ones that files have."""

LETTERS_OF_CODES = frozenset({"ML", "LM", "MLO", "LMO", "CC", "SIO", "XCCL", "XCCM"})
"""What stands in ViewPosition for codes below (PS3.16 CID 4014, after the ACR). Its FB and ISO are
left out, which elsewhere mean a foreign body and the isocentre; a lone L or R, which no table has,
may be a side."""

OTHER_VIEW_WORDS = re.compile(r"(?<![A-Z])([LR]?(LAT|OBL)|PROFIL|SEITL|[LR]L[DO](?![A-Z]))")
"""How the words for such views begin, in ViewPosition and in the code's meaning; and those of the
view positions that mean nothing else beside another word, as in AP LLD."""

SNOMED = frozenset({"SCT", "SRT", "SNM3", "99SDM"})
"""Coding schemes of the codes below: SNOMED CT and its names before (PS3.16 section 8)."""

OTHER_VIEW_CODES = frozenset({
    # lateral, left lateral, right lateral, sagittal, and the two between medial and lateral
    "399067008", "R-102CD", "399173006", "R-10236", "399198007", "R-10232", "30730003", "G-A145",
    "399352003", "R-10228", "399260004", "R-10224",
    # from above or below, and the breast's own
    "399162004", "R-10242", "399196006", "R-10244", "399288005", "R-10248", "399225005", "R-10250",
    "399192008", "R-1024A", "399101009", "R-1024B", "399188001", "R-102D0", "441555000", "R-40AAA",
    "127457009", "G-8310", "119376003", "G-8300",
    # skull, teeth, foot
    "399242004", "R-102C6", "399272005", "R-102C5", "399351005", "R-102C7", "399316002", "R-102C8",
    "399255003", "R-10256", "399360002", "R-10257", "260499007", "R-40810", "399335002", "R-102C4",
    "399071006", "R-102C3",
    # oblique
    "399182000", "R-102C1", "399160007", "R-10204", "399312000", "R-10208", "399059000", "R-10216",
    "399184004", "R-10238", "399236003", "R-10234", "399135007", "R-10220", "399356000", "R-40985",
    "399006002", "R-10212", "399038007", "R-10210", "260426006", "R-40782", "260427002", "R-40783",
    "399368009", "R-10226", "399099002", "R-10230",
})  # fmt: skip
"""Codes of such views (PS3.16 CID 4010 and 4014), whose meaning may be told in any language. Axial
ones are not among them: a lordotic film is called so."""

NOT_FRONTAL = "its DICOM view position is not that of a frontal view (AP or PA)"

FROM_ASIDE = "its DICOM patient orientation is not that of a frontal view (AP or PA)"
"""Said of a film whose rows or columns run from front to back."""

TURNED = "its DICOM patient orientation is not upright; turn it if it is not, or mend the file"
"""Said of a film whose columns do not run to the feet. The picture may have been turned since."""

MIRRORED = (
    "mirrored: by its DICOM patient orientation the patient's right is at the right of the "
    "picture; sides are named by that"
)
"""Noted of a film whose rows run to the patient's right."""

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
    if np.isnan(outputs).any():  # what is no number is above no limit, and would pass
        return Verdict(reject=f"no upright frontal chest film: {STRANGE}")
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

    `ViewCode` and `RegionCode`: the meanings of the codes that DX has beside the other two. A
    part, which may be told in any language, counts against it only by another part's name.
    """

    if _told(tags, "PresentationIntentType") == "FOR PROCESSING":
        return FOR_PROCESSING
    where = _part(tags)
    other = next((word for word in OTHER_PARTS if word in where), None)
    if other is not None and not _is_chest(where):
        return f"its DICOM body part is {other}, not the chest"
    for view in _told(tags, "ViewPosition").split("\\"):
        if view in OTHER_VIEWS | LETTERS_OF_CODES:
            return f"its DICOM view position is {view}, not a frontal view (AP or PA)"
        if OTHER_VIEW_WORDS.search(view):
            return NOT_FRONTAL
    scheme, _, code = _told(tags, "ViewCodeValue").partition(" ")
    if OTHER_VIEW_WORDS.search(_told(tags, "ViewCode")):
        return NOT_FRONTAL
    if scheme in SNOMED and code in OTHER_VIEW_CODES:
        return NOT_FRONTAL
    return FROM_ASIDE if set("AP") & set(_directions(tags)) else None


def told_doubt(tags: dict[str, str]) -> str | None:
    """Why by the DICOM tags a person should look first; None where they give no reason."""
    down = _directions(tags)[1:]
    if down and down != "F":
        return TURNED
    part = _told(tags, "BodyPartExamined")
    return None if part in NO_PART or _is_chest(part) else UNKNOWN_PART


def told_mirrored(tags: dict[str, str]) -> bool:
    """Whether the DICOM tags tell that the picture's right is the patient's right."""
    return _directions(tags)[:1] == "R"


def _told(tags: dict[str, str], name: str) -> str:
    return tags.get(name, "").upper().strip()


def _part(tags: dict[str, str]) -> str:
    """The body part, or where it tells nothing the region's meaning."""
    part = _told(tags, "BodyPartExamined")
    return _told(tags, "RegionCode") if part in NO_PART else part


def _is_chest(where: str) -> bool:
    return any(word in where for word in CHEST) and "SPINE" not in where


def _directions(tags: dict[str, str]) -> str:
    """What the rows and the columns mainly run to: "LF" as a rule; "" where not told."""
    return "".join(way[:1] for way in _told(tags, "PatientOrientation").split("\\"))


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
    return f"{int(age * 12 + 1e-6)} months old"  # 7 / 12 * 12 is a little less than 7


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
