"""Ages as tables and DICOM files tell them, and what is said where they are void."""

from pathlib import Path

import pytest

from firstread.cohort.ages import why_unused, years_of
from firstread.cohort.table import Cohort, FilmRow


@pytest.mark.parametrize(
    ("told", "years"),
    [("3", 3.0), ("0.5", 0.5), ("17,5", 17.5), ("003Y", 3.0), ("036M", 3.0), ("006M", 0.5),
     ("3 years", 3.0), ("", None), ("abc", None), ("999", None), ("999Y", None)],
)  # fmt: skip
def test_years(told: str, years: float | None) -> None:
    assert years_of(told) == years


def films(*ages: str) -> Cohort:
    return Cohort(
        Path(),
        tuple(
            FilmRow(f"{i}.png", Path(f"{i}.png"), i % 2, f"P{i}", extra={"age": age} if age else {})
            for i, age in enumerate(ages)
        ),
    )


def test_what_made_them_void_is_named() -> None:
    assert why_unused(films("3", "4Y")) is None
    assert why_unused(films("", "")) is None  # nobody has told any
    assert why_unused(films("3", "abc")) == "ages are not used: 1.png holds 'abc', no age"
    assert why_unused(films("", "4", "")) == "ages are not used: 0.png tells none, and 1 more"
