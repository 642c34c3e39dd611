"""What the moves of a saga share: whose turn it is, what counts as an answer, and how to ask and to go back."""

from app.saga.definition import Saga, Step
from app.saga.events import Because, CompensationRequested, Event, Operated, StepRequested
from app.saga.facts import fact
from app.saga.identity import Direction, attempt_of, effect_key
from app.saga.messages import TYPE_OF, Failed, Operation, Reply
from app.saga.state import Compensating, CompensationPausing, Pausing, Running, Stuck
from app.saga.verdict import Nothing, Unacceptable

Answer = list[Event] | Nothing | Unacceptable
Forward = Running | Pausing
Backward = Compensating | CompensationPausing

TIMED_OUT = "timed out"


@fact
class Turn:
    """Which saga decides, and when (ms since 1970)."""

    saga: Saga
    id: str
    at_ms: int


def answers(turn: Turn, state: Forward | Backward | Stuck, direction: Direction, reply: Reply) -> int | None:
    """Which of the attempts sent so far the reply answers; None for a reply to anything else."""
    if reply.step != state.step:
        return None
    attempt = attempt_of(reply.command, effect_key(turn.id, state.step, direction))
    return attempt if attempt is not None and attempt <= state.attempt else None


def counts(state: Forward | Backward, reply: Failed, attempt: int) -> bool:
    """A failure for good ends an effect, unless an operator asked anew since; a passing one, the attempt under way."""
    if reply.retryable:
        return attempt == state.attempt and isinstance(state, Running | Compensating)
    return isinstance(state, Running | Pausing) or attempt >= state.first_attempt


def request(turn: Turn, step: Step, attempt: int) -> StepRequested:
    """Asks for a step."""
    return {
        "type": "saga.step.requested",
        "step": step.name,
        "attempt": attempt,
        "due_ms": turn.at_ms + step.do.timeout_ms,
    }


def request_undo(turn: Turn, step: Step, attempt: int, because: Because | None = None) -> CompensationRequested:
    """Asks for the undoing of a step; the first one says why."""
    requested: CompensationRequested = {
        "type": "saga.compensation.requested",
        "step": step.name,
        "attempt": attempt,
        "due_ms": turn.at_ms + step.undo.timeout_ms,
    }
    if because is not None:
        requested["because"] = because
    return requested


def go_back(turn: Turn, first: Step | None, because: Because) -> Event:
    """Undoes from this step on, newest first; without one there is nothing to undo."""
    if first is None:
        return {"type": "saga.rolled_back", **because}
    return request_undo(turn, first, 1, because)


def operated(wish: Operation) -> Operated:
    """A person acted."""
    return {
        "type": "saga.operated",
        "operation": TYPE_OF[type(wish)],
        "operator": wish.operator,
        "reason": wish.reason,
    }
