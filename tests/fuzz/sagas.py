"""Sagas in every state, each reached by valid messages alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from app.engine.processor import Record, SagaProcessor
from app.saga.definition import Saga, Step
from app.saga.message_ids import command_id
from app.saga.state import ACTIVE_STATES, WITH_DUE_TIME, ActiveStep, Progress, direction_of, due_ms
from app.saga.versions import Versions
from app.wire.partition import partition_of
from app.wire.reader import digest
from app.wire.state_codec import state_name
from app.wire.writer import Origin
from tests.slot import Slot

NOW = 1_700_000_000_000
PARTITIONS = 2
_ID = "o-1"
_MAX_SAGAS = 64  # the ones with the shortest history come first
_CONTENT: dict[str, object] = {
    "customer_id": "ann",
    "total": {"currency": "EUR", "minor": 4200},
    "lines": [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}],
}


@dataclass(frozen=True, slots=True)
class FixedAdmission:
    """Admission control with all slots free, or none."""

    free: bool

    def try_acquire(self, _: str) -> bool:
        """Whether slots are free."""
        return self.free

    def keeps_slot(self, _: str) -> bool:
        """Whether slots are free."""
        return self.free

    def on_success(self, step: str) -> None:
        """Changes nothing."""

    def on_failure(self, step: str, now_ms: int) -> None:
        """Changes nothing."""


class InputMessage(NamedTuple):
    """An input message: topic, type, the id of the command if it is a reply, and its fields without the order id."""

    topic: str
    type: str
    command: str | None
    fields: dict[str, object]


def order_message() -> InputMessage:
    """The order itself."""
    return InputMessage("order.requests", "order.place", None, _CONTENT)


def with_order_id(progress: Progress, order_id: str) -> Progress:
    """The same saga of the same order, under another id."""
    state: Any = progress.state
    content = {"order_id": order_id, **_CONTENT}
    return replace(progress, state=replace(state, data=replace(state.data, digest=digest(content))))


def requests_and_operations() -> Iterator[InputMessage]:
    """A cancellation and all operations."""
    yield InputMessage("order.requests", "order.cancel", None, {"reason": "changed my mind"})
    for type in ("saga.retry", "saga.skip", "saga.compensate"):
        yield InputMessage("saga.operations", type, None, {"operator": "olga", "reason": "by hand"})


def replies(saga: Saga, order_id: str, progress: Progress) -> Iterator[InputMessage]:
    """All replies to the last commands of a saga's active steps."""
    if isinstance(progress.state, ACTIVE_STATES):
        direction = direction_of(progress.state)
        for active in progress.state.active_steps:
            command = command_id(order_id, active.step, direction, active.attempt)
            yield from _replies_of(saga.step(active.step), command)


def _replies_of(step: Step, command: str) -> Iterator[InputMessage]:
    for type, fields in (
        (step.succeeded, {step.result: f"{step.name}-1"}),
        (step.refused, {"reason": "none left"}),
        (step.undone, {}),
        (step.failed, {"reason": "down", "retryable": True}),
        (step.failed, {"reason": "down", "retryable": False}),
    ):
        if type is not None:
            yield InputMessage(step.replies_topic, type, command, dict[str, object](fields))


def record(order_id: str, message: InputMessage, number: int = 0) -> Record:
    """A message as a record of its sender."""
    key = order_id.encode()
    headers: list[tuple[str, bytes | None]] = [("ce_id", b"m-%d" % number), ("ce_type", message.type.encode())]
    if message.command is not None:
        headers.append(("ce_causationid", message.command.encode()))
    origin = Origin(f"t.{message.topic}", partition_of(key, PARTITIONS), number, NOW - 5)
    return Record(origin, key, orjson.dumps({"order_id": order_id, **message.fields}), headers)


def sagas_in_every_state(saga: Saga) -> list[Progress]:
    """One saga of each shape that valid messages, timers and full admission windows lead to, shortest history first."""
    processor = SagaProcessor(Versions((saga,)), PARTITIONS)
    found: dict[object, Progress] = {}
    frontier: list[Progress | None] = [None]
    while frontier and len(found) < _MAX_SAGAS:
        reached = [after for before in frontier for after in _reachable_from(processor, saga, before)]
        frontier = []
        for progress in reached:
            if found.setdefault(state_shape(progress), progress) is progress:
                frontier.append(progress)
    return list(found.values())[:_MAX_SAGAS]


def state_shape(progress: Progress) -> object:
    """The state and the active steps of a saga, without its data."""
    active_steps: tuple[ActiveStep, ...] = getattr(progress.state, "active_steps", ())
    return state_name(progress.state), tuple((type(active).__name__, active.step) for active in active_steps)


def _reachable_from(processor: SagaProcessor, saga: Saga, before: Progress | None) -> Iterator[Progress]:
    messages = [order_message()] if before is None else [*replies(saga, _ID, before), *requests_and_operations()]
    for admission in (FixedAdmission(free=True), FixedAdmission(free=False)):
        for each in messages:
            key_state = Slot(admission, before)
            processor.on_record(each.topic, record(_ID, each), key_state, NOW)
            if key_state.progress is not None and key_state.progress is not before:
                yield key_state.progress
    if before is not None and any(
        isinstance(active, WITH_DUE_TIME) for active in getattr(before.state, "active_steps", ())
    ):
        key_state = Slot(FixedAdmission(free=True), before)
        processor.on_timer(_ID, due_ms(before.state) or 0, key_state, NOW)
        if key_state.progress is not None:
            yield key_state.progress
