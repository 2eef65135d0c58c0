"""What a bundle says about its model: a card, checked field by field.

A card is a JSON object beside the ONNX file. It carries everything a reader needs to turn
a film into an opinion (preprocessing, calibration, thresholds) and everything a person
needs to trust it or not (data, training, licence, how each number was chosen). A card
with a missing or senseless field is refused with the name of that field: a wrong
threshold read with a shrug would be worse than no opinion.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from firstread.errors import BundleError
from firstread.film.preprocess import FRAMES, Preprocess
from firstread.read.bends import Bends, bend
from firstread.read.gate import Gate, gate_from_card

FORMAT = 1
"""The version of the card's layout that this code reads and writes."""

LABELS = ("no pneumonia", "pneumonia")
"""The labels, in the order of the model's classes."""

Ages = tuple[float, float]
"""Years, from and to."""

AGES: Ages = (1.0, 5.0)
"""Of the patients that a model is for unless its card says otherwise: those of the Guangzhou set
(Kermany et al. 2018)."""

NO_DEVICE = "Not a medical device."
"""What every output says at the least."""


def notice_of(ages: Ages | None) -> str:
    """What every output of a model says, by the ages of those it was trained on; None: untold."""
    if ages is None:
        trained = "Nobody told of what ages the patients were that the model was trained on."
    elif ages == AGES:
        trained = "The model was trained on films of children of one to five years."
    else:
        trained = f"The model was trained on films of patients of {ages[0]:g} to {ages[1]:g} years."
    return f"{NO_DEVICE} {trained}"


@dataclass(frozen=True)
class Calibration:
    """Logit to probability: sigmoid(slope * logit + intercept) (Platt 1999), and how found.

    `bends`: points that the line's logit is bent through before the sigmoid; mostly none.
    """

    slope: float
    intercept: float
    how: str
    bends: Bends = ()


@dataclass(frozen=True)
class Threshold:
    """A probability from which on a film is called pneumonia, and how it was chosen."""

    value: float
    how: str


@dataclass(frozen=True)
class Refer:
    """The band of probabilities, both ends in it, that a person should look at first."""

    low: float
    high: float
    how: str


@dataclass(frozen=True)
class Card:
    """A bundle's card. `onnx_file` is a plain file name; `raw` is the whole JSON object.

    `gate`: None where the model has none. `ages`: in years, of the patients it is for; None where
    nobody told.
    """

    name: str
    arch: str
    created: str
    version: str
    licence: str
    preprocess: Preprocess
    onnx_file: str
    onnx_sha256: str
    calibration: Calibration
    thresholds: dict[str, Threshold]
    refer: Refer
    notices: tuple[str, ...]
    raw: dict[str, Any]
    gate: Gate | None = None
    ages: Ages | None = AGES

    @property
    def threshold(self) -> float:
        """The probability from which on a film is called pneumonia."""
        return self.thresholds["decision"].value

    def probability(self, logit: float) -> float:
        """The calibrated probability of pneumonia, 0 to 1, for a model's raw logit."""
        c = self.calibration
        z = float(bend(c.slope * logit + c.intercept, c.bends))
        if z >= 0:
            return 1.0 / (1.0 + math.exp(-z))
        return math.exp(z) / (1.0 + math.exp(z))

    @classmethod
    def from_dict(cls, raw: object, where: str) -> Card:
        """A checked card. `where` names it in the `BundleError` raised on the first flaw."""
        top = _Fields(raw, where, "")
        if top.take("format") != FORMAT:
            raise BundleError(
                f"{where}: card format {top.take('format')!r} is not {FORMAT}; "
                "install the firstread version that wrote the bundle, or export it again"
            )
        if tuple(top.items("labels")) != LABELS:
            top.wrong("labels", f"must be {list(LABELS)}")
        ready = _preprocess(top.child("preprocess"))
        file, sha = _onnx(top.child("onnx"))
        calibration = _calibration(top.child("calibration"))
        table = top.child("thresholds")
        table.take("decision")
        for key in ("data", "training"):
            top.child(key)
        refer = top.child("refer")
        low, high = refer.share("low"), refer.share("high")
        if low > high:
            top.wrong("refer", "low must not be above high")
        ages = _ages(top)
        return cls(
            name=top.text("name"),
            arch=top.text("arch"),
            created=top.text("created"),
            version=top.text("version"),
            licence=top.text("licence"),
            preprocess=ready,
            onnx_file=file,
            onnx_sha256=sha,
            calibration=calibration,
            thresholds={
                key: Threshold(
                    table.child(key).share("value"), table.child(key).text("how", may_be_empty=True)
                )
                for key in table.raw
            },
            refer=Refer(low, high, refer.text("how", may_be_empty=True)),
            notices=_with_ours(top.items("notices"), ages),
            raw=top.raw,
            gate=_gate(top),
            ages=ages,
        )

    @classmethod
    def from_json(cls, text: str, where: str) -> Card:
        """`from_dict` on JSON text; `BundleError` as well where the text is no JSON."""
        try:
            raw = json.loads(text)
        except ValueError as e:
            raise BundleError(
                f"{where}: not valid JSON ({e}); copy the bundle again or export it anew"
            ) from None
        return cls.from_dict(raw, where)


