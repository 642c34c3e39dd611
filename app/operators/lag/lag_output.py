"""The lag as a table for people, and as one JSON object for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from app.operators.lag.partition_lag import PartitionLag, TotalLag, total
from app.wire.rfc3339 import rfc3339
from app.wire.terminal_text import printable

COLUMNS = ("topic", "partition", "committed", "last stable", "high watermark", "lag", "held back", "seconds", "owner")
_RIGHT = COLUMNS[1:-1]


def table(partitions: Sequence[PartitionLag], now_ms: int) -> Table:
    """A table of the partitions with a line of totals."""
    made = Table(show_footer=True)
    for name, footer in zip(COLUMNS, _footers(partitions, now_ms), strict=True):
        made.add_column(name, footer, justify="right" if name in _RIGHT else "left", overflow="fold")
    for each in partitions:
        style = "yellow" if each.held_back else "bold" if each.lag else None
        made.add_row(*(Text(cell) for cell in cells(each, now_ms)), style=style)
    return made


def lines(partitions: Sequence[PartitionLag], now_ms: int) -> list[str]:
    """A header, the partitions and the totals as lines for pipes, their cells separated by tabs."""
    rows = [COLUMNS, *(cells(each, now_ms) for each in partitions), _footers(partitions, now_ms)]
    return ["\t".join(row) for row in rows]


def cells(each: PartitionLag, now_ms: int) -> tuple[str, ...]:
    """A row's cells, one for each of COLUMNS, escaped for a terminal."""
    committed = "-" if each.committed is None else str(each.committed)
    numbers = (each.partition, committed, each.stable, each.end, each.lag, each.held_back)
    return (each.topic, *map(str, numbers), seconds(each.seconds(now_ms)), printable(each.owner or "-"))


def seconds(age: float | None) -> str:
    """An age in seconds as text; `?` when it is unknown."""
    return "?" if age is None else "0" if age == 0 else f"{age:.1f}"


def json_line(group: str, partitions: Sequence[PartitionLag], now_ms: int) -> str:
    """One JSON object in ASCII: all partitions and the totals."""
    found = total(partitions, now_ms)
    document = {
        "at": rfc3339(now_ms),
        "group": group,
        "partitions": [_json(each, now_ms) for each in partitions],
        "total": {"lag": found.lag, "held_back": found.held_back, "seconds": found.seconds},
    }
    return json.dumps(document)


def _json(each: PartitionLag, now_ms: int) -> dict[str, Any]:
    return {
        "topic": each.topic,
        "partition": each.partition,
        "committed": each.committed,
        "last_stable": each.stable,
        "high_watermark": each.end,
        "lag": each.lag,
        "held_back": each.held_back,
        "seconds": each.seconds(now_ms),
        "owner": each.owner,
    }


def _footers(partitions: Sequence[PartitionLag], now_ms: int) -> tuple[str, ...]:
    found: TotalLag = total(partitions, now_ms)
    return ("total", "", "", "", "", str(found.lag), str(found.held_back), seconds(found.seconds), "")
