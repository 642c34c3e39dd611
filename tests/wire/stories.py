"""Orders' stories as the wire sees them: what was decided, so that every message, event and state occurs."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from app.saga.definition import Command, Saga, with_policy
from app.saga.messages import Input, Order, Place
from app.saga.state import UNKNOWN
from app.saga.verdict import Decision
from app.saga.versions import Versions
from app.wire.reader import digest
from tests.saga.given import NOON, WAITED, Crowded, Said, Story
from tests.saga.steps import broke, done, refused, step, undone
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
    room_for,
    skip,
)
from topologies.order import RESERVATION

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
    room_for("reservation"),
    room_for("payment"),
    Crowded(WAITED),
    Crowded(reserved()),
    Crowded(cancel()),
    Crowded(retry()),
    Crowded(failed("reservation:do")),
    Crowded(failed("payment:undo")),
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
    "waited": (Crowded(PLACED), room_for("reservation"), Crowded(WAITED), room_for("reservation"), reserved(2)),
    "waited in going back": (
        PLACED,
        reserved(),
        Crowded(cancel()),
        room_for("payment"),
        Crowded(WAITED),
        room_for("payment"),
        Crowded(refunded(2)),
        room_for("reservation"),
        Crowded(failed("reservation:undo")),
        WAITED,
        room_for("reservation"),
        released(2),
    ),
    "forgotten": (PLACED, reserved(), charged(), WAITED, cancel()),
}
"""Of the order saga, each effect tried twice."""

WIDE = with_policy(
    Saga(
        "order",
        2,
        (
            replace(RESERVATION, do=Command("reservation.reserve", ("customer_id", "lines")), after=()),
            step("credit", (), order_fields=("total",)),
            step("parcel", ("reservation", "credit"), kind="pivot", result_fields=("reservation_id",)),
            step("bonus", ("parcel",), kind="retriable", result_fields=("credit_id", "parcel_id")),
            step("letter", ("parcel",), kind="retriable", order_fields=("customer_id",)),
        ),
    ),
    attempts=2,
)
"""Another version of the order saga: two steps at once, then one that can't be undone, then two that must succeed."""

VERSIONS = Versions((BRIEF, WIDE))
_BOTH: tuple[Said, ...] = (PLACED, reserved(), done("credit"))
_IN_DOUBT: tuple[Said, ...] = (*_BOTH, WAITED, broke("parcel", attempt=2))
WIDE_STORIES: dict[str, tuple[Said, ...]] = {
    "in parallel": (PLACED, done("credit"), reserved(), done("parcel"), done("letter"), done("bonus")),
    "one of two refused": (PLACED, done("credit"), rejected(), undone("credit")),
    "undone in parallel": (*_BOTH, refused("parcel"), undone("credit"), released()),
    "one of two stuck": (*_BOTH, refused("parcel"), broke("credit", "undo", for_good=True), released(), skip()),
    "past the way back": (*_BOTH, cancel(), compensate(), done("parcel"), cancel(), skip()),
    "the pivot retried": (*_IN_DOUBT, cancel(), retry(), done("parcel", 3)),
    "the pivot taken as done": (*_IN_DOUBT, skip(), broke("bonus", for_good=True), done("letter"), skip()),
    "the pivot taken as never done": (*_IN_DOUBT, compensate(), released(), undone("credit")),
    "two stuck at once": (
        *_BOTH,
        done("parcel"),
        broke("letter", for_good=True),
        broke("bonus", for_good=True),
        retry(),
        done("letter", 2),
        done("bonus", 2),
    ),
    "two stuck, each seen to by its name": (
        *_BOTH,
        done("parcel"),
        broke("letter", for_good=True),
        broke("bonus", for_good=True),
        skip(),
        skip(step="parcel"),
        skip(step="letter"),
        retry(step="letter"),
        retry(step="bonus"),
        done("bonus", 2),
    ),
    "waited at both ends": (
        Crowded(PLACED),
        room_for("credit"),
        room_for("reservation"),
        reserved(),
        Crowded(done("credit")),
        room_for("parcel"),
        Crowded(refused("parcel")),
        room_for("credit"),
    ),
}
"""Of that one."""

WIDE_SAID: tuple[Said, ...] = (
    *(word for word in SAID if "payment" not in repr(word)),
    *(done(name, attempt) for name in ("credit", "parcel", "bonus", "letter") for attempt in (1, 2)),
    *(refused(name) for name in ("credit", "parcel")),
    undone("credit"),
    *(broke(name, for_good=True) for name in ("credit", "parcel", "bonus", "letter")),
    *(broke(name) for name in ("parcel", "bonus")),
    broke("credit", "undo", for_good=True),
    retry(step="letter"),
    *(skip(step=name) for name in ("bonus", "credit", "letter")),
    room_for("parcel"),
    room_for("letter"),
    Crowded(done("credit")),
    Crowded(broke("letter")),
)
"""All that one of it can be told."""

HURRIED, WIDE_HURRIED = (with_policy(saga, deadline_ms=10_000) for saga in (BRIEF, WIDE))
_LATE: dict[str, tuple[Said, ...]] = {
    "late": (PLACED, WAITED, released()),
    "late before anything was asked for": (Crowded(PLACED), Crowded(WAITED)),
    "late in a pause": (PLACED, failed("reservation:do"), Crowded(WAITED), WAITED, cancel()),
}


class Tale(NamedTuple):
    """A story, and the saga whose it is."""

    saga: Saga
    said: tuple[Said, ...]


TALES: dict[str, Tale] = {
    **{name: Tale(BRIEF, said) for name, said in STORIES.items()},
    **{name: Tale(WIDE, said) for name, said in WIDE_STORIES.items()},
    **{name: Tale(HURRIED, said) for name, said in _LATE.items()},
    **{f"{name}, of two": Tale(WIDE_HURRIED, (*said, undone("credit"))) for name, said in _LATE.items()},
}
"""Every story."""


def decisions(*said: Said, saga: Saga = BRIEF) -> Iterator[tuple[Decision, Input, int]]:
    """What a saga decides when it is told all that: each decision, what led to it, and when (ms since 1970)."""
    story = Story(saga, UNKNOWN, NOON)
    for one in said:
        if (one is WAITED or one == Crowded(WAITED)) and story.due is None:
            continue
        telling = story.when(one)
        if isinstance(telling.verdict, Decision):
            yield telling.verdict, telling.given, telling.at
        story = telling.after


@cache
def all_decisions() -> tuple[tuple[Saga, Decision], ...]:
    """Every decision of every story, and the saga whose it is."""
    return tuple((saga, decision) for saga, said in TALES.values() for decision, _, _ in decisions(*said, saga=saga))
