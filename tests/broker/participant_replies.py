"""Replies of participants, written by the test, to orders in partition 0 of a site; most wait for the command first."""

from functools import partial
from typing import Any

import orjson

from app.saga.definition import Step
from tests.broker.pods import Site, said
from tests.devkafka.support import until
from topologies.order import PAYMENT, RESERVATION
from topologies.shipped_order import SHIPPING

STEPS = {step.name: step for step in (RESERVATION, PAYMENT, SHIPPING)}


def succeed(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """Waits for the command, and replies that the step is done."""
    await_command(at, order, step, "do", attempt)
    send_success(at, order, step, attempt)


def send_success(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """Replies that the step is done, without waiting for the command."""
    result = {STEPS[step].result: f"{order}-{step}"}
    _reply(at, STEPS[step], order, f"{order}:{step}:do:{attempt}", STEPS[step].succeeded, **result)


def refuse(at: Site, order: str, step: str) -> None:
    """Waits for the command, and refuses the step."""
    await_command(at, order, step, "do", 1)
    refused = STEPS[step].refused or ""
    _reply(at, STEPS[step], order, f"{order}:{step}:do:1", refused, reason="no")


def fail(at: Site, order: str, step: str, attempt: int) -> None:
    """Waits for the command, and replies with a failure that may be retried."""
    await_command(at, order, step, "do", attempt)
    command = f"{order}:{step}:do:{attempt}"
    _reply(at, STEPS[step], order, command, STEPS[step].failed, reason="out of order", retryable=True)


def undo(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """Waits for the command, and replies that the step is undone."""
    await_command(at, order, step, "undo", attempt)
    send_undone(at, order, step, attempt)


def send_undone(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """Replies that the step is undone, without waiting for the command."""
    undone = STEPS[step].undone or ""
    _reply(at, STEPS[step], order, f"{order}:{step}:undo:{attempt}", undone)


def refuse_undo(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """Waits for the command, and replies that the step can never be undone."""
    await_command(at, order, step, "undo", attempt)
    command = f"{order}:{step}:undo:{attempt}"
    _reply(
        at, STEPS[step], order, command, STEPS[step].failed, reason="the accounting period is closed", retryable=False
    )


def cancel(at: Site, order: str, nth: int = 1) -> int:
    """Sends the n-th cancel of an order; returns the record's offset."""
    value = orjson.dumps({"order_id": order, "reason": "changed my mind"})
    return at.send("order.requests", order.encode(), value, said("order.cancel", f"{order}:cancel:{nth}"))


def complete(at: Site, order: str, *steps: str) -> None:
    """Replies with success for those of the steps that are not done yet, and waits until the order is completed."""
    done = {event["step"] for event in events_of(at, order) if event["type"] == "saga.step.succeeded"}
    for step in steps:
        if step not in done:
            succeed(at, order, step)
    at.await_events(order, "saga.completed")


def events_of(at: Site, order: str) -> list[dict[str, Any]]:
    """The events of an order since it was last placed."""
    events = [event for one in at.decisions() if one["saga_id"] == order for event in one["events"]]
    starts = [index for index, event in enumerate(events) if event["type"] == "saga.started"]
    return events[starts[-1] :] if starts else []


def await_command(at: Site, order: str, step: str, direction: str = "do", attempt: int = 1) -> None:
    """Waits until an attempt of a step, or a later one, is requested."""
    awaited = f"attempt {attempt} to {direction} {step} of {order}"
    until(partial(_is_requested, at, order, step, direction, attempt), awaited)


def _reply(at: Site, step: Step, order: str, command: str, type: str, **fields: object) -> None:
    at.answer(step.replies_topic, type, order, command, **fields)


def _is_requested(at: Site, order: str, step: str, direction: str, attempt: int) -> bool:
    type = "saga.step.requested" if direction == "do" else "saga.compensation.requested"
    requested = (event for event in events_of(at, order) if event["type"] == type)
    return any(event["step"] == step and event["attempt"] >= attempt for event in requested)
