"""Every place where an order's saga can be, with what led there: the ground that tables and stories cover."""

from functools import cache

from app.saga.definition import with_policy
from app.saga.state import (
    Compensating,
    CompensationPausing,
    Completed,
    NotStarted,
    Pausing,
    RolledBack,
    Running,
    State,
    Stuck,
)
from tests.saga.given import WAITED, Said, Story, given
from tests.saga.words import (
    BRIEF,
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
from topologies.order import ORDER

THRICE = with_policy(ORDER, attempts=3)

_REFUNDING: tuple[Said, ...] = (placed(), reserved(), cancel())
_RELEASING: tuple[Said, ...] = (placed(), reserved(), declined())
_STUCK_REFUND: tuple[Said, ...] = (*_REFUNDING, failed("payment:undo", for_good=True))
_STUCK_RELEASE: tuple[Said, ...] = (*_RELEASING, WAITED, WAITED)

_TWICE: dict[str, tuple[type[State], tuple[Said, ...]]] = {
    "nothing placed": (NotStarted, ()),
    "reservation asked for": (Running, (placed(),)),
    "reservation asked for again after a time-out": (Running, (placed(), WAITED)),
    "reservation asked for again after a pause": (Running, (placed(), failed("reservation:do"), WAITED)),
    "payment asked for": (Running, (placed(), reserved())),
    "payment asked for again": (Running, (placed(), reserved(), WAITED)),
    "reservation paused": (Pausing, (placed(), failed("reservation:do"))),
    "payment paused": (Pausing, (placed(), reserved(), failed("payment:do"))),
    "refund asked for, never charged": (Compensating, _REFUNDING),
    "refund asked for again": (Compensating, (*_REFUNDING, WAITED)),
    "release asked for, never reserved": (Compensating, (placed(), compensate())),
    "release asked for after a refusal": (Compensating, _RELEASING),
    "release asked for after a refund": (Compensating, (*_REFUNDING, refunded())),
    "release asked for again": (Compensating, (*_RELEASING, failed("reservation:undo"), WAITED)),
    "refund retried by an operator": (Compensating, (*_STUCK_REFUND, retry())),
    "refund paused": (CompensationPausing, (*_REFUNDING, failed("payment:undo"))),
    "release paused": (CompensationPausing, (*_RELEASING, failed("reservation:undo"))),
    "retried refund paused": (CompensationPausing, (*_STUCK_REFUND, retry(), failed("payment:undo", 2))),
    "stuck in the refund": (Stuck, _STUCK_REFUND),
    "stuck in the release": (Stuck, _STUCK_RELEASE),
    "completed": (Completed, (placed(), reserved(), charged())),
    "completed at the second attempt": (Completed, (placed(), WAITED, reserved(2), WAITED, charged(2))),
    "rolled back, nothing to undo": (RolledBack, (placed(), rejected())),
    "rolled back after a decline": (RolledBack, (*_RELEASING, released())),
    "rolled back on request": (RolledBack, (*_REFUNDING, refunded(), released())),
    "rolled back by an operator": (RolledBack, (*_STUCK_RELEASE, skip())),
}
_THRICE: dict[str, tuple[type[State], tuple[Said, ...]]] = {
    "payment paused again": (Pausing, (placed(), reserved(), WAITED, failed("payment:do", 2))),
    "refund paused again": (CompensationPausing, (*_REFUNDING, WAITED, failed("payment:undo", 2))),
    "retried refund paused again": (CompensationPausing, (*_STUCK_REFUND, retry(), WAITED, failed("payment:undo", 3))),
}
PLACES = (*_TWICE, *_THRICE)


def kind_of(place: str) -> type[State]:
    """Which kind of state a place is."""
    return (_TWICE.get(place) or _THRICE[place])[0]


@cache
def at(place: str) -> Story:
    """The story up to a place; its effects are asked for twice at most, or thrice where that takes it to get there."""
    saga, (kind, history) = (BRIEF, _TWICE[place]) if place in _TWICE else (THRICE, _THRICE[place])
    story = given(saga, *history)
    assert type(story.state) is kind, f"{place} is {story.state}"
    return story


def places(*kinds: type[State]) -> tuple[str, ...]:
    """The places of these kinds of state."""
    return tuple(place for place in PLACES if kind_of(place) in kinds)
