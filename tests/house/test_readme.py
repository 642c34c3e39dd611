"""The README's generated parts agree with the code."""

import pytest

from tests.house.readme import README, renewed


def test_its_diagrams_and_tables_are_up_to_date() -> None:
    """`python -m tests.house.readme` renews them."""
    text = README.read_text()
    assert text == renewed(text), "README.md is stale: run python -m tests.house.readme"


def test_a_missing_marker_is_found() -> None:
    """A README without markers doesn't pass for want of anything to compare."""
    with pytest.raises(ValueError, match="flow:begin"):
        renewed("no markers")
