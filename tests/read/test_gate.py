import numpy as np
import pytest

from firstread.film.age import age_of
from firstread.read.gate import (
    KINDS,
    OTHER_VIEW_CODES,
    STRANGE,
    TURNED,
    UNKNOWN_PART,
    Gate,
    Verdict,
    gate_from_card,
    judge,
    oddness,
    out_of_age,
    strangeness,
    told_doubt,
    told_mirrored,
    told_otherwise,
    unknown_age,
    without_age,
)

GATE = Gate(tuple(KINDS), limit=2.0, strange=4.0, unsure=1.0, suspect=-1.0, how="by hand")


def logits(odd: float, kind: int = 2, strange: float = 0.0) -> np.ndarray:
    """Outputs of a film whose oddness is `odd`, most like the kind with that number."""
    z = np.full(1 + len(KINDS) + 1, -50.0, np.float32)
    z[0], z[1 + kind], z[-1] = 0.0, odd, strange
    return z


def no_doubt() -> str | None:
    return None


def test_oddness_is_the_log_odds_of_any_bad_kind() -> None:
    z = np.log(np.array([[0.5, 0.2, 0.1, 0.1, 0.1]], np.float32))
    assert oddness(z)[0] == pytest.approx(0.0, abs=1e-6)
    assert oddness(logits(3.0)[None])[0] == pytest.approx(3.0, abs=1e-5)


def test_an_output_of_an_earlier_version_has_no_strangeness() -> None:
    z = logits(3.0, strange=1.5)[None]
    assert strangeness(z)[0] == pytest.approx(4.5, abs=1e-5)
    assert strangeness(z[:, :-1])[0] == pytest.approx(3.0, abs=1e-5)


def test_the_limits() -> None:
    assert judge(GATE, logits(-3.0), no_doubt) == Verdict()
    refer = judge(GATE, logits(1.5), no_doubt).refer
    assert refer is not None
    assert refer.startswith("perhaps no upright frontal chest film: it looks like a film upside")
    reject = judge(GATE, logits(2.5, kind=3), no_doubt).reject
    assert reject is not None
    assert "a negative" in reject
    strange = judge(GATE, logits(1.5, strange=3.0), no_doubt).reject
    assert strange == "no upright frontal chest film: " + STRANGE
    perhaps = judge(GATE, logits(0.5, strange=2.0), no_doubt).refer
    assert perhaps == "perhaps no upright frontal chest film: " + STRANGE


def test_the_reason_is_the_measure_further_beyond_what_good_films_have() -> None:
    odder = judge(GATE, logits(0.8, strange=0.5), no_doubt).refer
    assert odder is not None
    assert "it looks like a film upside" in odder
    stranger = judge(GATE, logits(1.2, strange=2.5), no_doubt).refer
    assert stranger == "perhaps no upright frontal chest film: " + STRANGE


def test_lungs_are_looked_for_only_where_the_probe_is_in_doubt() -> None:
    asked = []

    def one_lung() -> str:
        asked.append(True)
        return "only one lung was found"

    assert judge(GATE, logits(-1.5), one_lung) == Verdict()
    assert not asked
    assert judge(GATE, logits(0.0), one_lung).reject is not None
    assert asked


@pytest.mark.parametrize("part", ["", "CHEST", "Thorax", "RIBCAGE", "PORT CHEST", "BABYGRAM"])
def test_names_of_the_chest(part: str) -> None:
    assert told_otherwise({"BodyPartExamined": part, "ViewPosition": "PA"}) is None


def test_tags_that_rule_it_out() -> None:
    assert (
        told_otherwise({"BodyPartExamined": "HAND"}) == "its DICOM body part is HAND, not the chest"
    )
    said = told_otherwise({"ViewPosition": "LL"})
    assert said is not None
    assert "not a frontal view" in said
    assert told_otherwise({"ViewPosition": "whatever"}) is None


@pytest.mark.parametrize(
    "part",
    ["CXR", "TORACE", "POITRINE", "BRUSTKORB", "KLATKA PIERSIOWA", "T-D3000", "UNKNOWN", "*"],
)
def test_the_chest_in_other_words_and_none(part: str) -> None:
    tags = {"BodyPartExamined": part}
    assert told_otherwise(tags) is None
    assert told_doubt(tags) is None


def test_a_part_that_is_no_part_leaves_the_region_to_tell() -> None:
    assert told_otherwise({"BodyPartExamined": "OTHER", "RegionCode": "Foot"}) is not None


def test_an_unknown_word_for_the_part_is_for_a_person_and_is_not_quoted() -> None:
    tags = {"BodyPartExamined": "<b>\nDOE^JOHN"}
    assert told_otherwise(tags) is None
    assert told_doubt(tags) == UNKNOWN_PART


