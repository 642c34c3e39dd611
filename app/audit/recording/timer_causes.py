"""Timers as causes of decisions: what a timer's name says, and which events it may lead to."""

from dataclasses import dataclass

from app.audit.spec import DO, UNDO, Effect, parse_number

TIMEOUT, BACKOFF, CAPACITY, DEADLINE = "timeout", "pause", "room", "deadline"
FIRST_EVENTS: dict[str, set[str]] = {
    TIMEOUT: {"saga.step.timed_out", "saga.compensation.timed_out"},
    BACKOFF: {"saga.step.requested", "saga.compensation.requested"},
    CAPACITY: {"saga.step.requested", "saga.compensation.requested"},
    DEADLINE: {"saga.step.timed_out"},
}
"""The event types that may come first in a decision caused by each kind of timer."""

DIRECTION = {
    "saga.step.requested": DO,
    "saga.step.timed_out": DO,
    "saga.compensation.requested": UNDO,
    "saga.compensation.timed_out": UNDO,
}


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as a decision names it. `kind` is empty if the name has no valid form; `due_ms` is since 1970.

    A timer belongs to an attempt of an effect (0: before the first attempt). The deadline belongs to the whole saga.
    """

    name: str
    due: str
    due_ms: int | None
    kind: str
    effect: Effect = ("", "")
    attempt: int = 0


def parse_timer(name: str, due: str, due_ms: int | None) -> Timer:
    """Parses a timer's name: `deadline`, or `<step>:<do|undo>:<attempt>:<timeout|pause|room>`."""
    if name == DEADLINE:
        return Timer(name, due, due_ms, DEADLINE)
    parts = name.rsplit(":", 3)
    attempt = parse_number(parts[2]) if len(parts) == 4 else None
    if attempt is None or parts[1] not in (DO, UNDO) or parts[3] not in (TIMEOUT, BACKOFF, CAPACITY):
        return Timer(name, due, due_ms, "")
    return Timer(name, due, due_ms, parts[3], (parts[0], parts[1]), attempt)
