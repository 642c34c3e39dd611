"""What a decision makes the saga send: read off its events and the state they led to, never stored beside them."""

from collections.abc import Callable, Mapping
from typing import Any

from app.saga.definition import Saga
from app.saga.events import CancelRefused, Event, GotStuck
from app.saga.facts import fact
from app.saga.identity import Direction, command_id, effect_key
from app.saga.state import Completed, RolledBack, State
from app.saga.verdict import Decision


@fact
class SendCommand:
    """A participant is asked for one attempt of an effect."""

    topic: str
    type: str
    id: str
    effect: str
    value: Mapping[str, Any]


@fact
class SendOutcome:
    """A shop is told what became of its order."""

    type: str
    value: Mapping[str, Any]


Effect = SendCommand | SendOutcome


def effects(saga: Saga, saga_id: str, decision: Decision) -> list[Effect]:
    """The commands and the outcome of a decision, in the order of its events."""
    state, sent = decision.progress.state, []
    for event in decision.events:
        send = _SENDS.get(event["type"])
        if send is not None:
            sent.append(send(saga, saga_id, state, event))
    return sent


def _command(saga: Saga, saga_id: str, state: Any, step_name: str, direction: Direction, attempt: int) -> SendCommand:
    step = saga.step(step_name)
    command = step.do if direction == "do" else step.undo
    if command is None:
        raise TypeError(f"{step_name} is never undone")
    order, results = state.facts.order, state.facts.results
    value = {"order_id": saga_id}
    for name in command.order_fields:
        value[name] = order[name]
    for name in command.result_fields:
        if name in results:
            value[name] = results[name]
    id = command_id(saga_id, step_name, direction, attempt)
    return SendCommand(step.commands_topic, command.type, id, effect_key(saga_id, step_name, direction), value)


def _do(saga: Saga, saga_id: str, state: State, event: Any) -> Effect:
    return _command(saga, saga_id, state, event["step"], "do", event["attempt"])


def _undo(saga: Saga, saga_id: str, state: State, event: Any) -> Effect:
    return _command(saga, saga_id, state, event["step"], "undo", event["attempt"])


def _completed(_: Saga, saga_id: str, state: Completed, __: Event) -> Effect:
    return SendOutcome("order.completed", {"order_id": saga_id, **state.facts.results})


def _rolled_back(_: Saga, saga_id: str, state: RolledBack, __: Event) -> Effect:
    why = state.why
    if why.requested:
        return SendOutcome("order.cancelled", {"order_id": saga_id, "reason": why.reason})
    return SendOutcome("order.rejected", {"order_id": saga_id, "reason": why.reason, "step": why.step})


def _stuck(_: Saga, saga_id: str, __: State, event: GotStuck) -> Effect:
    return SendOutcome("order.stuck", {"order_id": saga_id, "reason": event["reason"], "step": event["step"]})


def _cancel_refused(_: Saga, saga_id: str, __: State, event: CancelRefused) -> Effect:
    return SendOutcome("order.cancel.refused", {"order_id": saga_id, "reason": event["reason"]})


_SENDS: dict[str, Callable[[Saga, str, Any, Any], Effect]] = {
    "saga.step.requested": _do,
    "saga.compensation.requested": _undo,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
    "saga.cancel.refused": _cancel_refused,
}
