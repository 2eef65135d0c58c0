"""The local bundle: the same network with a clinic's own calibration, thresholds and band.

Nothing of the network changes, so the graph is copied byte for byte. The card says what it was
derived from (`derived_from`: name and sha256 of the bundle and of its graph), what the clinic's
films were (`local`: counts, hash, what was asked for), and who signed it off on which day. It is
written only when it is signed off: a threshold is a decision, and somebody has to have made it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import firstread
from firstread.errors import DataError
from firstread.evaluate.operating import OperatingPoint
from firstread.read.bundle import Bundle, write_bundle

# What an earlier onboarding left in a card, which the next one takes the place of.
_LOCAL = re.compile(r"-local-\d{4}-\d\d-\d\d$")
_SET_ON = "Calibration and thresholds were set on"


def check_signature(by: str | None, date: str | None) -> dict[str, str] | None:
    """{"by", "date"}, or None where nobody signs. Raises `DataError` for half a signature."""
    if by is None and date is None:
        return None
    if not (by or "").strip() or not date:
        raise DataError("to sign off give both, --signed-by NAME and --date YYYY-MM-DD")
    try:
        day = datetime.date.fromisoformat(date)
    except ValueError:
        raise DataError(f"--date {date}: no such day; write it as YYYY-MM-DD") from None
    return {"by": " ".join(str(by).split()), "date": day.isoformat()}


def local_card(
    base: Bundle, point: OperatingPoint, result: Mapping[str, Any], signed: Mapping[str, str]
) -> dict[str, Any]:
    """The card of the local bundle; `result`: of `clinic.onboard`."""
    card = base.card
    raw = dict(card.raw)
    raw |= point.to_card()
    films = f"{result['n']} films ({result['n_pneumonia']} with pneumonia)"
    raw |= {
        "name": f"{_LOCAL.sub('', card.name)}-local-{signed['date']}",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": firstread.__version__,
        "derived_from": {
            "name": card.name,
            "sha256": base.sha256,
            "onnx_sha256": card.onnx_sha256,
        },
        "local": {
            "films": result["n"],
            "normal": result["n_normal"],
            "pneumonia": result["n_pneumonia"],
            "rejected": result["n_rejected"],
            "patients": result["n_patients"],
            "sha256": result["data"]["sha256"],
            "asked": result["asked"],
            "prevalence": result["prevalence"],
            "calibration": result["recalibration"]["chosen"],
            "auc": result["auc"],
            "warnings": list(result["warnings"]),
            "seed": result["seed"],
            "signed": dict(signed),
        },
        # Whoever evaluates it on these films is warned: its thresholds were chosen on them.
        "data": {**card.raw["data"], "local_sha256": result["data"]["sha256"]},
        "notices": [
            *(n for n in card.raw["notices"] if not n.startswith(_SET_ON)),
            f"{_SET_ON} {films} of one clinic and signed off by {signed['by']} on "
            f"{signed['date']}; they hold there and nowhere else.",
        ],
    }
    return raw


def write_local(
    folder: Path,
    base: Bundle,
    point: OperatingPoint,
    result: Mapping[str, Any],
    signed: Mapping[str, str],
) -> Bundle:
    """Write the local bundle whole or not at all. Raises `BundleError` or `OutputError`."""
    card = local_card(base, point, result, signed)
    return write_bundle(folder, base.onnx_path.read_bytes(), card)
