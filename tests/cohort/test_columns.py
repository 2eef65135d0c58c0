"""Columns as people fill them: numbers with gaps, decimal commas, ages, words."""

import pytest

from firstread.cohort.columns import column_properties, values_of


def test_columns_are_numbers_if_all_their_filled_cells_are() -> None:
    assert values_of(["1", "", "2.5"]) == [1.0, None, 2.5]
    assert values_of(["1", "PA", ""]) == ["1", "PA", None]
    assert values_of(["", " "]) == [None, None]


@pytest.mark.parametrize("blank", ["", "NA", "n/a", "NaN", "?", "-", "Unknown", " null "])
def test_one_cell_that_nobody_knows_makes_no_words(blank: str) -> None:
    assert values_of(["3", blank, "5"]) == [3.0, None, 5.0]
    assert values_of(["AP", blank]) == ["AP", None]


def test_decimal_commas_are_points() -> None:
    assert values_of(["0,5", "12", "1e3"]) == [0.5, 12.0, 1000.0]
    assert values_of(["1,234,567", "2"]) == ["1,234,567", "2"]


def test_ages_are_years() -> None:
    assert values_of(["45Y", "006M", "3"]) == [45.0, 0.5, 3.0]


def test_whether_a_cell_is_filled_is_a_property_where_some_are() -> None:
    columns = {"whole": ["1", "2"], "none": ["", "NA"], "some": ["7", "-"]}
    assert column_properties(columns) == {
        "column whole": [1.0, 2.0],
        "column none": [None, None],
        "column some": [7.0, None],
        "column some (filled or not)": [1.0, 0.0],
    }
