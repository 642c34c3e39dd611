"""The list of stuck steps: a table for a terminal, JSON lines for programs, tab-separated cells for pipes."""

import json
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.operators.stuck import StuckStep
from app.wire.rfc3339 import rfc3339
from app.wire.terminal_text import printable

COLUMNS = ("order", "step", "direction", "attempts", "since (UTC)", "reason", "rollback reason")


def table(steps: Iterable[StuckStep], console: Console) -> None:
    """Prints a table of the steps."""
    made = Table(*COLUMNS)
    for step in steps:
        made.add_row(*(Text(cell) for cell in cells(step)))
    console.print(made)


def cells(step: StuckStep) -> tuple[str, ...]:
    """A row's cells, one for each of COLUMNS, escaped for a terminal."""
    why = "" if step.why is None else step.why.reason
    row = (step.order_id, step.step, step.direction, str(step.attempts), rfc3339(step.since_ms), step.reason, why)
    return tuple(map(printable, row))


def json_line(step: StuckStep) -> str:
    """One JSON object in ASCII; `why` is null when the saga isn't rolling back."""
    why = step.why
    return json.dumps(
        {
            "order_id": step.order_id,
            "step": step.step,
            "direction": step.direction,
            "attempts": step.attempts,
            "since": rfc3339(step.since_ms),
            "reason": step.reason,
            "why": why and {"reason": why.reason, "step": why.step, "requested": why.requested},
        }
    )
