"""Reads records of the input topics as inputs of a saga."""

from collections.abc import Callable
from hashlib import blake2b

import orjson

from app.saga.definition import HasSteps, Step
from app.saga.immutable import immutable
from app.saga.messages import Cancel, Compensate, Failed, Input, Place, Refused, Retry, Skip, Succeeded, Trace, Undone
from app.wire import envelope, fields
from app.wire.envelope import Envelope, Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.topics import OPERATIONS, REQUESTS


@immutable
class Received:
    """An input, and what its decision records as its cause: id, type and the trace to propagate."""

    saga_id: str
    id: str
    type: str
    given: Input
    trace: tuple[tuple[str, bytes], ...]


MAX_TRACESTATE = 512
"""Characters of a `tracestate` that a saga keeps: as many as W3C Trace Context asks for."""
Parse = Callable[[Envelope], Input]


class Reader:
    """Reads the messages of one saga, or of all its versions. The message types per topic follow from its steps."""

    def __init__(self, saga: HasSteps) -> None:
        self._parsers: dict[str, dict[str, Parse]] = {
            REQUESTS.name: {"order.place": _place, "order.cancel": _cancel},
            OPERATIONS.name: {"saga.retry": _retry, "saga.skip": _skip, "saga.compensate": _compensate},
            **{step.replies_topic: _replies(step) for step in saga.steps},
        }

    def read(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None) -> Received:
        """The input of a record; `topic` is without prefix. Raises InvalidRecord if the record is a dead letter."""
        message = envelope.read(value, headers)
        parse = self._parsers[topic].get(message.type)
        if parse is None:
            raise InvalidRecord("unknown_type", f"{topic} carries no messages of this type")
        saga_id = fields.order_id(message.data)
        given = parse(message)
        if key is None or key != saga_id.encode():
            raise InvalidRecord("wrong_key", "the record's key is not its order_id")
        return Received(saga_id, message.id, message.type, given, message.trace)

    def types(self, topic: str) -> tuple[str, ...]:
        """The message types that a topic may carry; `topic` is without prefix."""
        return tuple(self._parsers[topic])


def digest(order: object) -> str:
    """128 bits of BLAKE2b over the canonical JSON, in hex: tells two orders apart."""
    return blake2b(orjson.dumps(order), digest_size=16).hexdigest()


def _place(message: Envelope) -> Place:
    order = fields.order(message.data)
    return Place(message.id, order, digest(order), _trace(message) if message.trace else None)


def _trace(message: Envelope) -> Trace:
    """The trace that the saga keeps. A long tracestate is left out, as each state of the saga would repeat it."""
    parent, *state = (value.decode() for _, value in message.trace)
    return Trace(parent, *(text for text in state if len(text) <= MAX_TRACESTATE))


def _cancel(message: Envelope) -> Cancel:
    return Cancel(message.id, fields.text(message.data, "reason"))


def _retry(message: Envelope) -> Retry:
    return Retry(message.id, *_operator_and_reason(message), _optional_step(message))


def _skip(message: Envelope) -> Skip:
    return Skip(message.id, *_operator_and_reason(message), _optional_step(message))


def _compensate(message: Envelope) -> Compensate:
    return Compensate(message.id, *_operator_and_reason(message))


def _operator_and_reason(message: Envelope) -> tuple[str, str]:
    return fields.text(message.data, "operator"), fields.text(message.data, "reason")


def _optional_step(message: Envelope) -> str | None:
    return fields.step(message.data) if "step" in message.data else None


def _replies(step: Step) -> dict[str, Parse]:
    """The parser of each reply type of a step."""
    name, result = step.name, step.result

    def succeeded(message: Envelope) -> Succeeded:
        return Succeeded(message.id, message.type, name, _command(message), fields.text(message.data, result))

    def refused(message: Envelope) -> Refused:
        return Refused(message.id, message.type, name, _command(message), fields.text(message.data, "reason"))

    def undone(message: Envelope) -> Undone:
        return Undone(message.id, message.type, name, _command(message))

    def failed(message: Envelope) -> Failed:
        reason, retryable = fields.text(message.data, "reason"), fields.flag(message.data, "retryable")
        return Failed(message.id, message.type, name, _command(message), reason, retryable)

    parsers = ((step.succeeded, succeeded), (step.refused, refused), (step.undone, undone), (step.failed, failed))
    return {type: parse for type, parse in parsers if type is not None}


def _command(message: Envelope) -> str:
    if message.causation is None:
        raise InvalidRecord("malformed", "a reply needs ce_causationid, the id of the command that it answers")
    return message.causation
