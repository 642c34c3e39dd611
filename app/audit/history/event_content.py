"""INV-12 and INV-27: a decision's first event repeats the message that caused it."""

from typing import Any

from app.audit.history.replayed_saga import ReplayedSaga
from app.audit.recording.records import Decision, Message, order_content

_FROM_BODY: dict[str, tuple[str, ...]] = {
    "saga.operated": ("operator", "reason"),
    "saga.operation.refused": ("operator", "reason"),
    "saga.cancel.requested": ("reason",),
    "saga.step.refused": ("reason",),
    "saga.step.failed": ("reason", "retryable"),
    "saga.compensation.failed": ("reason", "retryable"),
}
"""The fields that an event copies from the value of its cause."""

_OPERATOR_EVENTS = ("saga.operated", "saga.operation.refused")


def check_event_content(replayed: ReplayedSaga, decision: Decision, cause: Message) -> None:
    """Compares the order, the step's result, and the fields that the event copies from its cause."""
    event = decision.events[0]
    type = event["type"]
    if type == "saga.started" and event.get("order") != order_content(cause.body):
        replayed.violation("INV-12", decision, "the order in saga.started differs from the order that was placed")
    elif type == "saga.step.succeeded":
        step = replayed.version.by_name.get(event.get("step", ""))
        if step is not None and event.get("result") != cause.body.get(step.result):
            replayed.violation("INV-12", decision, f"the result of {step.name} differs from the participant's reply")
    expected: dict[str, Any] = {name: cause.body.get(name) for name in _FROM_BODY.get(type, ())}
    if type in _OPERATOR_EVENTS:
        expected["operation"] = cause.type
    elif type == "saga.reply.ignored":
        expected = {"reply": cause.type, "command": cause.causation}
    wrong = [name for name, value in expected.items() if event.get(name) != value]
    if wrong:
        replayed.violation("INV-27", decision, f"{type} differs from its cause in: {', '.join(wrong)}")
