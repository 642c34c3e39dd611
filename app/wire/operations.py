"""The records of `saga.operations`, which operators send."""

from unicodedata import category

import orjson

from app.saga.messages import TYPE_OF, Operation, Retry, Skip
from app.wire import fields
from app.wire.envelope import cloudevent_headers
from app.wire.invalid_record import InvalidRecord
from app.wire.rfc3339 import rfc3339
from app.wire.topics import OPERATIONS
from app.wire.writer import OutputRecord

SOURCE = b"/operator"
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
# They reorder the text on the screen.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def operation(order_id: str, requested: Operation, at_ms: int) -> OutputRecord:
    """The record of an operation sent at a time (ms since 1970). Raises InvalidRecord if a field is not allowed."""
    value = {
        "order_id": fields.order_id({"order_id": order_id}),
        "operator": _readable(requested.operator, "operator"),
        "reason": _readable(requested.reason, "reason"),
    }
    if isinstance(requested, Retry | Skip) and requested.step is not None:
        value["step"] = fields.step({"step": requested.step})
    key = order_id.encode()
    headers = cloudevent_headers(requested.id, TYPE_OF[type(requested)], SOURCE, rfc3339(at_ms), key)
    return OutputRecord(OPERATIONS.name, key, orjson.dumps(value), headers)


def _readable(text: str, name: str) -> str:
    """A text that is not blank, and that every log and terminal can show."""
    if not text.strip():
        raise InvalidRecord("invalid", f"{name} must not be empty")
    if any(category(letter) in _CONTROLS or letter in _BIDI_CONTROLS for letter in text):
        raise InvalidRecord("invalid", f"{name} must be one line of text, without control characters")
    return fields.text({name: text}, name)
