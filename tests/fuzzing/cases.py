"""The corpus: film number `index` of `seed` is always the same bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fuzzing import bytes_attacks, dicom_attacks, picture_attacks, zip_attacks
from fuzzing.bytes_attacks import Attack, one, splice
from fuzzing.seeds import all_seeds

HUGE_EVERY = 500
"""One film in so many is a real picture at the limit of pixels, which takes its time."""


class Case(NamedTuple):
    """A spoilt film. `kind`: the seed it was made from. `how`: the attacks, in their order."""

    kind: str
    how: tuple[str, ...]
    data: bytes


def case(seed: int, index: int) -> Case:
    """The film `index` (0 and on) of `seed`.

    Seeds come in turn. Half of the films are spoilt by bytes, half by structure, a few by both or
    by a splice with another seed; one in a hundred is left whole.
    """
    rng = np.random.default_rng([seed, index])
    seeds = all_seeds()
    kinds = tuple(seeds)
    if index % HUGE_EVERY == HUGE_EVERY - 1:
        return Case("png huge", ("png_huge",), picture_attacks.png_huge(rng, b""))
    kind = kinds[index % len(kinds)]
    data = seeds[kind]
    how: list[str] = []
    if rng.random() < 0.01:
        return Case(kind, ("whole",), data)
    if rng.random() < 0.04:
        other = one(rng, kinds)
        data = splice(rng, data, seeds[other])
        how.append(f"splice with {other}")
    for _ in range(int(one(rng, (1, 1, 1, 2, 3)))):
        attacks: tuple[Attack, ...] = bytes_attacks.ATTACKS
        if rng.random() < 0.55:
            attacks = _structured(kind)
        attack = one(rng, attacks)
        data = attack(rng, data) if data else data
        how.append(attack.__name__)
    return Case(kind, tuple(how), data)


def _structured(kind: str) -> tuple[Attack, ...]:
    family = kind.split()[0]
    if family == "dicom":
        return dicom_attacks.ATTACKS
    return zip_attacks.ATTACKS if family == "zip" else picture_attacks.ATTACKS[family]
