"""The failure catalogue is complete, and names only tests that exist."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults.catalogue import CATALOGUE
from tests.faults.rows import Row, row

TESTS = Path(__file__).parents[1]
WANTED = (
    *(str(number) for number in range(1, 71)),
    *(f"H{number}" for number in range(1, 13)),
    *(f"2.{number}" for number in range(1, 38)),
    *(f"3.{number}" for number in range(1, 10)),
    *(f"F{number}" for number in range(1, 4)),
)


@cache
def declared_in(module: str) -> frozenset[str]:
    """The names of the tests in a module (`folder.test_name`), from its source."""
    file = TESTS.joinpath(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        return frozenset()
    body = ast.parse(file.read_text("utf-8")).body
    return frozenset(each.name for each in body if isinstance(each, ast.FunctionDef))


def missing(each: Row) -> list[str]:
    """The tests of a row that do not exist."""
    named = [name.partition("::") for name in each.tests]
    return [f"{module}::{name}" for module, _, name in named if name not in declared_in(module)]


def test_no_row_is_missing() -> None:
    """The rows of the catalogue, of the base library's holes and issues, and of what was found."""
    assert sorted(CATALOGUE) == sorted(WANTED)


@pytest.mark.parametrize("number", CATALOGUE)
def test_the_tests_of_a_row_exist(number: str) -> None:
    """Each named test exists, once; a row without tests has a note that says why."""
    each = CATALOGUE[number]
    assert missing(each) == []
    assert each.tests or each.note
    assert len(set(each.tests)) == len(each.tests)


def test_a_missing_test_is_reported() -> None:
    """A test or a module that does not exist is reported."""
    wrong = row("x", "faults.test_catalogue::test_no_row_is_missing test_gone", "faults.test_gone::test_x")
    assert missing(wrong) == ["faults.test_catalogue::test_gone", "faults.test_gone::test_x"]
