"""A saga's state as the JSON document of the changelog: small, readable, and the same bytes for the same state.

What goes without saying is left out: an empty order, no results, no deadline, nothing left, attempts counted from 1.
"""

from collections.abc import Callable
from typing import Any

import orjson

from app.saga.state import (
    Asked,
    Compensating,
    Completed,
    Facts,
    Leg,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
    Waiting,
    Why,
    stuck,
)

Document = dict[str, Any]
Take = Callable[..., Any]
"""Takes a field out of a document, of which nothing is left in the end when it is one of ours."""

KINDS: dict[str, type[State]] = {
    "running": Running,
    "compensating": Compensating,
    "completed": Completed,
    "rolled_back": RolledBack,
}
LEG_KINDS: dict[str, type[Leg]] = {"waiting": Waiting, "asked": Asked, "pausing": Pausing, "stuck": Stuck}
STUCK = "stuck"
STATE_NAMES = (*KINDS, STUCK)
_NAMES: dict[type[State], str] = {NotStarted: "not_started", **{kind: name for name, kind in KINDS.items()}}


def state_name(state: State) -> str:
    """How a state is called: running, compensating, completed, rolled_back; or stuck, when a person must act."""
    return STUCK if stuck(state) else _NAMES[type(state)]


def encode(progress: Progress) -> bytes:
    """The document of a saga that has started."""
    state: Any = progress.state
    kind, facts = type(state), state.facts
    document = {
        "state": _NAMES[kind],
        "seq": progress.seq,
        "saga": facts.saga,
        "version": facts.version,
        "digest": facts.digest,
        "started_ms": facts.started_ms,
    }
    if facts.order:
        document["order"] = facts.order
    if facts.results:
        document["results"] = facts.results
    _PUT[kind](document, state)
    return orjson.dumps(document)


def decode(value: bytes) -> Progress:
    """The saga of a document. Raises ValueError when it is none of ours: it lacks a field, or has one too many."""
    try:
        document = orjson.loads(value)
        take = document.pop
        made, seq = _TAKE[take("state")], take("seq")
        saga, version, digest, started_ms = take("saga"), take("version"), take("digest"), take("started_ms")
        state = made(Facts(saga, version, digest, started_ms, take("order", {}), take("results", {})), take)
        if not document:
            return Progress(seq, state)
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not a saga's state: {type(error).__name__}") from error
    raise ValueError("not a saga's state: unknown fields")


# Fields are spelled out, as a loop over their names takes longer: a good part of a decision's time is spent here.


def _put_running(document: Document, state: Running) -> None:
    if state.deadline_ms is not None:
        document["deadline_ms"] = state.deadline_ms
    document["legs"] = [_put_leg(leg) for leg in state.legs]


def _put_compensating(document: Document, state: Compensating) -> None:
    document["why"] = _put_why(state.why)
    document["legs"] = [_put_leg(leg) for leg in state.legs]
    if state.left:
        document["left"] = state.left


def _put_end(document: Document, state: Completed | RolledBack) -> None:
    if isinstance(state, RolledBack):
        document["why"] = _put_why(state.why)
    document["forget_ms"] = state.forget_ms


def _put_why(why: Why) -> Document:
    return {"reason": why.reason, "step": why.step, "requested": why.requested}


def _put_leg(leg: Leg) -> Document:
    document = _PUT_LEG[type(leg)](leg)
    if leg.first != 1:
        document["first"] = leg.first
    return document


def _take_why(document: Document) -> Why:
    take = document.pop
    why = Why(take("reason"), take("step"), take("requested"))
    if document:
        raise KeyError
    return why


def _take_leg(document: Document) -> Leg:
    take = document.pop
    leg = _TAKE_LEG[take("is")](take)
    if document:
        raise KeyError
    return leg


def _take_legs(take: Take) -> tuple[Leg, ...]:
    return tuple([_take_leg(document) for document in take("legs")])


_PUT: dict[type[State], Callable[[Document, Any], None]] = {
    Running: _put_running,
    Compensating: _put_compensating,
    Completed: _put_end,
    RolledBack: _put_end,
}
_TAKE: dict[str, Callable[[Facts, Take], State]] = {
    "running": lambda facts, take: Running(facts, take("deadline_ms", None), _take_legs(take)),
    "compensating": lambda facts, take: Compensating(
        facts, _take_why(take("why")), _take_legs(take), tuple(take("left", ()))
    ),
    "completed": lambda facts, take: Completed(facts, take("forget_ms")),
    "rolled_back": lambda facts, take: RolledBack(facts, _take_why(take("why")), take("forget_ms")),
}
_PUT_LEG: dict[type[Leg], Callable[[Any], Document]] = {
    Waiting: lambda leg: {"is": "waiting", "step": leg.step, "attempt": leg.attempt},
    Asked: lambda leg: {
        "is": "asked",
        "step": leg.step,
        "attempt": leg.attempt,
        "asked_ms": leg.asked_ms,
        "due_ms": leg.due_ms,
    },
    Pausing: lambda leg: {"is": "pausing", "step": leg.step, "attempt": leg.attempt, "due_ms": leg.due_ms},
    Stuck: lambda leg: {
        "is": "stuck",
        "step": leg.step,
        "attempt": leg.attempt,
        "since_ms": leg.since_ms,
        "reason": leg.reason,
    },
}
_TAKE_LEG: dict[str, Callable[[Take], Leg]] = {
    "waiting": lambda take: Waiting(take("step"), take("attempt"), take("first", 1)),
    "asked": lambda take: Asked(take("step"), take("attempt"), take("first", 1), take("asked_ms"), take("due_ms")),
    "pausing": lambda take: Pausing(take("step"), take("attempt"), take("first", 1), take("due_ms")),
    "stuck": lambda take: Stuck(take("step"), take("attempt"), take("first", 1), take("since_ms"), take("reason")),
}
