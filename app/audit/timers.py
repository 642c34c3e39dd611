"""Timers as causes: what their names say, and whether they took effect as the events before them told."""

from dataclasses import dataclass

from app.audit.terms import DO, UNDO, Effect, digits

TIMEOUT, PAUSE, ROOM, DEADLINE = "timeout", "pause", "room", "deadline"
STARTED_BY: dict[str, set[str]] = {
    TIMEOUT: {"saga.step.timed_out", "saga.compensation.timed_out"},
    PAUSE: {"saga.step.requested", "saga.compensation.requested"},
    ROOM: {"saga.step.requested", "saga.compensation.requested"},
    DEADLINE: {"saga.step.timed_out"},
}
"""Which events each kind of timer may lead to first."""

DIRECTION = {
    "saga.step.requested": DO,
    "saga.step.timed_out": DO,
    "saga.compensation.requested": UNDO,
    "saga.compensation.timed_out": UNDO,
}


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as a decision names it, `kind` empty for a name that says nothing; `due_ms` is since 1970.

    It follows an attempt of an effect (0: none was made yet), but for the deadline, which the whole saga has.
    """

    name: str
    due: str
    due_ms: int | None
    kind: str
    effect: Effect = ("", "")
    attempt: int = 0


def timer(name: str, due: str, due_ms: int | None) -> Timer:
    """A timer by its name: `deadline`, or `<step>:<do|undo>:<attempt>:<timeout|pause|room>`."""
    if name == DEADLINE:
        return Timer(name, due, due_ms, DEADLINE)
    parts = name.rsplit(":", 3)
    attempt = digits(parts[2]) if len(parts) == 4 else None
    if attempt is None or parts[1] not in (DO, UNDO) or parts[3] not in (TIMEOUT, PAUSE, ROOM):
        return Timer(name, due, due_ms, "")
    return Timer(name, due, due_ms, parts[3], (parts[0], parts[1]), attempt)
