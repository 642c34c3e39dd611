"""A saga's state as the JSON document of the changelog: small, readable, the same bytes for the same state.

Defaults are left out: an empty order, no results, no trace, no deadline, nothing left to undo, attempts counted from 1,
no message that a step was queued by.
"""

from collections.abc import Callable
from typing import Any

import orjson

from app.saga.messages import Trace
from app.saga.state import (
    ActiveStep,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Progress,
    Queued,
    RolledBack,
    Running,
    SagaData,
    State,
    Stuck,
    Why,
    stuck,
)

Document = dict[str, Any]
Take = Callable[..., Any]
"""`dict.pop` of a document. A document is valid if all its fields are taken in the end."""

KINDS: dict[str, type[State]] = {
    "running": Running,
    "compensating": Compensating,
    "completed": Completed,
    "rolled_back": RolledBack,
}
ACTIVE_STEP_KINDS: dict[str, type[ActiveStep]] = {
    "waiting": Queued,
    "asked": InFlight,
    "pausing": BackingOff,
    "stuck": Stuck,
}
MEMBER_OF = {"active_steps": "legs", "requested_ms": "asked_ms"}
"""JSON members whose name differs from the field's: members are part of the wire, and never change."""
STUCK = "stuck"
STATE_NAMES = (*KINDS, STUCK)
_NAMES: dict[type[State], str] = {NotStarted: "not_started", **{kind: name for name, kind in KINDS.items()}}


def state_name(state: State) -> str:
    """`running`, `compensating`, `completed`, `rolled_back`, `not_started`; or `stuck` if an operator must act."""
    return STUCK if stuck(state) else _NAMES[type(state)]


def encode(progress: Progress) -> bytes:
    """The document of a saga that has started."""
    state: Any = progress.state
    kind, data = type(state), state.data
    document = {
        "state": _NAMES[kind],
        "seq": progress.seq,
        "saga": data.saga,
        "version": data.version,
        "digest": data.digest,
        "started_ms": data.started_ms,
    }
    if data.order:
        document["order"] = data.order
    if data.results:
        document["results"] = data.results
    if data.trace is not None:
        _put_trace(document, data.trace)
    _PUT[kind](document, state)
    return orjson.dumps(document)


def decode(value: bytes) -> Progress:
    """The saga of a document. Raises ValueError if a field is missing or unknown."""
    try:
        document = orjson.loads(value)
        take = document.pop
        state_of, seq = _TAKE[take("state")], take("seq")
        saga, version, digest, started_ms = take("saga"), take("version"), take("digest"), take("started_ms")
        state = state_of(
            SagaData(
                saga,
                version,
                digest,
                started_ms,
                take("order", {}),
                take("results", {}),
                _take_trace(take) if "trace" in document else None,
            ),
            take,
        )
        if not document:
            return Progress(seq, state)
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not a saga's state: {type(error).__name__}") from error
    raise ValueError("not a saga's state: unknown fields")


# Fields are spelled out: a loop over their names is slower, and a good part of a decision's time is spent here.


def _put_trace(document: Document, trace: Trace) -> None:
    document["trace"] = trace.parent
    if trace.state:
        document["tracestate"] = trace.state


def _take_trace(take: Take) -> Trace:
    return Trace(take("trace"), take("tracestate", ""))


def _put_running(document: Document, state: Running) -> None:
    if state.deadline_ms is not None:
        document["deadline_ms"] = state.deadline_ms
    document["legs"] = [_put_active_step(active) for active in state.active_steps]


def _put_compensating(document: Document, state: Compensating) -> None:
    document["why"] = _put_why(state.why)
    document["legs"] = [_put_active_step(active) for active in state.active_steps]
    if state.left:
        document["left"] = state.left


def _put_end(document: Document, state: Completed | RolledBack) -> None:
    if isinstance(state, RolledBack):
        document["why"] = _put_why(state.why)
    document["forget_ms"] = state.forget_ms


def _put_why(why: Why) -> Document:
    return {"reason": why.reason, "step": why.step, "requested": why.requested}


def _put_active_step(active: ActiveStep) -> Document:
    document = _PUT_ACTIVE_STEP[type(active)](active)
    if active.first != 1:
        document["first"] = active.first
    return document


def _put_queued(active: Queued) -> Document:
    document: Document = {"is": "waiting", "step": active.step, "attempt": active.attempt}
    if active.cause is not None:
        document["cause"] = active.cause
    return document


def _take_why(document: Document) -> Why:
    take = document.pop
    why = Why(take("reason"), take("step"), take("requested"))
    if document:
        raise KeyError
    return why


def _take_active_step(document: Document) -> ActiveStep:
    take = document.pop
    active = _TAKE_ACTIVE_STEP[take("is")](take)
    if document:
        raise KeyError
    return active


def _take_active_steps(take: Take) -> tuple[ActiveStep, ...]:
    return tuple([_take_active_step(document) for document in take("legs")])


_PUT: dict[type[State], Callable[[Document, Any], None]] = {
    Running: _put_running,
    Compensating: _put_compensating,
    Completed: _put_end,
    RolledBack: _put_end,
}
_TAKE: dict[str, Callable[[SagaData, Take], State]] = {
    "running": lambda data, take: Running(data, take("deadline_ms", None), _take_active_steps(take)),
    "compensating": lambda data, take: Compensating(
        data, _take_why(take("why")), _take_active_steps(take), tuple(take("left", ()))
    ),
    "completed": lambda data, take: Completed(data, take("forget_ms")),
    "rolled_back": lambda data, take: RolledBack(data, _take_why(take("why")), take("forget_ms")),
}
_PUT_ACTIVE_STEP: dict[type[ActiveStep], Callable[[Any], Document]] = {
    Queued: _put_queued,
    InFlight: lambda active: {
        "is": "asked",
        "step": active.step,
        "attempt": active.attempt,
        "asked_ms": active.requested_ms,
        "due_ms": active.due_ms,
    },
    BackingOff: lambda active: {
        "is": "pausing",
        "step": active.step,
        "attempt": active.attempt,
        "due_ms": active.due_ms,
    },
    Stuck: lambda active: {
        "is": "stuck",
        "step": active.step,
        "attempt": active.attempt,
        "since_ms": active.since_ms,
        "reason": active.reason,
    },
}
_TAKE_ACTIVE_STEP: dict[str, Callable[[Take], ActiveStep]] = {
    "waiting": lambda take: Queued(take("step"), take("attempt"), take("first", 1), take("cause", None)),
    "asked": lambda take: InFlight(take("step"), take("attempt"), take("first", 1), take("asked_ms"), take("due_ms")),
    "pausing": lambda take: BackingOff(take("step"), take("attempt"), take("first", 1), take("due_ms")),
    "stuck": lambda take: Stuck(take("step"), take("attempt"), take("first", 1), take("since_ms"), take("reason")),
}
