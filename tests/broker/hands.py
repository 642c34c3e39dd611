"""Participants' answers written by hand to orders in partition 0 of a site, each once it was asked for."""

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
    """The step is done."""
    await_asked(at, order, step, "do", attempt)
    confirm(at, order, step, attempt)


def confirm(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """The same answer, whether it is asked for or not."""
    result = {STEPS[step].result: f"{order}-{step}"}
    _answer(at, STEPS[step], order, f"{order}:{step}:do:{attempt}", STEPS[step].succeeded, **result)


def refuse(at: Site, order: str, step: str) -> None:
    """The step is refused."""
    await_asked(at, order, step, "do", 1)
    refused = STEPS[step].refused or ""
    _answer(at, STEPS[step], order, f"{order}:{step}:do:1", refused, reason="no")


def fail(at: Site, order: str, step: str, attempt: int) -> None:
    """The step failed, and may be tried again."""
    await_asked(at, order, step, "do", attempt)
    command = f"{order}:{step}:do:{attempt}"
    _answer(at, STEPS[step], order, command, STEPS[step].failed, reason="out of order", retryable=True)


def undo(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """The step is undone."""
    await_asked(at, order, step, "undo", attempt)
    confirm_undo(at, order, step, attempt)


def confirm_undo(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """The same answer, whether it is asked for or not."""
    undone = STEPS[step].undone or ""
    _answer(at, STEPS[step], order, f"{order}:{step}:undo:{attempt}", undone)


def refuse_undo(at: Site, order: str, step: str, attempt: int = 1) -> None:
    """The step can't be undone, now or ever."""
    await_asked(at, order, step, "undo", attempt)
    command = f"{order}:{step}:undo:{attempt}"
    _answer(at, STEPS[step], order, command, STEPS[step].failed, reason="the books are closed", retryable=False)


def cancel(at: Site, order: str, time: int = 1) -> int:
    """Asks for an order to be rolled back, for the n-th time; returns the record's offset."""
    value = orjson.dumps({"order_id": order, "reason": "changed my mind"})
    return at.send("order.requests", order.encode(), value, said("order.cancel", f"{order}:cancel:{time}"))


def complete(at: Site, order: str, *steps: str) -> None:
    """Those of the steps that are not done yet are done, and with them the order."""
    done = {event["step"] for event in events_of(at, order) if event["type"] == "saga.step.succeeded"}
    for step in steps:
        if step not in done:
            succeed(at, order, step)
    at.await_events(order, "saga.completed")


def events_of(at: Site, order: str) -> list[dict[str, Any]]:
    """What happened to an order since it was placed last."""
    events = [event for one in at.decisions() if one["saga_id"] == order for event in one["events"]]
    starts = [index for index, event in enumerate(events) if event["type"] == "saga.started"]
    return events[starts[-1] :] if starts else []


def await_asked(at: Site, order: str, step: str, direction: str = "do", attempt: int = 1) -> None:
    """Waits until a step of an order is asked for."""
    what = f"attempt {attempt} to {direction} {step} of {order}"
    until(partial(_is_asked, at, order, step, direction, attempt), what)


def _answer(at: Site, step: Step, order: str, command: str, type: str, **fields: object) -> None:
    at.answer(step.replies_topic, type, order, command, **fields)


def _is_asked(at: Site, order: str, step: str, direction: str, attempt: int) -> bool:
    type = "saga.step.requested" if direction == "do" else "saga.compensation.requested"
    requested = (event for event in events_of(at, order) if event["type"] == type)
    return any(event["step"] == step and event["attempt"] >= attempt for event in requested)
