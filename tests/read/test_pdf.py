import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from bundles import tiny_bundle
from firstread.read.bundle import Bundle
from firstread.read.opinion import Opinion, rejected
from firstread.read.pdf import drawable, opinion_pdf, width_of, wrapped

NOTICE = "Not a medical device. The model was trained on films of children of one to five years."


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.load(tiny_bundle(tmp_path / "tiny"))


def opinion(bundle: Bundle) -> Opinion:
    rng = np.random.default_rng(0)
    heat = np.zeros((4, 4), np.float32)
    heat[3, 0] = 1
    return Opinion(
        file="in/肺 $x$ a_b.dcm",
        probability=0.512,
        logit=0.05,
        threshold=0.5,
        decision="refer",
        reasons=("it lies in the band", "an adult"),
        bundle=bundle.name,
        bundle_sha256=bundle.sha256[:12],
        notices=bundle.card.notices,
        notes=("the film is very dark",),
        heat=heat,
        pixels=rng.integers(0, 255, (32, 32), dtype=np.uint8),
        aspect=1.25,
    )


def words(pdf: bytes, folder: Path) -> str:
    """The page's text, in one line, as poppler reads it."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    (folder / "page.pdf").write_bytes(pdf)
    told = ["pdftotext", "-layout", str(folder / "page.pdf"), "-"]
    out = subprocess.run(told, capture_output=True, text=True, check=True).stdout
    assert out.count("\f") == 1  # pages
    return " ".join(out.split())


def test_the_page_says_what_the_opinion_says(bundle: Bundle, tmp_path: Path) -> None:
    page = words(opinion_pdf(opinion(bundle), bundle), tmp_path)
    for text in (
        r"in/\u80ba $x$ a_b.dcm",
        NOTICE,
        "refer",
        "probability of pneumonia 0.512",
        "threshold 0.500",
        "it lies in the band",
        "an adult",
        "the film is very dark",
        "lower part of the film, on the patient's right",
        "probability 0.500 on. by hand",
        "probability 0.400 to 0.600. by hand",
        bundle.sha256,
        "what spoke for pneumonia",
        "read by no person",
    ):
        assert text in page


def test_the_same_opinion_gives_the_same_bytes(bundle: Bundle) -> None:
    first = opinion_pdf(opinion(bundle), bundle)
    assert opinion_pdf(opinion(bundle), bundle) == first
    assert not re.search(rb"/(CreationDate|ModDate)", first)


def test_what_a_user_has_set_for_pictures_changes_no_page(bundle: Bundle) -> None:
    first = opinion_pdf(opinion(bundle), bundle)
    dark = {"savefig.facecolor": "black", "savefig.bbox": "tight", "pdf.fonttype": 42}
    with matplotlib.rc_context({**dark, "text.usetex": True}):
        assert opinion_pdf(opinion(bundle), bundle) == first
        assert matplotlib.rcParams["savefig.facecolor"] == "black"


def test_rejected_films_show_no_map(bundle: Bundle, tmp_path: Path) -> None:
    page = words(opinion_pdf(rejected("x.png", "damaged; copy it again", bundle), bundle), tmp_path)
    assert "rejected" in page
    assert "no probability" in page
    assert "damaged; copy it again" in page
    turned = replace(opinion(bundle), decision="rejected")
    assert "what spoke" not in words(opinion_pdf(turned, bundle), tmp_path)


def test_an_unruly_opinion_stays_on_its_page(bundle: Bundle, tmp_path: Path) -> None:
    film = replace(
        opinion(bundle),
        file="x" * 2000,
        reasons=("why " * 400,) * 3,
        notes=("n" * 900,),
        aspect=50.0,
    )
    page = words(opinion_pdf(film, bundle), tmp_path)
    assert bundle.sha256 in page


def test_of_a_long_name_the_end_is_shown(bundle: Bundle, tmp_path: Path) -> None:
    uid = "1.2.826.0.1.3680043.8.498." + "7" * 38
    names = [f"export/{uid}/{uid}/{uid}/{uid[:-1]}{n}.dcm" for n in "12"]
    names += ["y" * 60_000 + f"/{n}.png" for n in "12"]
    for name in names:
        page = words(opinion_pdf(replace(opinion(bundle), file=name), bundle), tmp_path)
        heading = page.split("opinion on one film")[1].split("Not a medical")[0]
        shown = heading.replace(" ", "")
        assert shown.startswith("…")
        assert name.endswith(shown[1:])
        assert len(shown) > 100


def test_every_notice_is_shown_whole(tmp_path: Path) -> None:
    notices = [f"Notice {i}: " + "said of every opinion, " * i + f"end {i}." for i in range(20)]
    bundle = Bundle.load(tiny_bundle(tmp_path / "wordy", notices=notices))
    film = replace(opinion(bundle), file="x" * 900)
    page = words(opinion_pdf(film, bundle), tmp_path)
    assert [notice for notice in (NOTICE, *notices) if notice not in page] == []
    assert bundle.sha256 in page


def test_lines_are_no_wider_than_asked_and_lose_nothing() -> None:
    text = "one two " + "w" * 100 + " three"
    lines = wrapped(text, 9, 200)
    assert all(width_of(line, 9) <= 200 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert drawable("\x1b\udcff\n") == r"?\udcff "
