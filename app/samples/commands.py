"""Records of a commands topic, read as what a participant is asked to do."""

from dataclasses import dataclass

from app.saga.identity import Direction, effect_key
from app.samples.service import Service
from app.wire import envelope, fields, strict
from app.wire.bad import Bad
from app.wire.envelope import Envelope, Headers
from app.wire.strict import Object

Trace = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Command:
    """One attempt of an effect; `key` is the idempotency key, equal for all attempts."""

    id: str
    key: str
    order_id: str
    direction: Direction
    data: Object
    trace: Trace

    @property
    def opposite(self) -> str:
        """The idempotency key of the do to this undo, or of the undo to this do."""
        stem = self.key.rpartition(":")[0]
        return f"{stem}:{'undo' if self.direction == 'do' else 'do'}"


@dataclass(frozen=True, slots=True)
class Flawed:
    """A command that nobody could carry out, but whose sender can be told."""

    id: str
    order_id: str
    reason: str
    trace: Trace


Asked = Command | Flawed


def read(service: Service, key: bytes | None, value: bytes | None, headers: Headers | None) -> Asked:
    """What a record asks for. Raises Bad when it doesn't even say to whom an answer would go."""
    message = envelope.read(value, headers)
    order_id = fields.order_id(message.data)
    if key != order_id.encode():
        raise Bad("wrong_key", "the record's key is not its order_id")
    direction = service.direction(message.type)
    if direction is None:
        return _flawed(message, order_id, f"the {service.name} service knows no commands of this type")
    wanted = effect_key(order_id, service.name, direction)
    if _idempotency_key(value, headers) != wanted:
        return _flawed(message, order_id, "the idempotency key is not that of this order, step and direction")
    return Command(message.id, wanted, order_id, direction, message.data, message.trace)


def _flawed(message: Envelope, order_id: str, reason: str) -> Flawed:
    return Flawed(message.id, order_id, reason, message.trace)


def _idempotency_key(value: bytes | None, headers: Headers | None) -> str | None:
    """From the header, or in structured mode from the attribute."""
    named = dict(headers or ())
    if (named.get("content-type") or b"").startswith(b"application/cloudevents+json"):
        attribute = strict.parse(value).get("idempotencykey")
        return attribute if type(attribute) is str else None
    header = named.get("ce_idempotencykey")
    return None if header is None else header.decode("utf-8", "replace")
