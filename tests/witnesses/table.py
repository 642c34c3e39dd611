"""What the witnesses said, scenario by scenario."""

from collections.abc import Callable, Sequence

_NOTHING = "-"


class Table:
    """Cells of text by scenario and witness, both in the order of their first cell."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}

    def add(self, scenario: str, witness: str, text: str) -> None:
        """Fills one cell."""
        self._rows.setdefault(scenario, {})[witness] = text

    def lines(self) -> list[str]:
        """The table in columns, with a header."""
        witnesses = list(dict.fromkeys(witness for row in self._rows.values() for witness in row))
        rows = [["scenario", *witnesses]]
        rows += [[name, *(row.get(each, _NOTHING) for each in witnesses)] for name, row in self._rows.items()]
        return _aligned(rows)

    def say(self, write: Callable[[str], object]) -> None:
        """Writes all lines, below an empty one, if there is a row."""
        for line in ("", *self.lines()) if self._rows else ():
            write(line)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
