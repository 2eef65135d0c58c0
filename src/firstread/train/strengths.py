"""How strong each random change to a training film is, checked: the table [augment] of a recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from firstread.errors import RecipeError

NOT_NEGATIVE = (
    *("rotate", "brightness", "contrast", "gamma", "tone", "shade"),
    *("noise", "speckle", "blur", "sharpen", "mixup", "style"),
)


@dataclass(frozen=True)
class Augment:
    """Random changes to a training film; each is drawn anew for every film and epoch.

    `crop`: share of the area a random-resized crop keeps, (least, most). `stretch`: most a
    crop's aspect ratio departs from 1, as a factor. `flip`: chance of a left-right mirror.
    `rotate`: degrees either way. `brightness`, `contrast`, `gamma`: strength, as the half-width
    of the factor (gamma: of its logarithm). `tone`: spread of the logarithm of a random tone
    curve's steepness. `shade`: most that a smooth field departs from 1, as a logarithm.
    `noise`, `speckle`: highest standard deviation of additive and multiplicative noise on
    [0, 1]; `impulse`: highest share of black and white pixels; `blur`: highest standard
    deviation in pixels; `sharpen`: highest amount of unsharp masking; each for a share `spoilt`
    of the films. `pixelate`: least share of the side that is kept, `jpeg`: lowest quality (0:
    none), each for half of that share. `swap`: chance that what surrounds the lungs comes from
    another film.
    `hide`: chance that the lungs are painted over, and the label with them is one half.
    `mixup`: the Beta distribution's parameter, 0 for none. `style`: the same of what two films'
    features exchange behind three of the first blocks, each for half of the batches.
    """

    crop: tuple[float, float] = (1.0, 1.0)
    stretch: float = 1.0
    flip: float = 0.0
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    tone: float = 0.0
    shade: float = 0.0
    noise: float = 0.0
    speckle: float = 0.0
    impulse: float = 0.0
    blur: float = 0.0
    sharpen: float = 0.0
    pixelate: float = 1.0
    jpeg: int = 0
    spoilt: float = 0.5
    swap: float = 0.0
    hide: float = 0.0
    mixup: float = 0.0
    style: float = 0.0

    def __post_init__(self) -> None:
        check_finite(self, "augment.")
        low, high = self.crop
        check(0 < low <= high <= 1, "augment.crop", self.crop, "0 < least <= most <= 1")
        check(self.stretch >= 1, "augment.stretch", self.stretch, "1 or more")
        for key in NOT_NEGATIVE:
            value = getattr(self, key)
            check(value >= 0, f"augment.{key}", value, "0 or more")
        check(0 < self.pixelate <= 1, "augment.pixelate", self.pixelate, "above 0 to 1")
        for key in ("flip", "swap", "hide", "spoilt", "impulse"):
            value = getattr(self, key)
            check(0 <= value <= 1, f"augment.{key}", value, "0 to 1")
        check(0 <= self.jpeg <= 90, "augment.jpeg", self.jpeg, "0 to 90")

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return self != Augment()


def check(good: bool, key: str, value: object, wanted: str) -> None:
    """Raise `RecipeError` unless a recipe's value is good; `wanted` says which are."""
    if not good:
        raise RecipeError(f"recipe: {key} = {value!r} is not possible; use {wanted}")


def check_finite(record: Any, prefix: str = "") -> None:
    """Raise `RecipeError` where a number of a recipe or of its augmentation is inf or nan."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, float):
            check(math.isfinite(value), prefix + field.name, value, "a finite number")
