"""The list of stuck steps, for people, for other programs, and for pipes."""

import json
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.operators.stuck import StuckStep
from app.wire.plain import plain
from app.wire.times import rfc3339

COLUMNS = ("order", "step", "direction", "attempts", "since (UTC)", "reason", "goes back because")


def table(steps: Iterable[StuckStep], console: Console) -> None:
    """Prints a table."""
    made = Table(*COLUMNS)
    for step in steps:
        made.add_row(*(Text(cell) for cell in cells(step)))
    console.print(made)


def cells(step: StuckStep) -> tuple[str, ...]:
    """What a row has in each column, as plain as a terminal needs it."""
    why = "" if step.why is None else step.why.reason
    row = (step.order_id, step.step, step.direction, str(step.attempts), rfc3339(step.since_ms), step.reason, why)
    return tuple(map(plain, row))


def json_line(step: StuckStep) -> str:
    """One JSON object, all ASCII; `why` is null when the saga doesn't go back."""
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
