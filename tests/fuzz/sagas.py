"""Sagas everywhere that they can be, each led there by good messages alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from app.engine.turn import Record, Turns
from app.saga.definition import Saga, Step
from app.saga.identity import command_id
from app.saga.state import TIMED, UNDER_WAY, Leg, Progress, direction_of, due_ms
from app.saga.versions import Versions
from app.wire.partition import partition_of
from app.wire.reader import digest
from app.wire.statedoc import state_name
from app.wire.writer import Origin
from tests.slot import Slot

NOW = 1_700_000_000_000
PARTITIONS = 2
_ID = "o-1"
_MOST = 64  # sagas; the plainest come first
_CONTENT: dict[str, object] = {
    "customer_id": "ann",
    "total": {"currency": "EUR", "minor": 4200},
    "lines": [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}],
}


@dataclass(frozen=True, slots=True)
class Participants:
    """They bear everything, or nothing more."""

    bear: bool

    def has_room(self, _: str) -> bool:
        """For a command."""
        return self.bear

    def bears(self, _: str) -> bool:
        """One that failed."""
        return self.bear

    def answered(self, step: str) -> None:
        """Needs no noting."""

    def troubled(self, step: str, now_ms: int) -> None:
        """Needs no noting."""


class Said(NamedTuple):
    """A message: its topic and type, what it answers if it is a reply, and its fields but for the order's id."""

    topic: str
    type: str
    command: str | None
    fields: dict[str, object]


def placed() -> Said:
    """An order."""
    return Said("order.requests", "order.place", None, _CONTENT)


def named(progress: Progress, order_id: str) -> Progress:
    """The same saga of the same order under another id."""
    state: Any = progress.state
    content = {"order_id": order_id, **_CONTENT}
    return replace(progress, state=replace(state, facts=replace(state.facts, digest=digest(content))))


def wishes() -> Iterator[Said]:
    """What people say."""
    yield Said("order.requests", "order.cancel", None, {"reason": "changed my mind"})
    for type in ("saga.retry", "saga.skip", "saga.compensate"):
        yield Said("saga.operations", type, None, {"operator": "olga", "reason": "by hand"})


def replies(saga: Saga, order_id: str, progress: Progress) -> Iterator[Said]:
    """All that participants can answer where a saga is: to what they were asked for last."""
    if isinstance(progress.state, UNDER_WAY):
        direction = direction_of(progress.state)
        for leg in progress.state.legs:
            command = command_id(order_id, leg.step, direction, leg.attempt)
            yield from _answers(saga.step(leg.step), command)


def _answers(step: Step, command: str) -> Iterator[Said]:
    for type, fields in (
        (step.succeeded, {step.result: f"{step.name}-1"}),
        (step.refused, {"reason": "none left"}),
        (step.undone, {}),
        (step.failed, {"reason": "down", "retryable": True}),
        (step.failed, {"reason": "down", "retryable": False}),
    ):
        if type is not None:
            yield Said(step.replies_topic, type, command, dict[str, object](fields))


def record(order_id: str, said: Said, number: int = 0) -> Record:
    """A message as its sender writes it."""
    key = order_id.encode()
    headers: list[tuple[str, bytes | None]] = [("ce_id", b"m-%d" % number), ("ce_type", said.type.encode())]
    if said.command is not None:
        headers.append(("ce_causationid", said.command.encode()))
    origin = Origin(f"t.{said.topic}", partition_of(key, PARTITIONS), number, NOW - 5)
    return Record(origin, key, orjson.dumps({"order_id": order_id, **said.fields}), headers)


def everywhere(saga: Saga) -> list[Progress]:
    """One saga of each shape that good messages, time and full participants lead to, the plainest first."""
    turns = Turns(Versions((saga,)), PARTITIONS)
    found: dict[object, Progress] = {}
    edge: list[Progress | None] = [None]
    while edge and len(found) < _MOST:
        reached = [after for before in edge for after in _after(turns, saga, before)]
        edge = []
        for progress in reached:
            if found.setdefault(shape(progress), progress) is progress:
                edge.append(progress)
    return list(found.values())[:_MOST]


def shape(progress: Progress) -> object:
    """Where a saga is, whatever it is about."""
    legs: tuple[Leg, ...] = getattr(progress.state, "legs", ())
    return state_name(progress.state), tuple((type(leg).__name__, leg.step) for leg in legs)


def _after(turns: Turns, saga: Saga, before: Progress | None) -> Iterator[Progress]:
    said = [placed()] if before is None else [*replies(saga, _ID, before), *wishes()]
    for gate in (Participants(bear=True), Participants(bear=False)):
        for each in said:
            kept = Slot(gate, before)
            turns.take(each.topic, record(_ID, each), kept, NOW)
            if kept.progress is not None and kept.progress is not before:
                yield kept.progress
    if before is not None and any(isinstance(leg, TIMED) for leg in getattr(before.state, "legs", ())):
        kept = Slot(Participants(bear=True), before)
        turns.expire(_ID, due_ms(before.state) or 0, kept, NOW)
        if kept.progress is not None:
            yield kept.progress
