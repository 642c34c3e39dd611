"""Finds the flaws of a saga's definition before anything starts; each is one sentence."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.saga.messages import Order

if TYPE_CHECKING:
    from app.saga.definition import Command, Saga, Step

KINDS = ("compensatable", "pivot", "retriable")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Step names are part of topic names."""
MOST_STEPS = 50
LONGEST_NAME = 128
"""Characters in the name of a message type or a result. With longer names or more steps, and the longest texts that
participants may send, a saga's state could exceed the largest record."""
LONGEST_MS = 100 * 365 * 86_400_000
"""A hundred years. A longer time is a mistake, and can overflow a date or the state document."""


class Unsound(ValueError):
    """A definition whose sagas might never end; the message says what to change."""


def check(saga: "Saga") -> None:
    """Raises Unsound for the first flaw."""
    for flaw in flaws(saga):
        raise Unsound(f"the saga {saga.name} can't work: {flaw}")


def flaws(saga: "Saga") -> Iterator[str]:
    """All flaws, each as one sentence."""
    if type(saga.version) is not int or not 1 <= saga.version < 1 << 31:
        yield "its version must be a whole number from 1 to 2147483647"
    yield from _name_and_size(saga)
    yield from _names(saga)
    yield from _lengths(saga)
    yield from _order(saga)
    for step in saga.steps:
        yield from _kind(step)
        yield from _policies(step)
    yield from _pivot(saga)
    yield from _fields(saga)
    if saga.deadline_ms is not None and not 1 <= saga.deadline_ms <= LONGEST_MS:
        yield "its deadline must be between 1 ms and a hundred years after its start"
    if not 0 <= saga.retention_ms <= LONGEST_MS:
        yield "its retention must be between 0 ms and a hundred years"


def _name_and_size(saga: "Saga") -> Iterator[str]:
    if NAME.fullmatch(saga.name) is None:
        yield f"its name must match {NAME.pattern}"
    if not saga.steps:
        yield "it has no step"
    if len(saga.steps) > MOST_STEPS:
        yield f"it has more than {MOST_STEPS} steps: its state could become too large to be written"


def _lengths(saga: "Saga") -> Iterator[str]:
    for step in saga.steps:
        undo = () if step.undo is None else (step.undo.type,)
        if not all(1 <= len(name) <= LONGEST_NAME for name in (step.do.type, *undo, step.result, *step.replies)):
            named = f"a command, a reply or the result of {step.name}"
            yield f"{named} has no name, or one of more than {LONGEST_NAME} characters"


def _names(saga: "Saga") -> Iterator[str]:
    seen, results = set[str](), set(Order.__annotations__)
    for step in saga.steps:
        if NAME.fullmatch(step.name) is None:
            yield f"a step can't be called {step.name!r}: its name is part of its topics' names"
        if step.name in seen:
            yield f"two steps are called {step.name}"
        if step.result in results:
            yield f"the result of {step.name} needs a name of its own, not {step.result}"
        if len(set(step.replies)) < len(step.replies):
            yield f"two replies of {step.name} have the same type"
        if step.undo is not None and step.undo.type == step.do.type:
            yield f"the undo of {step.name} has the type of its do: nobody could tell them apart"
        seen.add(step.name)
        results.add(step.result)


def _order(saga: "Saga") -> Iterator[str]:
    written = set[str]()
    for step in saga.steps:
        for name in step.after or ():
            if name not in written:
                yield f"{step.name} comes after {name}, which is not written before it"
        written.add(step.name)


def _kind(step: "Step") -> Iterator[str]:
    if step.kind not in KINDS:
        yield f"{step.name} is {step.kind}, which is none of {', '.join(KINDS)}"
    if (step.undo is None) != (step.undone is None):
        yield f"{step.name} needs both an undo and the reply to it, or neither"
    if step.kind == "compensatable" and step.undo is None:
        yield f"{step.name} has no undo: give it one, or make it the pivot"
    if step.kind == "retriable" and step.undo is not None:
        yield f"{step.name} is retriable and is never undone: leave out its undo"
    if step.kind == "retriable" and step.refused is not None:
        yield f"{step.name} is retriable and can't be refused: leave out that reply, or do it before the pivot"
    if step.kind != "retriable" and step.refused is None:
        yield f"{step.name} needs the type of the reply that refuses it"


def _policies(step: "Step") -> Iterator[str]:
    for command in (step.do, step.undo):
        if command is not None:
            yield from _policy(command)


def _policy(command: "Command") -> Iterator[str]:
    retry = command.retry
    if retry.attempts < 1 or command.timeout_ms < 1:
        yield f"{command.type} needs at least one attempt, and a time-out of at least 1 ms"
    if min(retry.first_pause_ms, retry.longest_pause_ms) < 0:
        yield f"{command.type} needs pauses of at least 0 ms"
    if max(command.timeout_ms, retry.longest_pause_ms) > LONGEST_MS:
        yield f"{command.type} has a time-out or a pause of more than a hundred years"


def _pivot(saga: "Saga") -> Iterator[str]:
    pivots = [step.name for step in saga.steps if step.kind == "pivot"]
    if len(pivots) > 1:
        yield f"it has the pivots {' and '.join(pivots)}: only one step can be the point of no return"
        return
    for step in saga.steps:
        if step.kind == "retriable" and not (pivots and pivots[0] in saga.earlier[step.name]):
            yield f"{step.name} is retriable, so it must come after a pivot: what comes before must be able to go back"
        if pivots and step.kind == "compensatable":
            if pivots[0] in saga.earlier[step.name]:
                yield f"{step.name} can fail after the pivot {pivots[0]}: make it retriable, or do it before"
            elif step.name not in saga.earlier[pivots[0]]:
                yield f"{step.name} may still run when the pivot {pivots[0]} is done: make the pivot come after it"


def _fields(saga: "Saga") -> Iterator[str]:
    order = set(Order.__annotations__) - {"order_id"}
    results = {step.name: step.result for step in saga.steps}
    for step in saga.steps:
        before = {results[name] for name in saga.earlier[step.name]}
        yield from _carried(step.do, order, before)
        if step.undo is not None:
            yield from _carried(step.undo, order, before | {step.result})


def _carried(command: "Command", order: set[str], results: set[str]) -> Iterator[str]:
    for name in sorted({*command.order_fields} - order | {*command.result_fields} - results):
        yield f"{command.type} cannot carry {name}, which is not known by then"
