"""Orders' stories as the wire sees them: what was decided, so that every message, event and state occurs."""

from collections.abc import Iterator
from functools import cache

from app.saga.messages import Input, Order, Place
from app.saga.state import UNKNOWN
from app.saga.verdict import Decision
from app.wire.reader import digest
from tests.saga.given import NOON, WAITED, Said, Story
from tests.saga.words import (
    BRIEF,
    ID,
    LINES,
    TOTAL,
    cancel,
    charged,
    compensate,
    declined,
    failed,
    refunded,
    rejected,
    released,
    reserved,
    retry,
    skip,
)

CONTENT: Order = {"order_id": ID, "customer_id": "ann", "total": TOTAL, "lines": LINES}
PLACED = Place("m-1", CONTENT, digest(CONTENT))
SAID: tuple[Said, ...] = (
    WAITED,
    reserved(),
    reserved(2),
    rejected(),
    released(),
    released(2),
    charged(),
    declined(2),
    refunded(),
    refunded(2),
    failed("reservation:do"),
    failed("payment:do", for_good=True),
    failed("payment:undo"),
    failed("payment:undo", 2),
    failed("reservation:undo", for_good=True),
    cancel(),
    retry(),
    skip(),
    compensate(),
)
"""All that an order's saga can be told, in words that fit somewhere."""

STORIES: dict[str, tuple[Said, ...]] = {
    "completed": (PLACED, reserved(), charged(), charged(), cancel()),
    "rejected": (PLACED, rejected(), retry()),
    "declined": (PLACED, reserved(), declined(), skip(), released()),
    "retried": (PLACED, failed("reservation:do"), WAITED, reserved(2), failed("payment:do", for_good=True), refunded()),
    "timed out": (PLACED, WAITED, WAITED, WAITED, WAITED, retry(), failed("reservation:undo", 3), WAITED, released(4)),
    "cancelled": (PLACED, reserved(), cancel(), cancel(), failed("payment:undo"), WAITED, refunded(2), released()),
    "skipped": (PLACED, reserved(), compensate(), failed("payment:undo", for_good=True), skip(), released()),
}


def decisions(*said: Said) -> Iterator[tuple[Decision, Input, int]]:
    """What a saga decides when it is told all that: each decision, what led to it, and when (ms since 1970)."""
    story = Story(BRIEF, UNKNOWN, NOON)
    for one in said:
        if one is WAITED and story.due is None:
            continue
        telling = story.when(one)
        if isinstance(telling.verdict, Decision):
            yield telling.verdict, telling.given, telling.at
        story = telling.after


@cache
def all_decisions() -> tuple[Decision, ...]:
    """Every decision of every story."""
    return tuple(decision for said in STORIES.values() for decision, _, _ in decisions(*said))
