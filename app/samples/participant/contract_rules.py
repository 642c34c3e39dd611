"""A participant's answers by the wire contract: pure functions of a command and of earlier answers."""

from dataclasses import dataclass

import orjson

from app.samples.participant.commands import Command
from app.samples.services.base import Granted, Movement, Refusal, Service

UNDONE_BEFORE = "undone before it was done"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply's type, value (JSON), time of decision (ms since 1970) and movements, as kept in the ledger."""

    type: str
    value: bytes
    at_ms: int
    movements: tuple[Movement, ...] = ()


def settle(service: Service, command: Command, opposite: Answer | None, at_ms: int, *, refused: bool) -> Answer:
    """The first answer to a do or undo. Raises InvalidRecord when the command's data violate the contract.

    `opposite` is the answer in the opposite direction: to this do's undo, or to this undo's do. `refused` refuses a do
    that would succeed.
    """
    if command.direction == "undo":
        return _undone(service, command, opposite, at_ms)
    if opposite is not None:
        return _refusal(service, command, UNDONE_BEFORE, at_ms)
    verdict = service.judge(command.data)
    if isinstance(verdict, Refusal):
        return _refusal(service, command, verdict.reason, at_ms)
    if refused:
        return _refusal(service, command, "refused by chance", at_ms)
    return _done(service, command, verdict, at_ms)


def failure(service: Service, order_id: str, reason: str, at_ms: int, *, retryable: bool) -> Answer:
    """A technical failure: the answer to one attempt only, so that another attempt may succeed."""
    value = {"order_id": order_id, "reason": reason, "retryable": retryable}
    return Answer(service.failed, orjson.dumps(value), at_ms)


def _done(service: Service, command: Command, granted: Granted, at_ms: int) -> Answer:
    value = {"order_id": command.order_id, service.result: granted.result}
    return Answer(service.done, orjson.dumps(value), at_ms, granted.movements)


def _undone(service: Service, command: Command, done: Answer | None, at_ms: int) -> Answer:
    """Gives back exactly what the do took: nothing, when there was no do or it was refused."""
    taken = done.movements if done is not None else ()
    back = tuple(Movement(move.account, move.unit, -move.amount) for move in taken)
    return Answer(_known(service, service.undone), orjson.dumps({"order_id": command.order_id}), at_ms, back)


def _refusal(service: Service, command: Command, reason: str, at_ms: int) -> Answer:
    value = {"order_id": command.order_id, "reason": reason}
    return Answer(_known(service, service.refused), orjson.dumps(value), at_ms)


def _known(service: Service, type: str | None) -> str:
    if type is None:
        raise TypeError(f"the {service.name} service has no such reply")
    return type
