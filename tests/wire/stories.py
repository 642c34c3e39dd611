"""Stories of orders for the wire: their decisions cover every message, event and state."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from app.saga.definition import Command, Saga, with_policy
from app.saga.messages import Input, Place, Trace
from app.saga.state import NO_SAGA
from app.saga.verdict import Decision
from app.saga.versions import Versions
from app.wire.reader import digest
from tests.saga.order_messages import (
    CONTENT,
    TWO_ATTEMPTS,
    cancel,
    capacity_for,
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
from tests.saga.steps import broke, done, refused, step, undone
from tests.saga.story import NEXT_TIMER, NOON, AtCapacity, Story, StoryInput
from topologies.order import RESERVATION

PLACED = Place("m-1", CONTENT, digest(CONTENT))
TRACED = replace(PLACED, trace=Trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1"))
ORDER_INPUTS: tuple[StoryInput, ...] = (
    NEXT_TIMER,
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
    capacity_for("reservation"),
    capacity_for("payment"),
    AtCapacity(NEXT_TIMER),
    AtCapacity(reserved()),
    AtCapacity(cancel()),
    AtCapacity(retry()),
    AtCapacity(failed("reservation:do")),
    AtCapacity(failed("payment:undo")),
)
"""Every kind of input to the order saga, each of which fits some state."""

STORIES: dict[str, tuple[StoryInput, ...]] = {
    "completed": (PLACED, reserved(), charged(), charged(), cancel()),
    "rejected": (PLACED, rejected(), retry()),
    "declined": (PLACED, reserved(), declined(), skip(), released()),
    "retried": (
        PLACED,
        failed("reservation:do"),
        NEXT_TIMER,
        reserved(2),
        failed("payment:do", for_good=True),
        refunded(),
    ),
    "timed out": (
        PLACED,
        NEXT_TIMER,
        NEXT_TIMER,
        NEXT_TIMER,
        NEXT_TIMER,
        retry(),
        failed("reservation:undo", 3),
        NEXT_TIMER,
        released(4),
    ),
    "cancelled": (PLACED, reserved(), cancel(), cancel(), failed("payment:undo"), NEXT_TIMER, refunded(2), released()),
    "skipped": (PLACED, reserved(), compensate(), failed("payment:undo", for_good=True), skip(), released()),
    "waited": (
        AtCapacity(PLACED),
        capacity_for("reservation"),
        AtCapacity(NEXT_TIMER),
        capacity_for("reservation"),
        reserved(2),
    ),
    "waited in going back": (
        PLACED,
        reserved(),
        AtCapacity(cancel()),
        capacity_for("payment"),
        AtCapacity(NEXT_TIMER),
        capacity_for("payment"),
        AtCapacity(refunded(2)),
        capacity_for("reservation"),
        AtCapacity(failed("reservation:undo")),
        NEXT_TIMER,
        capacity_for("reservation"),
        released(2),
    ),
    "forgotten": (PLACED, reserved(), charged(), NEXT_TIMER, cancel()),
    "traced": (TRACED, NEXT_TIMER, AtCapacity(reserved(2)), capacity_for("payment"), charged()),
}
"""Of the order saga, with two attempts per step."""

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
"""Another version of the order saga: two parallel steps, then a pivot without an undo, then two retriable steps."""

VERSIONS = Versions((TWO_ATTEMPTS, WIDE))
_BOTH: tuple[StoryInput, ...] = (PLACED, reserved(), done("credit"))
_IN_DOUBT: tuple[StoryInput, ...] = (*_BOTH, NEXT_TIMER, broke("parcel", attempt=2))
WIDE_STORIES: dict[str, tuple[StoryInput, ...]] = {
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
        AtCapacity(PLACED),
        capacity_for("credit"),
        capacity_for("reservation"),
        reserved(),
        AtCapacity(done("credit")),
        capacity_for("parcel"),
        AtCapacity(refused("parcel")),
        capacity_for("credit"),
    ),
}
"""Of WIDE."""

WIDE_INPUTS: tuple[StoryInput, ...] = (
    *(given for given in ORDER_INPUTS if "payment" not in repr(given)),
    *(done(name, attempt) for name in ("credit", "parcel", "bonus", "letter") for attempt in (1, 2)),
    *(refused(name) for name in ("credit", "parcel")),
    undone("credit"),
    *(broke(name, for_good=True) for name in ("credit", "parcel", "bonus", "letter")),
    *(broke(name) for name in ("parcel", "bonus")),
    broke("credit", "undo", for_good=True),
    retry(step="letter"),
    *(skip(step=name) for name in ("bonus", "credit", "letter")),
    capacity_for("parcel"),
    capacity_for("letter"),
    AtCapacity(done("credit")),
    AtCapacity(broke("letter")),
)
"""Every kind of input to a saga of WIDE."""

WITH_DEADLINE, WIDE_WITH_DEADLINE = (with_policy(saga, deadline_ms=10_000) for saga in (TWO_ATTEMPTS, WIDE))
_LATE: dict[str, tuple[StoryInput, ...]] = {
    "late": (PLACED, NEXT_TIMER, released()),
    "late before anything was asked for": (AtCapacity(PLACED), AtCapacity(NEXT_TIMER)),
    "late in a pause": (PLACED, failed("reservation:do"), AtCapacity(NEXT_TIMER), NEXT_TIMER, cancel()),
}


class SagaStory(NamedTuple):
    """The inputs of a story, and its saga."""

    saga: Saga
    inputs: tuple[StoryInput, ...]


ALL_STORIES: dict[str, SagaStory] = {
    **{name: SagaStory(TWO_ATTEMPTS, inputs) for name, inputs in STORIES.items()},
    **{name: SagaStory(WIDE, inputs) for name, inputs in WIDE_STORIES.items()},
    **{name: SagaStory(WITH_DEADLINE, inputs) for name, inputs in _LATE.items()},
    **{f"{name}, of two": SagaStory(WIDE_WITH_DEADLINE, (*inputs, undone("credit"))) for name, inputs in _LATE.items()},
}
"""Every story."""


def decisions(*inputs: StoryInput, saga: Saga = TWO_ATTEMPTS) -> Iterator[tuple[Decision, Input, int]]:
    """The decisions of a saga on these inputs: each with its input and time (ms since 1970)."""
    story = Story(saga, NO_SAGA, NOON)
    for one in inputs:
        if (one is NEXT_TIMER or one == AtCapacity(NEXT_TIMER)) and story.due is None:
            continue
        reaction = story.when(one)
        if isinstance(reaction.verdict, Decision):
            yield reaction.verdict, reaction.given, reaction.at
        story = reaction.after


@cache
def all_decisions() -> tuple[tuple[Saga, Decision], ...]:
    """Every decision of every story, with its saga."""
    return tuple(
        (saga, decision) for saga, inputs in ALL_STORIES.values() for decision, _, _ in decisions(*inputs, saga=saga)
    )
