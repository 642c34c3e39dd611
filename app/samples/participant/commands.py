"""Records of a commands topic as commands."""

from dataclasses import dataclass

from app.saga.message_ids import Direction, idempotency_key
from app.samples.services.base import Service
from app.wire import envelope, fields, strict_json
from app.wire.envelope import Envelope, Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.strict_json import Object

Trace = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """One attempt of a do or undo; `key` is the idempotency key, equal for all its attempts."""

    id: str
    key: str
    order_id: str
    direction: Direction
    data: Object
    trace: Trace

    @property
    def opposite(self) -> str:
        """The idempotency key of the opposite direction: of this do's undo, or of this undo's do."""
        stem = self.key.rpartition(":")[0]
        return f"{stem}:{'undo' if self.direction == 'do' else 'do'}"


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """A command that can't be carried out, but names an addressee for the reply."""

    id: str
    order_id: str
    reason: str
    trace: Trace


AnyCommand = Command | InvalidCommand


def read(service: Service, key: bytes | None, value: bytes | None, headers: Headers | None) -> AnyCommand:
    """The command in a record. Raises InvalidRecord when the record names no addressee for a reply."""
    message = envelope.read(value, headers)
    order_id = fields.order_id(message.data)
    if key != order_id.encode():
        raise InvalidRecord("wrong_key", "the record's key is not its order_id")
    direction = service.direction(message.type)
    if direction is None:
        return _invalid(message, order_id, f"the {service.name} service knows no commands of this type")
    expected = idempotency_key(order_id, service.name, direction)
    if _idempotency_key(value, headers) != expected:
        return _invalid(message, order_id, "the idempotency key is not that of this order, step and direction")
    return Command(message.id, expected, order_id, direction, message.data, message.trace)


def _invalid(message: Envelope, order_id: str, reason: str) -> InvalidCommand:
    return InvalidCommand(message.id, order_id, reason, message.trace)


def _idempotency_key(value: bytes | None, headers: Headers | None) -> str | None:
    """The key in the header, or in structured mode in the CloudEvents attribute."""
    named = dict(headers or ())
    if (named.get("content-type") or b"").startswith(b"application/cloudevents+json"):
        attribute = strict_json.parse(value).get("idempotencykey")
        return attribute if type(attribute) is str else None
    header = named.get("ce_idempotencykey")
    return None if header is None else header.decode("utf-8", "replace")
