"""Sagas put together from steps of any name: what each is asked for and answers, each with good defaults."""

from app.saga.definition import Command, Kind, Retry, Step
from app.saga.effects import SendCommand, SendOutcome
from app.saga.identity import Direction
from app.saga.messages import Failed, Refused, Succeeded, Undone
from tests.saga.words import ID

# what an author writes


def step(
    name: str,
    after: tuple[str, ...] | None = None,
    *,
    kind: Kind = "compensatable",
    undo: bool | None = None,
    attempts: int = 2,
    timeout_ms: int = 30_000,
    order_fields: tuple[str, ...] = (),
    result_fields: tuple[str, ...] = (),
) -> Step:
    """A step whose undo carries its result; only what is compensatable has one unless `undo` says otherwise."""
    undone = kind == "compensatable" if undo is None else undo
    retry = Retry(attempts, first_pause_ms=1_000)
    return Step(
        name,
        Command(f"{name}.do", order_fields, result_fields, timeout_ms, retry),
        f"{name}.yes",
        f"{name}.failed",
        f"{name}_id",
        Command(f"{name}.undo", (), (f"{name}_id",), timeout_ms, retry) if undone else None,
        f"{name}.undone" if undone else None,
        None if kind == "retriable" else f"{name}.no",
        kind,
        after,
    )


# what participants answer


def done(step: str, attempt: int = 1) -> Succeeded:
    """The step is done."""
    return Succeeded("reply", f"{step}.yes", step, f"{ID}:{step}:do:{attempt}", f"{step}-1")


def refused(step: str, attempt: int = 1) -> Refused:
    """The step can't be done, and nothing was."""
    return Refused("reply", f"{step}.no", step, f"{ID}:{step}:do:{attempt}", f"no {step}")


def undone(step: str, attempt: int = 1) -> Undone:
    """The step is undone."""
    return Undone("reply", f"{step}.undone", step, f"{ID}:{step}:undo:{attempt}")


def broke(step: str, direction: Direction = "do", attempt: int = 1, *, for_good: bool = False) -> Failed:
    """A technical failure of an attempt."""
    command = f"{ID}:{step}:{direction}:{attempt}"
    return Failed("reply", f"{step}.failed", step, command, "broken", retryable=not for_good)


# what is asked of participants


def do(step: str, attempt: int = 1, **fields: object) -> SendCommand:
    """Do the step; the fields are what the command carries beside the order's id."""
    return _ask(step, "do", attempt, fields)


def undo(step: str, attempt: int = 1, *, known: bool = False) -> SendCommand:
    """Undo the step, by its result when that is known."""
    return _ask(step, "undo", attempt, {f"{step}_id": f"{step}-1"} if known else {})


def _ask(step: str, direction: Direction, attempt: int, fields: dict[str, object]) -> SendCommand:
    effect = f"{ID}:{step}:{direction}"
    value = {"order_id": ID, **fields}
    return SendCommand(f"{step}.commands", f"{step}.{direction}", f"{effect}:{attempt}", effect, value)


# what the shop is told


def completed(*steps: str) -> SendOutcome:
    """Everything was done, and these steps have results."""
    return SendOutcome("order.completed", {"order_id": ID, **{f"{step}_id": f"{step}-1" for step in steps}})
