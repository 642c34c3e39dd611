"""The messages that a decision sends: derived from its events and the state after them, never stored."""

from collections.abc import Callable, Mapping
from typing import Any

from app.saga.definition import Saga
from app.saga.events import CancelRefused, Event, GotStuck
from app.saga.immutable import immutable
from app.saga.message_ids import Direction, command_id, idempotency_key
from app.saga.state import Completed, RolledBack, State
from app.saga.verdict import Decision


@immutable
class SendCommand:
    """The command of one attempt to do or undo a step."""

    topic: str
    type: str
    id: str
    idempotency_key: str
    value: Mapping[str, Any]


@immutable
class SendOutcome:
    """A message to the shop about its order."""

    type: str
    value: Mapping[str, Any]


Output = SendCommand | SendOutcome


def outputs_of(saga: Saga, saga_id: str, decision: Decision) -> list[Output]:
    """The commands and the outcome of a decision, in the order of its events."""
    state, outputs = decision.progress.state, []
    for event in decision.events:
        output_of = _OUTPUT_OF.get(event["type"])
        if output_of is not None:
            outputs.append(output_of(saga, saga_id, state, event))
    return outputs


def _command(saga: Saga, saga_id: str, state: Any, step_name: str, direction: Direction, attempt: int) -> SendCommand:
    step = saga.step(step_name)
    command = step.do if direction == "do" else step.undo
    if command is None:
        raise TypeError(f"{step_name} has no undo")
    order, results = state.data.order, state.data.results
    value = {"order_id": saga_id}
    for name in command.order_fields:
        value[name] = order[name]
    for name in command.result_fields:
        if name in results:
            value[name] = results[name]
    id = command_id(saga_id, step_name, direction, attempt)
    return SendCommand(step.commands_topic, command.type, id, idempotency_key(saga_id, step_name, direction), value)


def _do(saga: Saga, saga_id: str, state: State, event: Any) -> Output:
    return _command(saga, saga_id, state, event["step"], "do", event["attempt"])


def _undo(saga: Saga, saga_id: str, state: State, event: Any) -> Output:
    return _command(saga, saga_id, state, event["step"], "undo", event["attempt"])


def _completed(_: Saga, saga_id: str, state: Completed, __: Event) -> Output:
    return SendOutcome("order.completed", {"order_id": saga_id, **state.data.results})


def _rolled_back(_: Saga, saga_id: str, state: RolledBack, __: Event) -> Output:
    why = state.why
    if why.requested:
        return SendOutcome("order.cancelled", {"order_id": saga_id, "reason": why.reason})
    return SendOutcome("order.rejected", {"order_id": saga_id, "reason": why.reason, "step": why.step})


def _stuck(_: Saga, saga_id: str, __: State, event: GotStuck) -> Output:
    return SendOutcome("order.stuck", {"order_id": saga_id, "reason": event["reason"], "step": event["step"]})


def _cancel_refused(_: Saga, saga_id: str, __: State, event: CancelRefused) -> Output:
    return SendOutcome("order.cancel.refused", {"order_id": saga_id, "reason": event["reason"]})


_OUTPUT_OF: dict[str, Callable[[Saga, str, Any, Any], Output]] = {
    "saga.step.requested": _do,
    "saga.compensation.requested": _undo,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
    "saga.cancel.refused": _cancel_refused,
}
