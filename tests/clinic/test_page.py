"""The pages: whole for every outcome, no number that is not in the JSON, nothing from outside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from bundles import tiny_bundle
from clinics import clinic, told
from firstread.cli.onboard_lines import lines
from firstread.clinic import drift
from firstread.clinic.onboard import onboard
from firstread.clinic.page import onboard_page, write_drift_page
from firstread.evaluate.page import number, percent, percent_span, places
from firstread.read.bundle import Bundle
from firstread.read.digits import limits_in_digits


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(tiny_bundle(tmp_path_factory.mktemp("b") / "bundle"))


def page(bundle: Bundle, n: int = 240, share: float = 0.5, **asked: Any) -> tuple[Any, str]:
    result = onboard(*clinic(bundle, n, share=share), bundle, draws=50, **asked).result
    return result, onboard_page(result)


@pytest.fixture(scope="module")
def proposal(bundle: Bundle) -> tuple[Any, str]:
    return page(bundle, sensitivity=0.9, prevalence=0.05)


def test_a_proposal(proposal: tuple[Any, str]) -> None:
    result, text = proposal
    assert "A proposal: nothing is in use." in text
    assert "--signed-by NAME" in text
    for shown in (
        number(result["auc"]),
        percent(result["local"]["sensitivity"]),
        percent(result["local"]["refer_rate"]),
        number(result["local"]["threshold"]),
        result["bundle"]["sha256"],
        *(str(n["needed"]) for n in result["need"]),
    ):
        assert shown in text
    (mine,) = (row for row in result["local"]["predictive"] if row["given"])
    assert percent(mine["ppv"]) in text
    assert "(yours)" in text
    assert text.count("<svg") == 3 - (result["recalibration"]["chosen"] == "as_shipped")
    # It asks nothing of the net.
    assert not re.search(r"(?:src|href)=\"https?://|@import|url\(http", text)


def test_what_is_signed_for_a_rare_disease_can_be_read(bundle: Bundle) -> None:
    """One film in two hundred: with three decimals band and threshold would look like one."""
    result, text = page(bundle, n=4000, share=0.005)
    local = result["local"]
    assert local["threshold"] < 0.002
    threshold, low, high = limits_in_digits(
        local["threshold"], local["refer"]["low"], local["refer"]["high"]
    )
    assert len({threshold, low, high}) == 3
    assert f'<td class="num">{threshold}</td><td class="num">{low} to {high}</td>' in text
    decision = limits_in_digits(result["thresholds"]["decision"]["value"])[0]
    assert f'decision</th><td class="num">{decision}</td>' in text
    assert f"local, threshold {threshold[:6]}" in "\n".join(lines(result))


def test_what_is_nearly_all_or_nearly_none_is_not_shown_as_that(bundle: Bundle) -> None:
    """One of twenty with pneumonia is missed, and one film in two hundred has it."""
    result = onboard(*clinic(bundle, 400, apart=4.0), bundle, draws=50, prevalence=0.005).result
    text, said = onboard_page(result), "\n".join(lines(result))
    (mine,) = (row for row in result["local"]["predictive"] if row["given"])
    assert 0.9995 < mine["npv"]["value"] < 0.9999
    assert f"NPV at 0.5 %</span><b>{100 * mine['npv']['value']:.2f} %</b>" in text
    assert f"<span>{percent_span(mine['npv'])}</span>" in text
    assert "100.0 %" not in text
    assert f"{mine['npv']['value']:.4f} (0.999" in said
    assert "1.000 (" not in said
    assert [percent(x) for x in (1.0, 0.0, 0.9996, 0.0004, 0.954, None)] == [
        *("100.0 %", "0.0 %", "99.96 %", "0.04 %", "95.4 %", "–"),
    ]
    span = {"value": 0.9997, "low": 0.99912, "high": None}
    assert percent_span(span) == "99.91 to – %"
    assert places({"value": 0.02}, 1) == 2


def test_a_signed_one_and_a_name_that_would_be_markup(proposal: tuple[Any, str]) -> None:
    signed: dict[str, Any] = {
        "status": "signed",
        "signed": {"by": "<script>A & B", "date": "2026-03-01"},
    }
    signed["local_bundle"] = {"name": "tiny-local", "path": "x", "sha256": "d" * 64}
    text = onboard_page(proposal[0] | signed)
    assert "Signed off by &lt;script&gt;A &amp; B on 2026-03-01." in text
    assert "<script" not in text
    assert "A proposal" not in text


@pytest.mark.parametrize(("n", "share"), [(30, 0.5), (60, 0.1), (109, 9 / 109), (119, 19 / 119)])
def test_too_few_films(bundle: Bundle, n: int, share: float) -> None:
    result, text = page(bundle, n, share)
    assert result["local"] is None
    assert "too few films for a local bundle" in text
    for w in result["withheld"]:
        assert w["why"] in text
    # What is not known is a dash or "not given", never an empty cell or a word of Python's.
    assert not re.search(
        r"\b(None|nan|undefined)\b", re.sub(r"<svg.*?</svg>", "", text, flags=re.S)
    )


def test_rejected_films(bundle: Bundle) -> None:
    truth, no = np.arange(100) < 50, np.arange(100) % 10 == 0
    z = np.random.default_rng(0).normal(truth * 2.0, 1.0)
    result = onboard(*told(bundle, z, truth, rejected=no), bundle, draws=50).result
    assert "10 rejected" in onboard_page(result)


def test_the_page_of_a_drift(bundle: Bundle, tmp_path: Path) -> None:
    _, look = clinic(bundle, 100)
    base = drift.baseline(look, {"threshold": 0.0, "refer_low": -1.0, "refer_high": 1.0}, "net")
    more = {
        "bundle": {"name": "tiny", "sha256": "e" * 64},
        "data": {"source": "later", "baseline": "b"},
        "command": "x",
        "date": "2026-03-01",
        "versions": {},
    }
    same = drift.compare(base, look, "net") | more
    write_drift_page(tmp_path / "same.html", same)
    assert "No change could be shown." in (tmp_path / "same.html").read_text()
    look.logit[:] += 9
    look.numbers["logit"][:] = look.logit
    moved = drift.compare(base, look, "net") | more
    write_drift_page(tmp_path / "moved.html", moved)
    text = (tmp_path / "moved.html").read_text()
    assert "Changed: the model’s logit" in text.replace("&#39;", "’").replace("'", "’")
