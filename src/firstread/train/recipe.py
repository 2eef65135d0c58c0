"""A recipe: everything that decides what comes out of a training run, in one frozen record.

A recipe is a TOML file over these defaults; an unknown key is an error. The shipped ones are
`default` and `settle`, `scratch`, `resnet10`, `cnn`, `vgg19` and `vgg19-last-block`, and a TOML of
one's own may start from one of them with `base = "default"`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from firstread.errors import RecipeError
from firstread.film.preprocess import FRAMES, Preprocess
from firstread.model.names import ARCHITECTURES, MAX_SIZE, MIN_SIZE, Opening
from firstread.train.lineage import lineage
from firstread.train.strengths import Augment, check, check_finite

LATER = frozenset({"sharpness", "mirror_size", "start_share", "blind"})
"""Keys that came after the first runs; each is 0 where nothing is asked of it."""
ONCE = "with a frozen base whose features are computed once"
"""What knows no films any more, but features."""

FREEZABLE = {
    "cnn": ("nothing", "base"),
    "vgg19": ("nothing", "base", "all but the last block"),
    "mobilenet_v2": ("nothing", "base", "first blocks"),
    "resnet10": ("nothing", "base"),
}
"""What of each architecture can be kept from learning (`firstread.model.build.freeze`)."""


@dataclass(frozen=True)
class Recipe:
    """One way to train. Sizes in pixels; `lr` is the peak of a one-cycle schedule.

    `size`: what the model reads. `frame`: what of a film that is (`firstread.film.preprocess`).
    `keep_size`: what films are kept at to cut crops from, 0 for `size`. `train_size`: what it is
    trained on, 0 for `size`; crops magnify, so training a little smaller than reading evens the
    apparent size of things (Touvron et al. 2019, arXiv:1906.06423) and is faster. `mirror`: the
    finished model reads every film mirrored as well and gives the means, which takes nearly twice
    the time. `mirror_size`: the smaller side that the mirrored film is read at, 0 for `size`.
    `pretrained`: start from ImageNet. `freeze`: what keeps from learning; see `FREEZABLE`.
    `standardise`, `smooth`, `grain`: what the network does to a film first
    (`firstread.model.names.Opening`).
    `read_grain`: the grain that the finished model evens films to instead, 0 for the same. Crops
    magnify, and what is magnified has less of it than a whole film.
    `start_share`: share of the weights it began with in the finished model, of a recipe that goes
    on from a run (`firstread.train.blend`).
    `focus`: weight of a penalty on the share of the evidence that lies outside of the lungs.
    `blind`: weight of a penalty on what films whose lungs are painted over still tell of the label.
    `lung_share`: share of a crop that must be lung for the film's label to count in full; with
    less of it the label goes to one half, since nobody could tell from such a crop.
    `teachers`: recipes of networks to learn from, trained first (`firstread.train.teachers`);
    `distil`: weight of their opinion in the loss, the rest being the label's.
    `sharpness`: radius of sharpness-aware minimisation, 0 for none; a step takes twice the time.
    `balance`: as many normal films as pneumonia films in every batch. `ema`: decay of the
    averaged weights, 0 for none. `patience`: epochs without a better validation AUC before
    the fit stops, 0 to run them all; the best epoch is then kept instead of the last.
    `precision`: "32-true", "bf16-mixed", or "bf16-if-fast": bfloat16 where the processor
    multiplies it in hardware. It pays on plain convolutions, hurts depthwise ones, and is
    several times slower where it is emulated.
    """

    arch: str = "mobilenet_v2"
    size: int = 224
    frame: str = "squash"
    keep_size: int = 0
    train_size: int = 0
    mirror: bool = False
    mirror_size: int = 0
    pretrained: bool = True
    freeze: str = "nothing"
    epochs: int = 10
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.2
    dropout: float = 0.2
    standardise: bool = False
    smooth: float = 0.0
    grain: float = 0.0
    read_grain: float = 0.0
    start_share: float = 0.0
    focus: float = 0.0
    blind: float = 0.0
    lung_share: float = 0.0
    label_smoothing: float = 0.0
    teachers: tuple[str, ...] = ()
    distil: float = 0.0
    sharpness: float = 0.0
    balance: bool = True
    ema: float = 0.0
    patience: int = 0
    precision: str = "32-true"
    seed: int = 0
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        check_finite(self)
        check(self.arch in ARCHITECTURES, "arch", self.arch, " or ".join(ARCHITECTURES))
        self._check_sizes()
        self._check_fit()
        self._check_lungs()
        self._check_teachers()

    def _check_sizes(self) -> None:
        least, most = MIN_SIZE[self.arch], MAX_SIZE
        check(least <= self.size <= most, "size", self.size, f"{least} to {most} px")
        train, keep = self.train_size, self.keep_size
        fits = train == 0 or least <= train <= most
        check(fits, "train_size", train, f"0, or {least} to {most} px")
        small = self.mirror_size
        half = max(least, (self.size + 1) // 2)
        fits = self.mirror and self.arch != "cnn" and half <= small < self.size
        wanted = f"0, or with mirror (and not with cnn) {half} to {self.size - 1} px"
        check(small == 0 or fits, "mirror_size", small, wanted)
        flat = self.arch == "cnn" and self.fit_size // 16 != self.size // 16
        check(not flat, "train_size", train, "0 with cnn, whose head hangs on the size")
        check(self.frame in FRAMES, "frame", self.frame, " or ".join(FRAMES))
        fits = keep == 0 or self.size <= keep <= most
        check(fits, "keep_size", keep, f"0, or the size to {most} px")
        check(0 <= self.smooth <= 5, "smooth", self.smooth, "0 to 5 px")
        check(0 <= self.grain <= 1, "grain", self.grain, "0 to 1")
        check(0 <= self.read_grain <= self.grain, "read_grain", self.read_grain, "0 to grain")

    def _check_fit(self) -> None:
        check(0 <= self.seed < 2**32, "seed", self.seed, "0 to 4294967295")
        check(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        check(self.batch_size >= 2, "batch_size", self.batch_size, "2 or more")
        check(self.lr > 0, "lr", self.lr, "above 0")
        check(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        check(0 < self.warmup < 1, "warmup", self.warmup, "a share between 0 and 1")
        check(self.patience >= 0, "patience", self.patience, "0 or more")
        check(self.sharpness >= 0, "sharpness", self.sharpness, "0 or more")
        for key in ("label_smoothing", "start_share", "dropout", "ema"):
            check(0 <= getattr(self, key) < 1, key, getattr(self, key), "0 to below 1")
        frozen = FREEZABLE[self.arch]
        check(self.freeze in frozen, "freeze", self.freeze, " or ".join(frozen))
        known = ("32-true", "bf16-mixed", "bf16-if-fast")
        check(self.precision in known, "precision", self.precision, " or ".join(known))
        mixes = self.arch == "mobilenet_v2" and self.freeze == "nothing"
        wanted = "0, or arch = mobilenet_v2 with nothing frozen"
        check(mixes or not self.augment.style, "augment.style", self.augment.style, wanted)

    def _check_lungs(self) -> None:
        for key in ("focus", "blind"):
            check(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")
        check(0 <= self.lung_share < 1, "lung_share", self.lung_share, "0 to below 1")
        fits = not (self.wants_lungs and (self.augment.mixup or self.features_once))
        asked = (self.focus, self.lung_share)
        check(fits, "focus or lung_share", asked, f"0 with augment.mixup, and {ONCE}")
        check(not (self.blind and self.features_once), "blind", self.blind, f"0 {ONCE}")
        hide = self.augment.hide
        check(not hide or self.lung_share > 0, "augment.hide", hide, "0, or a lung_share above 0")

    def _check_teachers(self) -> None:
        check(0 <= self.distil <= 1, "distil", self.distil, "0 to 1")
        fits = bool(self.teachers) == bool(self.distil)
        check(fits, "distil", self.distil, "a weight above 0 with teachers, and 0 without")
        fits = not (self.teachers and (self.augment.mixup or self.features_once))
        check(fits, "teachers", list(self.teachers), f"none with augment.mixup, and {ONCE}")

    @property
    def seen(self) -> Preprocess:
        """How films are made ready for reading: by way of what they are kept at in training."""
        through = self.keep_size if self.frame == "squash" else 0
        return Preprocess(self.size, self.frame, through if through > self.size else 0)

    @property
    def kept(self) -> Preprocess:
        """How films are made ready for training, before every random change."""
        return Preprocess(self.keep_size or self.size, self.frame)

    @property
    def opening(self) -> Opening:
        """What the network does to a film first, in training."""
        return Opening(self.standardise, self.smooth, self.grain)

    @property
    def reading_opening(self) -> Opening:
        """What the finished model does to a film first."""
        return replace(self.opening, grain=self.read_grain or self.grain)

    @property
    def mirrored(self) -> int:
        """Side in pixels at which the finished model reads a film mirrored, 0 for not at all."""
        return (self.mirror_size or self.size) if self.mirror else 0

    @property
    def fit_size(self) -> int:
        """Side of the films while training, in pixels."""
        return self.train_size or self.size

    @property
    def wants_lungs(self) -> bool:
        """Whether training must know where the lungs of each film are."""
        return bool(self.focus or self.lung_share)

    @property
    def features_once(self) -> bool:
        """A frozen base that always sees the same pixels need only be run once."""
        same = self.fit_size == self.kept.size == self.size
        return self.freeze == "base" and not self.augment.active and same

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON; a key that came later only where it says something, so that
        runs from before are known again."""
        return {k: v for k, v in asdict(self).items() if k not in LATER or v}


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by the name of a shipped one, or the path of a TOML file or a run's recipe.json.

    `changes` override single keys, e.g. `seed=1`. Raises `RecipeError`.
    """
    return make_recipe({**_read(name), **changes}, name)


def make_recipe(values: dict[str, Any], name: str) -> Recipe:
    """A recipe from plain values; `name` is only for the error. Raises `RecipeError`."""
    values = dict(values)
    augment = values.pop("augment", {})
    if not isinstance(augment, dict):
        raise RecipeError(f"recipe {name}: augment must be a table, [augment]")
    if "crop" in augment:
        crop = augment["crop"]
        pair = isinstance(crop, (list, tuple)) and len(crop) == 2
        if not pair or any(type(share) not in (int, float) for share in crop):
            raise RecipeError(f"recipe {name}: augment.crop must be two numbers, [least, most]")
        augment = {**augment, "crop": (_float(crop[0]), _float(crop[1]))}
    if "teachers" in values:
        teachers = values["teachers"]
        if not isinstance(teachers, (list, tuple)) or not all(isinstance(t, str) for t in teachers):
            raise RecipeError(f"recipe {name}: teachers must be a list of recipes")
        values["teachers"] = tuple(teachers)
    made = _typed(Augment, augment, name, "augment.")
    recipe: Recipe = _typed(Recipe, {**values, "augment": made}, name, "")
    return recipe


def recipe_toml(recipe: Recipe) -> str:
    """A recipe as TOML, every key written out; `load_recipe` gives the same recipe back."""
    values = recipe.to_dict()
    augment = values.pop("augment")
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    lines += ["", "[augment]"]
    lines += [f"{key} = {_toml(value)}" for key, value in augment.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # Numbers, strings and true or false are written as in JSON, but TOML knows no pairs of escapes.
    return json.dumps(value, ensure_ascii=False)


def _typed(kind: type[Any], values: dict[str, Any], name: str, prefix: str) -> Any:
    defaults = {f.name: getattr(kind(), f.name) for f in dataclasses.fields(kind)}
    for key, value in values.items():
        if key not in defaults:
            raise RecipeError(
                f"recipe {name}: unknown key {prefix}{key}; known are "
                + ", ".join(prefix + k for k in defaults)
            )
        want = type(defaults[key])
        if want is float and type(value) is int:
            values = {**values, key: _float(value)}
        elif type(value) is not want:
            raise RecipeError(f"recipe {name}: {prefix}{key} must be {want.__name__}")
    return kind(**values)


def _float(value: float) -> float:
    """The number; an integer of hundreds of digits is infinite, which no key may be."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _read(name: str) -> dict[str, Any]:
    """The plain values of a recipe over those of its bases."""
    *above, (_, _, values) = lineage(name)
    for step, _, changes in reversed(above):
        augment, own = values.pop("augment", {}), changes.pop("augment", {})
        if not (isinstance(augment, dict) and isinstance(own, dict)):
            raise RecipeError(f"recipe {step}: augment must be a table, [augment]")
        values = {**values, **changes, "augment": {**augment, **own}}
    return values
