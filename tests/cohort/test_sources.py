"""The records of public sets: complete, consistent, and honest about what is not known."""

import pytest

from firstread.cohort.sources import GUANGZHOU, SOURCES, Source
from firstread.cohort.table import CLASS_FOLDERS, PARTS


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_record_can_be_used(source: Source) -> None:
    assert SOURCES[source.name] is source
    assert source.licence
    assert source.citation
    assert bool(source.ways) != bool(source.manual)
    for text in (source.title, source.licence, source.citation, source.note, *source.manual):
        assert "\n" not in text
    assert len({way.name for way in source.ways}) == len(source.ways)
    for way in source.ways:
        assert way.page.startswith("https://")
        assert bool(way.url) != bool(way.handle)
        assert not way.url or way.url.startswith("https://")
        for folder in way.counts:
            part, label = folder.split("/")
            assert part in source.parts
            assert label in source.labels


def test_manual_steps_end_in_a_check() -> None:
    for source in SOURCES.values():
        if source.manual:
            assert "https://" in source.manual[0]
            assert "firstread data check" in source.manual[-1]


def test_a_set_whose_ids_are_those_of_films_says_who_the_patient_is() -> None:
    """RSNA's patientId is a film's, and so is the PatientID in its files."""
    steps = " ".join(SOURCES["rsna-pneumonia"].manual)
    assert "columns file, label, patient" in steps
    assert "dataset-mappings_2018.json" in steps


def test_guangzhou_counts_agree_between_the_two_ways() -> None:
    counts = {way.name: way.counts for way in GUANGZHOU.ways}
    mendeley, kaggle = counts["mendeley"], counts["kaggle"]
    assert sum(mendeley.values()) == sum(kaggle.values()) == 5856
    assert sum(n for f, n in mendeley.items() if f.startswith("train/")) == 5232
    for label in GUANGZHOU.labels:  # Kaggle moved 16 films of train to val
        assert kaggle[f"train/{label}"] + kaggle[f"val/{label}"] == mendeley[f"train/{label}"]
        assert kaggle[f"test/{label}"] == mendeley[f"test/{label}"]


def test_folders_are_those_a_cohort_reads() -> None:
    assert GUANGZHOU.parts == PARTS
    assert dict(GUANGZHOU.labels) == CLASS_FOLDERS


def test_a_way_is_known_by_its_counts() -> None:
    for way in GUANGZHOU.ways:
        assert GUANGZHOU.way_of(dict(way.counts)) is way
    assert GUANGZHOU.way_of({"train/NORMAL": 1}) is None
