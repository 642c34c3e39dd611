"""Every situation of an order's saga, with the inputs that lead to it: the ground that tables and stories cover."""

from dataclasses import replace
from functools import cache
from typing import Literal, NamedTuple

from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Failed, Succeeded
from app.saga.state import (
    ACTIVE_STEPS,
    ActiveStep,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Queued,
    RolledBack,
    Running,
    State,
    Stuck,
)
from tests.saga.order_messages import (
    ID,
    TWO_ATTEMPTS,
    cancel,
    charged,
    compensate,
    declined,
    failed,
    placed,
    refunded,
    rejected,
    released,
    reserved,
    retry,
    skip,
)
from tests.saga.story import NEXT_TIMER, AtCapacity, Story, StoryInput, given
from topologies.order import ORDER, PAYMENT, RESERVATION


class Kind(NamedTuple):
    """The state, the status of the only active step, and whether a pivot without an undo was requested or done."""

    state: type[State]
    active: type[ActiveStep] | None = None
    pivot: Literal["none", "in doubt", "passed"] = "none"


THREE_ATTEMPTS = with_policy(ORDER, attempts=3)
SHIPPING = Step(
    name="shipping",
    do=Command("shipping.ship", order_fields=("lines",), result_fields=("reservation_id",)),
    succeeded="shipping.shipped",
    failed="shipping.failed",
    result="shipment_id",
    kind="retriable",
)
ONE_WAY = with_policy(
    Saga("order", 1, (RESERVATION, replace(PAYMENT, kind="pivot", undo=None, undone=None), SHIPPING)), attempts=3
)
"""An order whose payment has no undo: once it is requested, only an operator can roll the saga back."""

PAYING: tuple[StoryInput, ...] = (placed(), reserved())
COMPLETED: tuple[StoryInput, ...] = (*PAYING, charged())
REFUNDING: tuple[StoryInput, ...] = (*PAYING, cancel())
RELEASING: tuple[StoryInput, ...] = (*PAYING, declined())
ROLLED_BACK: tuple[StoryInput, ...] = (*RELEASING, released())
STUCK_REFUND: tuple[StoryInput, ...] = (*REFUNDING, failed("payment:undo", for_good=True))
_STUCK_RELEASE: tuple[StoryInput, ...] = (*RELEASING, NEXT_TIMER, NEXT_TIMER)
_FORWARD, _BACK = ({active: Kind(state, active) for active in ACTIVE_STEPS} for state in (Running, Compensating))

Paths = dict[str, tuple[Kind, tuple[StoryInput, ...]]]

_WITH_TWO_ATTEMPTS: Paths = {
    "no order": (Kind(NotStarted), ()),
    "reservation queued": (_FORWARD[Queued], (AtCapacity(placed()),)),
    "reservation queued again": (_FORWARD[Queued], (placed(), AtCapacity(NEXT_TIMER))),
    "reservation queued after a failure": (_FORWARD[Queued], (placed(), AtCapacity(failed("reservation:do")))),
    "payment queued": (_FORWARD[Queued], (placed(), AtCapacity(reserved()))),
    "payment queued again": (_FORWARD[Queued], (*PAYING, AtCapacity(NEXT_TIMER))),
    "reservation in flight": (_FORWARD[InFlight], (placed(),)),
    "reservation in flight again after a time-out": (_FORWARD[InFlight], (placed(), NEXT_TIMER)),
    "reservation in flight again after a backoff": (
        _FORWARD[InFlight],
        (placed(), failed("reservation:do"), NEXT_TIMER),
    ),
    "payment in flight": (_FORWARD[InFlight], PAYING),
    "payment in flight again": (_FORWARD[InFlight], (*PAYING, NEXT_TIMER)),
    "reservation backing off": (_FORWARD[BackingOff], (placed(), failed("reservation:do"))),
    "payment backing off": (_FORWARD[BackingOff], (*PAYING, failed("payment:do"))),
    "refund queued": (_BACK[Queued], (*PAYING, AtCapacity(cancel()))),
    "refund queued again": (_BACK[Queued], (*REFUNDING, AtCapacity(NEXT_TIMER))),
    "refund queued after a failure": (_BACK[Queued], (*REFUNDING, AtCapacity(failed("payment:undo")))),
    "release queued": (_BACK[Queued], (*REFUNDING, AtCapacity(refunded()))),
    "release queued again": (_BACK[Queued], (*RELEASING, AtCapacity(NEXT_TIMER))),
    "retried refund queued": (_BACK[Queued], (*STUCK_REFUND, AtCapacity(retry()))),
    "retried refund queued again": (_BACK[Queued], (*STUCK_REFUND, retry(), AtCapacity(NEXT_TIMER))),
    "refund in flight, charge never confirmed": (_BACK[InFlight], REFUNDING),
    "refund in flight again": (_BACK[InFlight], (*REFUNDING, NEXT_TIMER)),
    "release in flight, reservation never confirmed": (_BACK[InFlight], (placed(), compensate())),
    "release in flight after a refusal": (_BACK[InFlight], RELEASING),
    "release in flight after a refund": (_BACK[InFlight], (*REFUNDING, refunded())),
    "release in flight again": (_BACK[InFlight], (*RELEASING, failed("reservation:undo"), NEXT_TIMER)),
    "refund retried by an operator": (_BACK[InFlight], (*STUCK_REFUND, retry())),
    "refund backing off": (_BACK[BackingOff], (*REFUNDING, failed("payment:undo"))),
    "release backing off": (_BACK[BackingOff], (*RELEASING, failed("reservation:undo"))),
    "retried refund backing off": (_BACK[BackingOff], (*STUCK_REFUND, retry(), failed("payment:undo", 2))),
    "stuck in the refund": (_BACK[Stuck], STUCK_REFUND),
    "stuck in the release": (_BACK[Stuck], _STUCK_RELEASE),
    "completed": (Kind(Completed), COMPLETED),
    "completed at the second attempt": (Kind(Completed), (placed(), NEXT_TIMER, reserved(2), NEXT_TIMER, charged(2))),
    "rolled back, nothing to undo": (Kind(RolledBack), (placed(), rejected())),
    "rolled back, nothing requested": (Kind(RolledBack), (AtCapacity(placed()), compensate())),
    "rolled back after a decline": (Kind(RolledBack), ROLLED_BACK),
    "rolled back on request": (Kind(RolledBack), (*REFUNDING, refunded(), released())),
    "rolled back by an operator": (Kind(RolledBack), (*_STUCK_RELEASE, skip())),
}
_WITH_THREE_ATTEMPTS: Paths = {
    "payment queued for the third attempt": (
        _FORWARD[Queued],
        (*PAYING, NEXT_TIMER, AtCapacity(NEXT_TIMER)),
    ),
    "refund queued for the third attempt": (_BACK[Queued], (*REFUNDING, NEXT_TIMER, AtCapacity(NEXT_TIMER))),
    "payment backing off again": (_FORWARD[BackingOff], (*PAYING, NEXT_TIMER, failed("payment:do", 2))),
    "refund backing off again": (_BACK[BackingOff], (*REFUNDING, NEXT_TIMER, failed("payment:undo", 2))),
    "retried refund backing off again": (
        _BACK[BackingOff],
        (*STUCK_REFUND, retry(), NEXT_TIMER, failed("payment:undo", 3)),
    ),
}
SITUATIONS = (*_WITH_TWO_ATTEMPTS, *_WITH_THREE_ATTEMPTS)


