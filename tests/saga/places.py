"""Every place where an order's saga can be, with what led there: the ground that tables and stories cover."""

from dataclasses import replace
from functools import cache
from typing import Literal, NamedTuple

from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Failed, Succeeded
from app.saga.state import (
    LEGS,
    Asked,
    Compensating,
    Completed,
    Leg,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    State,
    Stuck,
    Waiting,
)
from tests.saga.given import WAITED, Crowded, Said, Story, given
from tests.saga.words import (
    BRIEF,
    ID,
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
from topologies.order import ORDER, PAYMENT, RESERVATION


class Kind(NamedTuple):
    """What kind of place it is: which state, where its one step under way is, and how near the point of no return."""

    state: type[State]
    leg: type[Leg] | None = None
    pivot: Literal["none", "in doubt", "passed"] = "none"


THRICE = with_policy(ORDER, attempts=3)
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
"""An order whose payment can't be given back: once it is asked for there is no way back without a person."""

_REFUNDING: tuple[Said, ...] = (placed(), reserved(), cancel())
_RELEASING: tuple[Said, ...] = (placed(), reserved(), declined())
_STUCK_REFUND: tuple[Said, ...] = (*_REFUNDING, failed("payment:undo", for_good=True))
_STUCK_RELEASE: tuple[Said, ...] = (*_RELEASING, WAITED, WAITED)
_FORWARD, _BACK = ({leg: Kind(state, leg) for leg in LEGS} for state in (Running, Compensating))

Paths = dict[str, tuple[Kind, tuple[Said, ...]]]

_TWICE: Paths = {
    "nothing placed": (Kind(NotStarted), ()),
    "reservation waits": (_FORWARD[Waiting], (Crowded(placed()),)),
    "reservation waits to be asked for again": (_FORWARD[Waiting], (placed(), Crowded(WAITED))),
    "reservation waits after a failure": (_FORWARD[Waiting], (placed(), Crowded(failed("reservation:do")))),
    "payment waits": (_FORWARD[Waiting], (placed(), Crowded(reserved()))),
    "payment waits to be asked for again": (_FORWARD[Waiting], (placed(), reserved(), Crowded(WAITED))),
    "reservation asked for": (_FORWARD[Asked], (placed(),)),
    "reservation asked for again after a time-out": (_FORWARD[Asked], (placed(), WAITED)),
    "reservation asked for again after a pause": (_FORWARD[Asked], (placed(), failed("reservation:do"), WAITED)),
    "payment asked for": (_FORWARD[Asked], (placed(), reserved())),
    "payment asked for again": (_FORWARD[Asked], (placed(), reserved(), WAITED)),
    "reservation paused": (_FORWARD[Pausing], (placed(), failed("reservation:do"))),
    "payment paused": (_FORWARD[Pausing], (placed(), reserved(), failed("payment:do"))),
    "refund waits": (_BACK[Waiting], (placed(), reserved(), Crowded(cancel()))),
    "refund waits to be asked for again": (_BACK[Waiting], (*_REFUNDING, Crowded(WAITED))),
    "refund waits after a failure": (_BACK[Waiting], (*_REFUNDING, Crowded(failed("payment:undo")))),
    "release waits": (_BACK[Waiting], (*_REFUNDING, Crowded(refunded()))),
    "release waits to be asked for again": (_BACK[Waiting], (*_RELEASING, Crowded(WAITED))),
    "retried refund waits": (_BACK[Waiting], (*_STUCK_REFUND, Crowded(retry()))),
    "retried refund waits to be asked for again": (_BACK[Waiting], (*_STUCK_REFUND, retry(), Crowded(WAITED))),
    "refund asked for, never charged": (_BACK[Asked], _REFUNDING),
    "refund asked for again": (_BACK[Asked], (*_REFUNDING, WAITED)),
    "release asked for, never reserved": (_BACK[Asked], (placed(), compensate())),
    "release asked for after a refusal": (_BACK[Asked], _RELEASING),
    "release asked for after a refund": (_BACK[Asked], (*_REFUNDING, refunded())),
    "release asked for again": (_BACK[Asked], (*_RELEASING, failed("reservation:undo"), WAITED)),
    "refund retried by an operator": (_BACK[Asked], (*_STUCK_REFUND, retry())),
    "refund paused": (_BACK[Pausing], (*_REFUNDING, failed("payment:undo"))),
    "release paused": (_BACK[Pausing], (*_RELEASING, failed("reservation:undo"))),
    "retried refund paused": (_BACK[Pausing], (*_STUCK_REFUND, retry(), failed("payment:undo", 2))),
    "stuck in the refund": (_BACK[Stuck], _STUCK_REFUND),
    "stuck in the release": (_BACK[Stuck], _STUCK_RELEASE),
    "completed": (Kind(Completed), (placed(), reserved(), charged())),
    "completed at the second attempt": (Kind(Completed), (placed(), WAITED, reserved(2), WAITED, charged(2))),
    "rolled back, nothing to undo": (Kind(RolledBack), (placed(), rejected())),
    "rolled back, nothing asked for": (Kind(RolledBack), (Crowded(placed()), compensate())),
    "rolled back after a decline": (Kind(RolledBack), (*_RELEASING, released())),
    "rolled back on request": (Kind(RolledBack), (*_REFUNDING, refunded(), released())),
    "rolled back by an operator": (Kind(RolledBack), (*_STUCK_RELEASE, skip())),
}
_THRICE: Paths = {
    "payment waits to be asked for a third time": (_FORWARD[Waiting], (placed(), reserved(), WAITED, Crowded(WAITED))),
    "refund waits to be asked for a third time": (_BACK[Waiting], (*_REFUNDING, WAITED, Crowded(WAITED))),
    "payment paused again": (_FORWARD[Pausing], (placed(), reserved(), WAITED, failed("payment:do", 2))),
    "refund paused again": (_BACK[Pausing], (*_REFUNDING, WAITED, failed("payment:undo", 2))),
    "retried refund paused again": (_BACK[Pausing], (*_STUCK_REFUND, retry(), WAITED, failed("payment:undo", 3))),
}
PLACES = (*_TWICE, *_THRICE)


def _all_of(step: str, pivot: Literal["in doubt", "passed"], *before: Said, last: Said) -> Paths:
    """Every place that a step can be in which can't be undone; `last` makes its turn come."""
    asked, once = (*before, last), Failed("m", f"{step}.failed", step, f"{ID}:{step}:do:1", "down", retryable=True)
    lasting, again = replace(once, retryable=False), replace(once, command=f"{ID}:{step}:do:2")
    stuck = (*asked, lasting)
    found: dict[type[Leg], dict[str, tuple[Said, ...]]] = {
        Waiting: {
            "waits to be asked for again": (*asked, Crowded(WAITED)),
            "waits to be asked for a third time": (*asked, WAITED, Crowded(WAITED)),
            "waits after a failure": (*asked, Crowded(once)),
            "waits, retried": (*stuck, Crowded(retry())),
            "waits, retried and silent": (*stuck, retry(), Crowded(WAITED)),
        },
        Asked: {
            "asked for": asked,
            "asked for again": (*asked, WAITED),
            "retried by an operator": (*stuck, retry()),
        },
        Pausing: {
            "paused": (*asked, once),
            "paused again": (*asked, WAITED, again),
            "retried and paused": (*stuck, retry(), again),
        },
        Stuck: {"stuck": stuck, "stuck after silence": (*asked, WAITED, WAITED, WAITED)},
    }
    return {
        f"{pivot}: {step} {name}": (Kind(Running, leg, pivot), path)
        for leg, paths in found.items()
        for name, path in paths.items()
    }


_ONE_WAY: Paths = {
    **_all_of("payment", "in doubt", placed(), last=reserved()),
    **_all_of("shipping", "passed", placed(), reserved(), last=charged()),
    "passed: shipping waits": (Kind(Running, Waiting, "passed"), (placed(), reserved(), Crowded(charged()))),
    "one way: completed": (
        Kind(Completed),
        (placed(), reserved(), charged(), Succeeded("m", "shipping.shipped", "shipping", f"{ID}:shipping:do:1", "s-1")),
    ),
    "one way: rolled back by an operator": (
        Kind(RolledBack),
        (placed(), reserved(), failed("payment:do", for_good=True), compensate(), released()),
    ),
}
NO_RETURN = tuple(_ONE_WAY)
"""Places of the order whose payment can't be given back, from its payment on."""

_PATHS = {
    **{name: (BRIEF, path) for name, path in _TWICE.items()},
    **{name: (THRICE, path) for name, path in _THRICE.items()},
    **{name: (ONE_WAY, path) for name, path in _ONE_WAY.items()},
}


def kind_of(place: str) -> Kind:
    """What kind of place it is."""
    return _PATHS[place][1][0]


@cache
def at(place: str) -> Story:
    """The story up to a place; its effects are asked for twice at most, or thrice where that takes it to get there."""
    saga, (kind, history) = _PATHS[place]
    story = given(saga, *history)
    assert type(story.state) is kind.state, f"{place} is {story.state}"
    assert kind.leg is None or type(story.leg) is kind.leg, f"{place} is {story.state}"
    return story


def places(*states: type[State], legs: tuple[type[Leg], ...] = LEGS) -> tuple[str, ...]:
    """The places of the order's saga in these states; of those with a step under way the ones with such a step."""
    return tuple(
        place for place in PLACES for kind in (kind_of(place),) if kind.state in states and kind.leg in (None, *legs)
    )
