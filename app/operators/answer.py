"""What came of an operation, as one sentence, read off the record that the orchestrator wrote about it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.wire.envelope import Headers
from app.wire.writer import ERRORS

_ASKED = {"saga.step.requested": "", "saga.compensation.requested": "'s undo"}
_BACK = frozenset(("saga.compensation.requested", "saga.rolled_back"))
_ENDED = {"saga.completed": "completed", "saga.rolled_back": "rolled back"}
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One sentence, and whether the operation was done."""

    sentence: str
    done: bool


def of_event(order_id: str, message_id: str, value: bytes | None) -> Answer | None:
    """The answer in a record of `saga.events`; None when it is about another message."""
    try:
        document = orjson.loads(value or b"")
        if document["cause"].get("id") != message_id:
            return None
        return of_decision(order_id, document["events"])
    except (ValueError, KeyError, TypeError, AttributeError):  # no decision as the contract has it
        return None


def of_dead_letter(order_id: str, message_id: str, headers: Headers) -> Answer | None:
    """The answer in a record of `saga.dead-letters`; None when it is about another message."""
    said = {name: (text or b"").decode(errors="replace") for name, text in headers}
    if said.get("ce_id") != message_id:
        return None
    code = said.get(f"{ERRORS}reason", "")
    if code == "unknown_order":
        why = "is not known: no order of this id was placed, or it ended long ago"
        return Answer(f"{order_id} {why} (the operation is among the dead letters)", done=False)
    why = f"{code}, {said.get(f'{ERRORS}message', '')}"
    return Answer(f"{order_id}: the orchestrator can't take it in, it is among the dead letters ({why})", done=False)


def of_decision(order_id: str, events: Iterable[Event]) -> Answer:
    """What the events of an operation's decision say."""
    first, *rest = events
    if first["type"] == "saga.operation.refused":
        return Answer(f"{order_id} was refused: {first['refusal']}", done=False)
    acted = _ACTED.get(first.get("operation", ""), _taken_in)
    return Answer(f"{order_id}{acted(first, rest)}", done=True)


def _retried(operated: Event, rest: list[Event]) -> str:
    asked = {event["step"] for event in rest if event["type"] in _ASKED}
    waiting = [step for step in operated["steps"] if step not in asked]
    waits = [f"{step} is asked again as soon as its participant has room" for step in waiting]
    return _told([*_follows(rest, again=operated["steps"]), *waits])


def _skipped(operated: Event, rest: list[Event]) -> str:
    if not rest:  # other steps are under way, or wait for room: nothing shows whether they are done or undone
        return _told([f"what is stuck in {' and '.join(operated['steps'])} is taken as done by hand"])
    undo = "'s undo" if any(event["type"] in _BACK for event in rest) else ""
    return _told([*(f"{step}{undo} is taken as done by hand" for step in operated["steps"]), *_follows(rest)])


def _turned(_: Event, rest: list[Event]) -> str:
    return "; ".join([" goes back", *_follows(rest)])


def _taken_in(_: Event, rest: list[Event]) -> str:
    return _told(["the operation was done", *_follows(rest)])


_ACTED: dict[str, Callable[[Event, list[Event]], str]] = {
    "saga.retry": _retried,
    "saga.skip": _skipped,
    "saga.compensate": _turned,
}


def _follows(events: list[Event], again: Iterable[str] = ()) -> list[str]:
    told = []
    for event in events:
        kind = event["type"]
        if kind in _ASKED:
            anew = f" again (attempt {event['attempt']})" if event["step"] in again else ""
            told.append(f"{event['step']}{_ASKED[kind]} is asked{anew}")
        elif kind in _ENDED:
            told.append(_ENDED[kind])
    return told


def _told(parts: list[str]) -> str:
    return ": " + "; ".join(parts)