@pytest.mark.parametrize(
    "tags",
    [
        {"BodyPartExamined": "THORACIC SPINE"},
        {"ViewPosition": "LPO"},
        {"ViewPosition": "LEFT LATERAL"},
        {"ViewPosition": "AP OBLIQUE"},
        {"ViewPosition": "", "ViewCode": "Right lateral"},
        {"ViewPosition": "PA_LATERAL"},
        {"ViewPosition": "LLAT"},
        {"RegionCode": "Foot"},
        {"RegionCode": "Thoracic spine"},
        {"PresentationIntentType": "FOR PROCESSING"},
        {"ViewPosition": "AP\\LL"},
        {"ViewPosition": "ML"},
        {"ViewPosition": "lm"},
        {"ViewPosition": "AP LLD"},
        {"ViewPosition": "RLO PA"},
        {"ViewCodeValue": "SCT 399162004"},
        {"ViewCodeValue": "SRT R-102C5"},
        {"ViewPosition": "PROFIL"},
        {"ViewPosition": "seitlich"},
        {"ViewCode": "kljflk", "ViewCodeValue": "SCT 399067008"},
        {"ViewCodeValue": "SRT R-10236"},
        {"PatientOrientation": "A\\F"},
        {"PatientOrientation": "PR\\F"},
        {"PatientOrientation": "L\\P"},
    ],
    ids=str,
)
def test_other_ways_to_tell_that_it_is_none(tags: dict[str, str]) -> None:
    assert told_otherwise(tags) is not None


@pytest.mark.parametrize(
    "tags",
    [
        {"ViewPosition": "PA", "ViewCode": "postero-anterior", "RegionCode": "Chest"},
        {"ViewPosition": "PLATE", "RegionCode": "Torace"},
        {"BodyPartExamined": "CHEST", "RegionCode": "Head and neck"},
        {"RegionCode": "Chest, abdomen and pelvis"},
        {"PresentationIntentType": "FOR PRESENTATION"},
        {"ViewPosition": "AP\\PA", "ViewCodeValue": "SCT 272479007"},
        {"ViewCodeValue": "99LOCAL 399067008"},
        {"ViewCodeValue": "SCT 399061009"},
        {"ViewPosition": "AP AXIAL"},
        {"ViewPosition": "L"},
        {"ViewPosition": "FB"},
        {"ViewPosition": "WORLD"},
        {"PatientOrientation": "L\\F"},
        {"PatientOrientation": "LA\\FP"},
    ],
    ids=str,
)
def test_what_tells_nothing_against_it(tags: dict[str, str]) -> None:
    assert told_otherwise(tags) is None
    assert told_doubt(tags) is None
    assert not told_mirrored(tags)


@pytest.mark.parametrize("told", ["L\\H", "F\\L", "H\\R", "R\\H"])
def test_an_orientation_that_is_not_upright_is_for_a_person(told: str) -> None:
    assert told_otherwise({"PatientOrientation": told}) is None
    assert told_doubt({"PatientOrientation": told}) == TURNED


def test_a_mirrored_film_is_known_by_its_orientation() -> None:
    assert told_mirrored({"PatientOrientation": "R\\F"})
    assert told_doubt({"PatientOrientation": "R\\F"}) is None


def test_the_reason_can_be_told_without_the_age() -> None:
    for age in (0.5, 40.2, 95):
        said = out_of_age(age, (1, 5))
        assert said is not None
        assert without_age(said) == (
            "the patient's age lies outside of 1 to 5 years; a person must read the film"
        )
    for other in (unknown_age((1, 5)), unknown_age(None), "it is dim"):
        assert without_age(other) == other


def test_a_film_whose_features_are_no_numbers_does_not_pass() -> None:
    assert judge(GATE, logits(-5.0), no_doubt) == Verdict()
    for place in (0, 1, -1):
        broken = logits(-5.0)
        broken[place] = np.nan
        assert judge(GATE, broken, no_doubt).reject is not None


def test_out_of_age_counts_birthdays() -> None:
    assert out_of_age(None, (1, 5)) is None
    assert out_of_age(5.9, (1, 5)) is None
    said = out_of_age(40.2, (1, 5))
    assert said is not None
    assert said.startswith("the patient is 40 years old")
    young = out_of_age(0.5, (1, 5))
    assert young is not None
    assert "6 months old" in young


def test_an_infant_is_as_many_months_old_as_the_file_tells() -> None:
    for months in range(12):
        said = out_of_age(age_of({"PatientAge": f"{months:03}M"}), (1, 5))
        assert said is not None
        assert f"the patient is {months} months old" in said
    assert "1 months" in str(out_of_age(59 / 365.25, (1, 5)))  # not yet two


def test_a_card_with_a_senseless_gate() -> None:
    good = {"kinds": list(KINDS), "limit": 2, "unsure": 1, "suspect": 0, "how": ""}
    assert gate_from_card(good).limit == 2.0
    assert gate_from_card(good).strange == 2.0  # an earlier card
    assert gate_from_card(good | {"strange": 3}).strange == 3.0
    for key, value in (("kinds", []), ("kinds", ["cat"]), ("limit", "2"), ("unsure", float("nan"))):
        with pytest.raises(ValueError, match=key):
            gate_from_card(good | {key: value})


def test_ages_that_nobody_told_turn_nobody_away() -> None:
    assert out_of_age(57, None) is None
    assert "nobody told of what ages" in unknown_age(None)


def test_every_view_code_of_the_standard_is_told_apart() -> None:
    """Read on: those from the front or the back, and what may be called so of a lordotic film."""
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr.codedict import codes

    views = {
        getattr(getattr(codes, f"cid{cid}"), name)
        for cid in (4010, 4014)
        for name in cid_concepts[cid]["SCT"]
    }
    read_on = {code.meaning for code in views if code.value not in OTHER_VIEW_CODES}
    assert read_on == {
        *("frontal", "antero-posterior", "postero-anterior"),
        *("axial", "tangential", "oblique axial", "frontal-oblique axial"),
        "sagittal-oblique axial",
    }
