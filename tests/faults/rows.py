"""What a row of the failure catalogue is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What can go wrong, the tests that stand for it (`folder.module::test_name`), and what has none, or why."""

    what: str
    tests: tuple[str, ...]
    without: str = ""


def row(what: str, *tests: str, without: str = "") -> Row:
    """A row; tests of one module may stand in one string, with spaces between: `folder.module::test_a test_b`."""
    named = []
    for each in tests:
        module, _, names = each.partition("::")
        named += [f"{module}::{name}" for name in names.split()]
    return Row(what, tuple(named), without)
