"""The rows of the failure catalogue."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A failure, and the tests that cover it (`folder.module::test_name`). `note`: what no test covers, or why."""

    failure: str
    tests: tuple[str, ...]
    note: str = ""


def row(failure: str, *tests: str, note: str = "") -> Row:
    """A row. One string may name several tests of a module, separated by spaces: `folder.module::test_a test_b`."""
    named = []
    for each in tests:
        module, _, names = each.partition("::")
        named += [f"{module}::{name}" for name in names.split()]
    return Row(failure, tuple(named), note)
