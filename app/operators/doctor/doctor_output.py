"""The findings as lines, coloured and indented on a terminal, and as one JSON object."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.operators.doctor.finding import Finding, Level, exit_code
from app.wire.terminal_text import printable

_STYLES = {Level.OK: "green", Level.UNKNOWN: "dim", Level.WARNING: "yellow", Level.ERROR: "bold red"}
_WIDTHS = (max(map(len, Level)), len("participants"))
_ENDINGS = (
    "all is fine",
    "something is wrong now that passes by itself, or needs a look",
    "a person must change something",
)


def line(finding: Finding) -> str:
    """A finding as text for pipes: one line, and one more with the remedy."""
    head = f"{finding.level.value:{_WIDTHS[0]}}  {finding.check:{_WIDTHS[1]}}  {printable(finding.fact)}"
    remedy = f"\n{'':{_WIDTHS[0]}}  {'':{_WIDTHS[1]}}  -> {printable(finding.remedy)}"
    return head + (remedy if finding.remedy else "")


def print_finding(finding: Finding, console: Console) -> None:
    """Prints a finding to a terminal; long text is indented below its beginning."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=_WIDTHS[0])
    grid.add_column(width=_WIDTHS[1])
    grid.add_column(ratio=1)
    style = _STYLES[finding.level]
    text = Text(printable(finding.fact))
    if finding.remedy:
        text.append(f"\n-> {printable(finding.remedy)}", style)
    grid.add_row(Text(finding.level.value, style), finding.check, text)
    console.print(grid)


def ending(findings: Sequence[Finding]) -> str:
    """The last line: what the exit code means."""
    return _ENDINGS[exit_code(findings)]


def document(findings: Sequence[Finding]) -> str:
    """All findings as one JSON object in ASCII."""
    checks = [finding.document() for finding in findings]
    return json.dumps({"exit_code": exit_code(findings), "checks": checks})
