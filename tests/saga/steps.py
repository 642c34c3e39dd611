"""Steps of any name for sagas of tests, with their commands, replies and outcomes, each with good defaults."""

from app.saga.definition import Command, Kind, Retry, Step
from app.saga.message_ids import Direction
from app.saga.messages import Failed, Refused, Succeeded, Undone
from app.saga.outputs import SendCommand, SendOutcome
from tests.saga.order_messages import ID

# definitions


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
    """A step whose undo carries its result. By default only a compensatable step has an undo."""
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


# replies


def done(step: str, attempt: int = 1) -> Succeeded:
    """The step is done."""
    return Succeeded("reply", f"{step}.yes", step, f"{ID}:{step}:do:{attempt}", f"{step}-1")


def refused(step: str, attempt: int = 1) -> Refused:
    """The step is refused: nothing was done."""
    return Refused("reply", f"{step}.no", step, f"{ID}:{step}:do:{attempt}", f"no {step}")


def undone(step: str, attempt: int = 1) -> Undone:
    """The step is undone."""
    return Undone("reply", f"{step}.undone", step, f"{ID}:{step}:undo:{attempt}")


def broke(step: str, direction: Direction = "do", attempt: int = 1, *, for_good: bool = False) -> Failed:
    """A technical failure of an attempt."""
    command = f"{ID}:{step}:{direction}:{attempt}"
    return Failed("reply", f"{step}.failed", step, command, "broken", retryable=not for_good)


# commands


def do(step: str, attempt: int = 1, **fields: object) -> SendCommand:
    """The command to do the step; the fields are what it carries beside the order id."""
    return _command(step, "do", attempt, fields)


def undo(step: str, attempt: int = 1, *, known: bool = False) -> SendCommand:
    """The command to undo the step, by its result if that is known."""
    return _command(step, "undo", attempt, {f"{step}_id": f"{step}-1"} if known else {})


def _command(step: str, direction: Direction, attempt: int, fields: dict[str, object]) -> SendCommand:
    action = f"{ID}:{step}:{direction}"
    value = {"order_id": ID, **fields}
    return SendCommand(f"{step}.commands", f"{step}.{direction}", f"{action}:{attempt}", action, value)


# outcomes


def completed(*steps: str) -> SendOutcome:
    """Every step is done, and these steps have results."""
    return SendOutcome("order.completed", {"order_id": ID, **{f"{step}_id": f"{step}-1" for step in steps}})
