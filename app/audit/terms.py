"""The words of the order saga, taken from the contract and not from the code that is judged."""

from dataclasses import dataclass

from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE


@dataclass(frozen=True, slots=True)
class Step:
    """One participant: the types of its messages, the fields of its commands, and the field of its result."""

    name: str
    do: str
    undo: str
    succeeded: str
    refused: str
    undone: str
    failed: str
    do_fields: tuple[str, ...]
    undo_fields: tuple[str, ...]
    result: str
    needs: tuple[str, ...] = ()
    """The steps that must have succeeded before it is asked for."""

    @property
    def commands(self) -> str:
        """The topic of its commands."""
        return f"{self.name}.commands"

    @property
    def replies(self) -> str:
        """The topic of its replies."""
        return f"{self.name}.replies"


RESERVATION = Step(
    name="reservation",
    do="reservation.reserve",
    undo="reservation.release",
    succeeded="reservation.reserved",
    refused="reservation.rejected",
    undone="reservation.released",
    failed="reservation.failed",
    do_fields=("lines",),
    undo_fields=(),
    result="reservation_id",
)
PAYMENT = Step(
    name="payment",
    do="payment.charge",
    undo="payment.refund",
    succeeded="payment.charged",
    refused="payment.declined",
    undone="payment.refunded",
    failed="payment.failed",
    do_fields=("customer_id", "total"),
    undo_fields=("total",),
    result="payment_id",
    needs=("reservation",),
)
STEPS = {step.name: step for step in (RESERVATION, PAYMENT)}

DO, UNDO = "do", "undo"
Effect = tuple[str, str]
"""The name of a step and a direction, do or undo."""

COMMANDS = {step.commands: step for step in STEPS.values()}
REPLIES = {step.replies: step for step in STEPS.values()}
COMMAND_EFFECT: dict[str, Effect] = {
    type: (step.name, direction) for step in STEPS.values() for type, direction in ((step.do, DO), (step.undo, UNDO))
}
REPLY_EFFECT: dict[str, Effect] = {
    type: (step.name, direction)
    for step in STEPS.values()
    for type, direction in ((step.succeeded, DO), (step.refused, DO), (step.undone, UNDO))
}
"""What the final replies answer; a technical failure may answer either direction."""

TYPES: dict[str, tuple[str, ...]] = {
    REQUESTS.name: ("order.place", "order.cancel"),
    OPERATIONS.name: ("saga.retry", "saga.skip", "saga.compensate"),
    **{step.replies: (step.succeeded, step.refused, step.undone, step.failed) for step in STEPS.values()},
    **{step.commands: (step.do, step.undo) for step in STEPS.values()},
}
"""Which messages a topic may carry."""

INPUTS = (REQUESTS.name, *REPLIES, OPERATIONS.name)
OUTPUTS = (*COMMANDS, OUTCOMES.name, EVENTS.name)
TOPICS = (*INPUTS, *OUTPUTS, DEAD_LETTERS.name, STATE.name)

FINAL_OUTCOMES = ("order.completed", "order.rejected", "order.cancelled")
DEAD_LETTER_REASONS = frozenset(
    ("malformed", "too_large", "unknown_type", "invalid", "conflict", "unknown_order", "wrong_key")
)
MAX_VALUE_BYTES = 64 * 1024
MAX_DEAD_LETTER_BYTES = 256 * 1024


def command_id(saga_id: str, effect: Effect, attempt: int) -> str:
    """The id of one attempt (from 1) of an effect."""
    return f"{saga_id}:{effect[0]}:{effect[1]}:{attempt}"


def attempted(saga_id: str, command: str | None) -> tuple[Effect, int] | None:
    """The effect and the attempt that a command's id names; None for one that names none of this saga."""
    parts = (command or "").rsplit(":", 3)
    if len(parts) != 4 or parts[0] != saga_id or parts[1] not in STEPS or parts[2] not in (DO, UNDO):
        return None
    number = parts[3]
    return ((parts[1], parts[2]), int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