def _all_of(step: str, pivot: Literal["in doubt", "passed"], *before: StoryInput, last: StoryInput) -> Paths:
    """Every situation of a step without an undo; `last` is the input that requests it."""
    requested, once = (*before, last), Failed("m", f"{step}.failed", step, f"{ID}:{step}:do:1", "down", retryable=True)
    for_good, again = replace(once, retryable=False), replace(once, command=f"{ID}:{step}:do:2")
    stuck = (*requested, for_good)
    by_status: dict[type[ActiveStep], dict[str, tuple[StoryInput, ...]]] = {
        Queued: {
            "queued again": (*requested, AtCapacity(NEXT_TIMER)),
            "queued for the third attempt": (*requested, NEXT_TIMER, AtCapacity(NEXT_TIMER)),
            "queued after a failure": (*requested, AtCapacity(once)),
            "queued, retried": (*stuck, AtCapacity(retry())),
            "queued, retried and timed out": (*stuck, retry(), AtCapacity(NEXT_TIMER)),
        },
        InFlight: {
            "in flight": requested,
            "in flight again": (*requested, NEXT_TIMER),
            "retried by an operator": (*stuck, retry()),
        },
        BackingOff: {
            "backing off": (*requested, once),
            "backing off again": (*requested, NEXT_TIMER, again),
            "retried and backing off": (*stuck, retry(), again),
        },
        Stuck: {"stuck": stuck, "stuck after time-outs": (*requested, NEXT_TIMER, NEXT_TIMER, NEXT_TIMER)},
    }
    return {
        f"{pivot}: {step} {name}": (Kind(Running, active, pivot), path)
        for active, paths in by_status.items()
        for name, path in paths.items()
    }


_ONE_WAY: Paths = {
    **_all_of("payment", "in doubt", placed(), last=reserved()),
    **_all_of("shipping", "passed", placed(), reserved(), last=charged()),
    "passed: shipping queued": (Kind(Running, Queued, "passed"), (*PAYING, AtCapacity(charged()))),
    "one way: completed": (
        Kind(Completed),
        (*PAYING, charged(), Succeeded("m", "shipping.shipped", "shipping", f"{ID}:shipping:do:1", "s-1")),
    ),
    "one way: rolled back by an operator": (
        Kind(RolledBack),
        (*PAYING, failed("payment:do", for_good=True), compensate(), released()),
    ),
}
ONE_WAY_SITUATIONS = tuple(_ONE_WAY)
"""Situations of the order whose payment has no undo, from the payment on."""

_PATHS = {
    **{name: (TWO_ATTEMPTS, path) for name, path in _WITH_TWO_ATTEMPTS.items()},
    **{name: (THREE_ATTEMPTS, path) for name, path in _WITH_THREE_ATTEMPTS.items()},
    **{name: (ONE_WAY, path) for name, path in _ONE_WAY.items()},
}


def kind_of(situation: str) -> Kind:
    """The kind of a situation."""
    return _PATHS[situation][1][0]


@cache
def at(situation: str) -> Story:
    """The story up to a situation. Each step has two attempts, or three where the situation needs them."""
    saga, (kind, history) = _PATHS[situation]
    story = given(saga, *history)
    assert type(story.state) is kind.state, f"{situation} is {story.state}"
    assert kind.active is None or type(story.active) is kind.active, f"{situation} is {story.state}"
    return story


def situations(*states: type[State], active_steps: tuple[type[ActiveStep], ...] = ACTIVE_STEPS) -> tuple[str, ...]:
    """The situations of the order's saga in these states; with an active step, only those with such a step."""
    return tuple(
        situation
        for situation in SITUATIONS
        for kind in (kind_of(situation),)
        if kind.state in states and kind.active in (None, *active_steps)
    )


STARTED = tuple(situation for situation in SITUATIONS if situation != "no order")
ENDED = situations(Completed, RolledBack)
