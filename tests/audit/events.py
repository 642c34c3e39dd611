"""Events as an orchestrator tells them; times are ms from the decision on, the rest follows from the cause."""

from typing import Any

from tests.audit.world import Body

TIMEOUT_MS, REMEMBERED_MS, DEADLINE_MS = 1_000, 60_000, 5_000

STARTED: Body = {"type": "saga.started", "at_ms": 0, "deadline_ms": DEADLINE_MS}
COMPLETED: Body = {"type": "saga.completed", "forget_ms": REMEMBERED_MS}
IGNORED: Body = {"type": "saga.reply.ignored", "reason": "not awaited"}


def ask(step: str, attempt: int = 1) -> Body:
    """The event that asks for a step."""
    return {"type": "saga.step.requested", "step": step, "attempt": attempt, "at_ms": 0, "due_ms": TIMEOUT_MS}


def undo(step: str, attempt: int = 1) -> Body:
    """The event that asks for a step's undo."""
    return {**ask(step, attempt), "type": "saga.compensation.requested"}


def was(verb: str, step: str, attempt: int = 1, **more: Any) -> Body:
    """What became of a step: succeeded, refused, failed or timed_out."""
    return {"type": f"saga.step.{verb}", "step": step, "attempt": attempt, **more}


def undo_was(verb: str, step: str, attempt: int = 1, **more: Any) -> Body:
    """What became of a step's undo: succeeded, failed or timed_out."""
    return {"type": f"saga.compensation.{verb}", "step": step, "attempt": attempt, **more}


def why(step: str, *, reason: str = "no", requested: bool = False) -> Body:
    """Why a saga goes back."""
    return {"reason": "asked for" if requested else reason, "step": step, "requested": requested}


def cancel(step: str) -> Body:
    """The shop's cancel is granted while a step is under way."""
    return {"type": "saga.cancel.requested", "because": why(step, requested=True)}


def refuse_cancel(reason: str) -> Body:
    """The shop's cancel comes too late."""
    return {"type": "saga.cancel.refused", "reason": reason}


def turn(step: str) -> Body:
    """An operator has the saga go back while a step is under way."""
    return {"type": "saga.operated", "because": why(step, requested=True)}


def see_to(*steps: str) -> Body:
    """An operator sees to stuck steps."""
    return {"type": "saga.operated", "steps": list(steps)}


def refuse_operation(refusal: str) -> Body:
    """An operator's wish makes no sense."""
    return {"type": "saga.operation.refused", "refusal": refusal}


def stuck(step: str, attempt: int = 1, *, reason: str = "timed out") -> Body:
    """The event that parks a step for a person."""
    return {"type": "saga.stuck", "step": step, "attempt": attempt, "at_ms": 0, "reason": reason}


def rolled_back(step: str, *, reason: str = "no", requested: bool = False) -> Body:
    """The end of going back."""
    return {"type": "saga.rolled_back", **why(step, reason=reason, requested=requested), "forget_ms": REMEMBERED_MS}
