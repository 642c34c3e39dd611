"""A record of `saga.dead-letters`, parsed from its headers."""

from dataclasses import dataclass, replace
from typing import Any

from app.wire.envelope import Headers, headers_of
from app.wire.fields import ORDER_ID
from app.wire.writer import ERRORS, Origin

REPLAYED = "__saga.replayed."
FROM = f"{REPLAYED}from"
BY = f"{REPLAYED}by"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a dead letter is in its topic."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter. `size` is that of the value in bytes; the value of a listed one is left out.

    `headers` are those of the original record, without the marks of a replay that led to this dead letter. `origin` is
    None when the headers don't name it.
    """

    position: Position
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    size: int
    headers: Headers
    errors: dict[str, str]
    origin: Origin | None
    replayed_from: str

    @property
    def reason(self) -> str:
        """The code of the reason."""
        return self.errors.get("reason", "")

    @property
    def message(self) -> str:
        """The reason as a sentence."""
        return self.errors.get("message", "")

    @property
    def truncated(self) -> bool:
        """Whether parts of the original record are missing."""
        return "truncated" in self.errors

    @property
    def order_id(self) -> str:
        """The key, if it can be an order id; else empty: any other key may hold anything."""
        text = (self.key or b"").decode(errors="replace")
        return text if ORDER_ID.fullmatch(text) else ""

    def without_value(self) -> "DeadLetter":
        """The dead letter without its value."""
        return replace(self, value=None)


def letter_of(message: Any) -> DeadLetter:
    """Parses a record, as a Kafka client returns it."""
    headers = headers_of(message) or ()
    errors = {name.removeprefix(ERRORS): _text(value) for name, value in headers if name.startswith(ERRORS)}
    marks = {name: _text(value) for name, value in headers if name.startswith(REPLAYED)}
    value: bytes | None = message.value()
    return DeadLetter(
        Position(message.partition(), message.offset()),
        message.timestamp()[1],
        message.key(),
        value,
        len(value or b""),
        [each for each in headers if not each[0].startswith((ERRORS, REPLAYED))],
        errors,
        _origin(errors),
        marks.get(FROM, ""),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def _origin(errors: dict[str, str]) -> Origin | None:
    try:
        numbers = [int(errors[name]) for name in ("partition", "offset", "timestamp")]
        return Origin(errors["topic"], *numbers)
    except (KeyError, ValueError):
        return None
