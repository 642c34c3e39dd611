"""Dead letters as lines for people, and as JSON for programs. Only `whole` shows what is in a record."""

import json
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.operators.dead_letters.letter import DeadLetter
from app.operators.dead_letters.replay_plan import Plan
from app.wire.rfc3339 import rfc3339
from app.wire.terminal_text import printable

COLUMNS = ("position", "time (UTC)", "reason", "origin", "order", "bytes", "message")
_MOST_SHOWN = 16_384  # characters of a value or header


def cells(letter: DeadLetter) -> tuple[str, ...]:
    """A row's cells, one for each of COLUMNS, escaped for a terminal."""
    origin = letter.origin
    came = "" if origin is None else f"{origin.topic}[{origin.partition}]@{origin.offset}"
    size = f"{letter.size}{'+' * letter.truncated}"
    time = rfc3339(letter.timestamp_ms)
    reason = f"{letter.reason} again" if letter.replayed_from else letter.reason
    row = (str(letter.position), time, reason, came, letter.order_id or "-", size, letter.message)
    return tuple(map(printable, row))


def table(letters: Iterable[DeadLetter], console: Console) -> None:
    """Prints a table of the dead letters."""
    made = Table(*COLUMNS)
    for letter in letters:
        made.add_row(*(Text(cell) for cell in cells(letter)))
    console.print(made)


def json_line(letter: DeadLetter) -> str:
    """One JSON object in ASCII, without contents; members are null where the headers say nothing."""
    origin = letter.origin
    return json.dumps(
        {
            "position": {"partition": letter.position.partition, "offset": letter.position.offset},
            "time": rfc3339(letter.timestamp_ms),
            "reason": letter.reason,
            "message": letter.message,
            "origin": origin
            and {
                "topic": origin.topic,
                "partition": origin.partition,
                "offset": origin.offset,
                "time": rfc3339(origin.timestamp_ms),
            },
            "order_id": letter.order_id or None,
            "key_bytes": None if letter.key is None else len(letter.key),
            "value_bytes": letter.size,
            "truncated": letter.truncated,
            "replayed_from": letter.replayed_from or None,
        }
    )


def whole(letter: DeadLetter) -> Iterator[str]:
    """All lines about a dead letter, its headers and its value too, escaped for a terminal."""
    for name, cell in zip(COLUMNS, cells(letter), strict=True):
        yield f"{name}: {cell}"
    if letter.replayed_from:
        yield f"a replay of: {printable(letter.replayed_from)}"
    yield f"key: {_bytes(letter.key)}"
    for header, value in letter.headers:
        yield f"header {printable(header)}: {_bytes(value)}"
    yield f"value: {_bytes(letter.value)}"


def _bytes(value: bytes | None) -> str:
    if value is None:
        return "(none)"
    text = value.decode(errors="backslashreplace")
    more = f" ... and {len(text) - _MOST_SHOWN:,} more characters: see --raw" if len(text) > _MOST_SHOWN else ""
    return printable(text[:_MOST_SHOWN]) + more


def plan_line(plan: Plan, verb: str) -> str:
    """What becomes of a dead letter, in one line without contents; `verb` says whether it is sent or would be."""
    letter = plan.letter
    about = f"{letter.position} ({printable(letter.reason)}, {letter.order_id or 'no order id'}, {letter.size} bytes)"
    if plan.refusal:
        return f"refused   {about}: {printable(plan.refusal)}"
    if plan.done:
        return f"replayed already  {about}: it is {printable(plan.done)}"
    return f"{verb}  {about} to {printable(plan.target[0])}[{plan.target[1]}]"