def _preprocess(ready: _Fields) -> Preprocess:
    size, frame = ready.whole("size", 8, 4096), ready.raw.get("frame", "squash")
    if frame not in FRAMES:
        ready.wrong("frame", f"must be one of {', '.join(FRAMES)}")
    through = ready.whole("through", 0, 4096) if "through" in ready.raw else 0
    return Preprocess(size, frame, through)


def _onnx(onnx: _Fields) -> tuple[str, str]:
    """The graph's file and its sha256."""
    file = onnx.text("file")
    if file in {".", ".."} or "/" in file or "\\" in file:
        onnx.wrong("file", "must be a plain file name")
    sha = onnx.text("sha256")
    if len(sha) != 64:
        onnx.wrong("sha256", "must be 64 hexadecimal digits")
    return file, sha.lower()


def _calibration(told: _Fields) -> Calibration:
    slope = told.number("slope")
    if slope <= 0:
        told.wrong("slope", "must be above 0")
    how = told.text("how", may_be_empty=True)
    return Calibration(slope, told.number("intercept"), how, _bends(told))


def _gate(top: _Fields) -> Gate | None:
    if "gate" not in top.raw:
        return None
    try:
        return gate_from_card(top.child("gate").raw)
    except ValueError as e:
        return top.wrong("gate", str(e))


def _bends(calibration: _Fields) -> Bends:
    """Points whose logits, from and to, both rise: else order of films would be lost."""
    told = calibration.raw.get("bends", [])
    try:
        pairs = tuple((float(x), float(y)) for x, y in told)
    except (TypeError, ValueError):
        return calibration.wrong("bends", "must be a list of pairs of numbers")
    flat = [c for pair in pairs for c in pair]
    rising = all(a < b and c < d for (a, c), (b, d) in itertools.pairwise(pairs))
    if not rising or not all(math.isfinite(c) for c in flat):
        calibration.wrong("bends", "must be pairs of finite numbers that rise")
    return pairs


def _ages(top: _Fields) -> Ages | None:
    ages = top.raw.get("ages", list(AGES))
    if ages is None:
        return None
    sound = isinstance(ages, list) and len(ages) == 2
    if not (sound and all(isinstance(a, int | float) for a in ages) and 0 <= ages[0] <= ages[1]):
        top.wrong("ages", "must be two numbers of years, the lower first")
    return float(ages[0]), float(ages[1])


def _with_ours(said: list[str], ages: Ages | None) -> tuple[str, ...]:
    """The card's notices; ours goes first unless the card says the same."""
    ours = notice_of(ages)
    return tuple(said) if ours in said else (ours, *said)


class _Fields:
    """A JSON object whose fields are taken one by one, each with a named complaint."""

    def __init__(self, raw: object, where: str, path: str):
        self.where, self.path = where, path
        if not isinstance(raw, dict):
            raise BundleError(
                f"{where}: {path.rstrip('.') or 'the card'} must be a JSON object; "
                "export the bundle again"
            )
        self.raw: dict[str, Any] = raw

    def wrong(self, key: str, what: str) -> NoReturn:
        raise BundleError(f"{self.where}: field {self.path}{key} {what}; export the bundle again")

    def take(self, key: str) -> Any:
        if key not in self.raw:
            self.wrong(key, "is missing")
        return self.raw[key]

    def child(self, key: str) -> _Fields:
        return _Fields(self.take(key), self.where, f"{self.path}{key}.")

    def text(self, key: str, may_be_empty: bool = False) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not (value or may_be_empty):
            self.wrong(key, "must be text")
        return str(value)

    def number(self, key: str) -> float:
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, "must be a number")
        if not math.isfinite(value):
            self.wrong(key, "must be a finite number")
        return float(value)

    def whole(self, key: str, low: int, high: int) -> int:
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, f"must be a whole number from {low} to {high}")
        return int(value)

    def share(self, key: str) -> float:
        value = self.number(key)
        if not 0.0 <= value <= 1.0:
            self.wrong(key, "must lie between 0 and 1")
        return value

    def items(self, key: str) -> list[str]:
        value = self.take(key)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.wrong(key, "must be a list of texts")
        return list(value)
