"""The orchestrator's decision on an operation as one sentence, from its record in `saga.events` or the dead letters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.wire.envelope import Headers
from app.wire.writer import ERRORS

_REQUESTED = {"saga.step.requested": "", "saga.compensation.requested": "'s undo"}
_OF_ROLLBACK = frozenset(("saga.compensation.requested", "saga.rolled_back"))
_ENDED = {"saga.completed": "completed", "saga.rolled_back": "rolled back"}
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One sentence, and whether the operation was done."""

    sentence: str
    done: bool


def of_event(order_id: str, message_id: str, value: bytes | None) -> Answer | None:
    """The answer in a record of `saga.events`; None when the record is about another message, or is no decision."""
    try:
        document = orjson.loads(value or b"")
        if document["cause"].get("id") != message_id:
            return None
        return of_decision(order_id, document["events"])
    except (ValueError, KeyError, TypeError, AttributeError):  # not a decision as the wire contract defines it
        return None


def of_dead_letter(order_id: str, message_id: str, headers: Headers) -> Answer | None:
    """The answer in a record of `saga.dead-letters`; None when the record is about another message."""
    named = {name: (text or b"").decode(errors="replace") for name, text in headers}
    if named.get("ce_id") != message_id:
        return None
    code = named.get(f"{ERRORS}reason", "")
    if code == "unknown_order":
        why = "is not known: no order of this id was placed, or it ended long ago"
        return Answer(f"{order_id} {why} (the operation is among the dead letters)", done=False)
    why = f"{code}, {named.get(f'{ERRORS}message', '')}"
    return Answer(f"{order_id}: the operation became a dead letter ({why})", done=False)


def of_decision(order_id: str, events: Iterable[Event]) -> Answer:
    """The answer in the events of the decision on an operation; the first event is about the operation itself."""
    operated, *rest = events
    if operated["type"] == "saga.operation.refused":
        return Answer(f"{order_id} was refused: {operated['refusal']}", done=False)
    clauses = _CLAUSES.get(operated.get("operation", ""), _of_unknown_operation)
    return Answer(f"{order_id}: {'; '.join(clauses(operated, rest))}", done=True)


def _of_retry(operated: Event, rest: list[Event]) -> list[str]:
    requested = {event["step"] for event in rest if event["type"] in _REQUESTED}
    queued = [step for step in operated["steps"] if step not in requested]
    return [
        *_consequences(rest, again=operated["steps"]),
        *(f"{step} is queued until its participant has capacity" for step in queued),
    ]


def _of_skip(operated: Event, rest: list[Event]) -> list[str]:
    if (
        not rest
    ):  # other steps are in flight or queued: no event shows whether the saga is going forward or rolling back
        return [f"the stuck command of {' and '.join(operated['steps'])} is taken as done by hand"]
    undo = "'s undo" if any(event["type"] in _OF_ROLLBACK for event in rest) else ""
    return [*(f"{step}{undo} is taken as done by hand" for step in operated["steps"]), *_consequences(rest)]


def _of_compensate(_: Event, rest: list[Event]) -> list[str]:
    return ["rollback started", *_consequences(rest)]


def _of_unknown_operation(_: Event, rest: list[Event]) -> list[str]:
    return ["the operation was done", *_consequences(rest)]


_CLAUSES: dict[str, Callable[[Event, list[Event]], list[str]]] = {
    "saga.retry": _of_retry,
    "saga.skip": _of_skip,
    "saga.compensate": _of_compensate,
}


def _consequences(events: list[Event], again: Iterable[str] = ()) -> list[str]:
    """One clause for each command requested and for the saga's end; `again` are the steps that were retried."""
    clauses = []
    for event in events:
        kind = event["type"]
        if kind in _REQUESTED:
            attempt = f" again (attempt {event['attempt']})" if event["step"] in again else ""
            clauses.append(f"{event['step']}{_REQUESTED[kind]} is requested{attempt}")
        elif kind in _ENDED:
            clauses.append(_ENDED[kind])
    return clauses
