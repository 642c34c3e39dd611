"""The README says what is so."""

import pytest

from tests.house.readme import README, renewed


def test_its_pictures_and_tables_are_those_of_the_code() -> None:
    """`python -m tests.house.readme` writes them anew."""
    text = README.read_text()
    assert text == renewed(text), "README.md is stale: run python -m tests.house.readme"


def test_a_missing_place_for_a_picture_is_told() -> None:
    """A README without markers can't pass by having nothing to compare."""
    with pytest.raises(ValueError, match="flow:begin"):
        renewed("no markers")
