"""Which parts of the lungs the strongest evidence lies in, in words.

The map is as coarse as 7 x 7 points, so a share says roughly where, never more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firstread.film.lungs import zones
from firstread.read.overlay import HUNG, TOLD, strength

OUTSIDE = "outside the lungs"

LEAST = 0.1
"""Share of the evidence below which a zone is not named."""

_OTHER = {"right": "left", "left": "right"}


@dataclass(frozen=True)
class Region:
    """`zone`: "right upper" (the patient's right) and so on, or "outside the lungs".

    `share`: of all evidence for pneumonia on the film, 0 to 1.
    """

    zone: str
    share: float

    def to_json(self) -> dict[str, Any]:
        """{"zone", "share"}, the share to two places: the map allows no more."""
        return {"zone": self.zone, "share": round(self.share, 2)}


def regions(
    heat: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], mirrored: bool = False
) -> tuple[Region, ...]:
    """Zones that hold a tenth or more of the positive part of `heat` (h, w), strongest first.

    `mask`: the film's lungs, (s, s). `mirrored`: the patient's right is at the right of the
    picture. Empty where no part of the film spoke for pneumonia.
    """
    weight = strength(heat, mask.shape[0]).astype(np.float64)
    total = float(weight.sum())
    if total <= 0.0:
        return ()
    shares = {name: float(weight[zone].sum()) / total for name, zone in zones(mask).items()}
    if mirrored:
        shares = {
            _OTHER[name.split()[0]] + name[name.index(" ") :]: shares[name] for name in shares
        }
    shares[OUTSIDE] = float(weight[~mask].sum()) / total
    named = sorted(shares.items(), key=lambda item: -item[1])
    return tuple(Region(zone, share) for zone, share in named if share >= LEAST)


def in_words(found: tuple[Region, ...], mirrored: bool = False) -> str:
    """One sentence on where the evidence lies, for the page; `mirrored`: as in `regions`."""
    if not found:
        return "No part of the film spoke for pneumonia to the model."
    parts = ", ".join(
        f"{r.share:.0%} {r.zone}" + ("" if r.zone == OUTSIDE else " zone") for r in found
    )
    return (
        f"Evidence for pneumonia by place: {parts}. Sides are the patient's, "
        f"{TOLD if mirrored else HUNG}. This is no finding."
    )
