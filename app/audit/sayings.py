"""INV-12 and 27 of a decision's first event: what it says of the message that caused it is what the message says."""

from typing import Any

from app.audit.journey import Journey
from app.audit.messages import Decision, Message, content

_FROM_BODY: dict[str, tuple[str, ...]] = {
    "saga.operated": ("operator", "reason"),
    "saga.operation.refused": ("operator", "reason"),
    "saga.cancel.requested": ("reason",),
    "saga.step.refused": ("reason",),
    "saga.step.failed": ("reason", "retryable"),
    "saga.compensation.failed": ("reason", "retryable"),
}
"""Fields that an event has from the value of its cause."""

_OF_PEOPLE = ("saga.operated", "saga.operation.refused")


def truly_told(journey: Journey, decision: Decision, given: Message) -> None:
    """Who, why, and with which result; of an order, all of it."""
    event = decision.events[0]
    type = event["type"]
    if type == "saga.started" and event.get("order") != content(given.body):
        journey.wrong("INV-12", decision, "the order of the saga is not the one that was placed")
    elif type == "saga.step.succeeded":
        step = journey.plan.by_name.get(event.get("step", ""))
        if step is not None and event.get("result") != given.body.get(step.result):
            journey.wrong("INV-12", decision, f"{step.name} has another result than the participant gave it")
    expected: dict[str, Any] = {name: given.body.get(name) for name in _FROM_BODY.get(type, ())}
    if type in _OF_PEOPLE:
        expected["operation"] = given.type
    elif type == "saga.reply.ignored":
        expected = {"reply": given.type, "command": given.causation}
    wrong = [name for name, value in expected.items() if event.get(name) != value]
    if wrong:
        journey.wrong("INV-27", decision, f"{type}: {', '.join(wrong)} is not what its cause says")
