"""Numbers beside each other look as they are, in every form of an opinion."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bundles import tiny_bundle
from dicom_films import dicom_film
from firstread.read.bundle import Bundle
from firstread.read.dicom_out import results
from firstread.read.dicom_out.sc import banner
from firstread.read.dicom_out.uids import result_key
from firstread.read.digits import MOST, in_digits, in_percent, limits_in_digits
from firstread.read.entry import entry_of
from firstread.read.fhir import opinion_fhir
from firstread.read.gate import Verdict
from firstread.read.opinion import Opinion, band_reason, decide
from firstread.read.outputs import Table
from firstread.read.page import page_parts
from firstread.read.pdf import _digits

RARE = {
    "thresholds": {"decision": {"value": 0.00088, "how": "by hand"}},
    "refer": {"low": 0.00087, "high": 0.00137, "how": "by hand"},
}
"""As an onboarding sets them where one film in two hundred has pneumonia."""


@pytest.fixture
def rare(tmp_path: Path) -> Bundle:
    return Bundle.load(tiny_bundle(tmp_path / "rare", **RARE))


def opinion(bundle: Bundle, probability: float, decision: str | None = None) -> Opinion:
    said, reasons = decide(probability, Verdict(), bundle, 3.0)
    heat, pixels = np.ones((4, 4), np.float32), np.zeros((32, 32), np.uint8)
    return Opinion(
        file="a.png",
        probability=probability,
        logit=0.0,
        threshold=bundle.card.threshold,
        decision=decision or said,
        reasons=reasons,
        bundle=bundle.name,
        bundle_sha256=bundle.sha256[:12],
        notices=bundle.card.notices,
        heat=heat,
        pixels=pixels,
        aspect=1.0,
    )


def page(one: Opinion, bundle: Bundle) -> str:
    return " ".join("".join(page_parts([entry_of(one)], {one.decision: 1}, bundle)).split())


def test_no_probability_looks_like_certainty() -> None:
    for p in (1.0, 1 - 1e-16, 0.99996, 0.9995):
        assert in_digits(p, 0.5) == (">0.999", "0.500")
        assert in_digits(1 - p, 0.5) == ("<0.001", "0.500")
    assert in_digits(0.9994, 0.5) == ("0.999", "0.500")
    assert in_percent(1.0, 0.5) == (99.99, 50.0)
    assert in_percent(0.0, 0.5) == (0.01, 50.0)
    assert limits_in_digits(0.5, 0.0, 1.0) == ("0.500", "0.000", "1.000")
    assert limits_in_digits(0.0) == ("0.000",)
    assert limits_in_digits(0.00088, 0.9951) == ("0.00088", "0.99510")


def test_numbers_stand_in_the_order_that_they_have() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        limit = float(rng.choice([rng.random(), 10 ** -rng.uniform(1, 6), 1 - 1e-5]))
        near = float(np.clip(limit + rng.normal() * 10 ** -rng.uniform(0, 7), 0.0, 1.0))
        p, at = in_digits(near, limit)
        assert (float(p.strip("<>")) < float(at)) == (near < limit)
        certainty, threshold = in_percent(near, limit)
        assert (certainty < threshold) == (near < limit)
        assert 0 < certainty < 100
        assert 0 < float(at) < 1
    assert len(in_digits(0.5, 0.5 + 1e-15)[0]) == MOST + 2


def test_a_rare_disease_has_a_threshold_that_can_be_read(rare: Bundle) -> None:
    below = opinion(rare, 0.00086)
    assert below.decision == "no pneumonia"
    said = "probability of pneumonia 0.00086, threshold 0.00088"
    assert said in page(below, rare)
    assert "0.00088 on." in page(below, rare)
    assert "0.00087 to 0.00137." in page(below, rare)
    assert _digits(below, rare) == ("0.00086", "0.00088", "0.00087", "0.00137")
    assert "probability 0.00086, threshold 0.00088" in banner(below)[1]
    assert Table(["a.png"]).row(below).split()[1] == "0.00086"
    why = band_reason(0.0009, rare.card)
    assert why is not None
    assert why.startswith("0.00090 lies in the uncertain band from 0.00087 to 0.00137")


def test_reports_keep_threshold_and_decision_together(rare: Bundle) -> None:
    film = dicom_film()
    one = replace(opinion(rare, 0.000879), decision="no pneumonia", reasons=())
    numbers = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in _all(results(one, film)[0])
        if "MeasuredValueSequence" in item
    ]
    assert numbers == [0.0879, 0.088]
    told = opinion_fhir(one, rare, film).decode()
    assert '"value": 0.0879' in told
    assert "Probability of pneumonia 0.0879 %, threshold 0.088 %." in told
    # What is shown is part of what a result is named by.
    other = replace(one, probability=0.000878)
    assert result_key(one, "1.2", False) != result_key(other, "1.2", False)


def _all(item):  # type: ignore[no-untyped-def]
    for part in item.get("ContentSequence", ()):
        yield part
        yield from _all(part)


def test_no_number_stands_beside_a_film_that_was_turned_away(tmp_path: Path) -> None:
    bundle = Bundle.load(tiny_bundle(tmp_path / "tiny"))
    turned = opinion(bundle, 0.983, "rejected")
    assert "no probability" in page(turned, bundle)
    assert _digits(turned, bundle)[0] == ""
    assert re.search(r"a\.png +-  rejected", Table(["a.png"]).row(turned))
    for shown in (page(turned, bundle), Table(["a.png"]).row(turned)):
        assert "0.983" not in shown
    assert turned.to_json()["probability"] == 0.983


def test_columns_stay_where_they_are() -> None:
    rows = [
        Table(["a.png"]).row(Opinion("a.png", p, 0.0, 0.5, "pneumonia")) for p in (0.9, 0.99999)
    ]
    assert rows[0].index("pneumonia") == rows[1].index("pneumonia")
    assert [row.split()[1] for row in rows] == ["0.900", ">0.999"]
