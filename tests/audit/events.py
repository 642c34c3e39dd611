"""Events as an orchestrator writes them. Times are in ms after the decision; copied fields come from the cause."""

from typing import Any

from tests.audit.topic_logs import Body

TIMEOUT_MS, RETENTION_MS, DEADLINE_MS = 1_000, 60_000, 5_000

STARTED: Body = {"type": "saga.started", "at_ms": 0, "deadline_ms": DEADLINE_MS}
COMPLETED: Body = {"type": "saga.completed", "forget_ms": RETENTION_MS}
IGNORED: Body = {"type": "saga.reply.ignored", "reason": "not awaited"}


def request(step: str, attempt: int = 1) -> Body:
    """The event that requests a step."""
    return {"type": "saga.step.requested", "step": step, "attempt": attempt, "at_ms": 0, "due_ms": TIMEOUT_MS}


def request_undo(step: str, attempt: int = 1) -> Body:
    """The event that requests the undo of a step."""
    return {**request(step, attempt), "type": "saga.compensation.requested"}


def step_was(verb: str, step: str, attempt: int = 1, **more: Any) -> Body:
    """The result of a step: succeeded, refused, failed or timed_out."""
    return {"type": f"saga.step.{verb}", "step": step, "attempt": attempt, **more}


def undo_was(verb: str, step: str, attempt: int = 1, **more: Any) -> Body:
    """The result of a step's undo: succeeded, failed or timed_out."""
    return {"type": f"saga.compensation.{verb}", "step": step, "attempt": attempt, **more}


def because(step: str, *, reason: str = "no", requested: bool = False) -> Body:
    """The member `because` of an event that starts compensation."""
    return {"reason": "asked for" if requested else reason, "step": step, "requested": requested}


def cancel_requested(step: str) -> Body:
    """The shop's cancel is accepted while a step is active."""
    return {"type": "saga.cancel.requested", "because": because(step, requested=True)}


def cancel_refused(reason: str) -> Body:
    """The shop's cancel comes too late."""
    return {"type": "saga.cancel.refused", "reason": reason}


def compensate(step: str) -> Body:
    """An operator has the saga compensate while a step is active."""
    return {"type": "saga.operated", "because": because(step, requested=True)}


def retry_or_skip(*steps: str) -> Body:
    """An operator retries or skips stuck steps."""
    return {"type": "saga.operated", "steps": list(steps)}


def operation_refused(refusal: str) -> Body:
    """An operator's operation is not valid in the saga's state."""
    return {"type": "saga.operation.refused", "refusal": refusal}


def stuck(step: str, attempt: int = 1, *, reason: str = "timed out") -> Body:
    """A step, or its undo, waits for an operator."""
    return {"type": "saga.stuck", "step": step, "attempt": attempt, "at_ms": 0, "reason": reason}


def rolled_back(step: str, *, reason: str = "no", requested: bool = False) -> Body:
    """The end of compensation."""
    return {"type": "saga.rolled_back", **because(step, reason=reason, requested=requested), "forget_ms": RETENTION_MS}
