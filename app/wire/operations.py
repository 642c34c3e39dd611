"""What an operator sends: a wish as a record of `saga.operations`."""

from unicodedata import category

import orjson

from app.saga.messages import TYPE_OF, Operation, Retry, Skip
from app.wire import fields
from app.wire.bad import Bad
from app.wire.envelope import spoken
from app.wire.times import rfc3339
from app.wire.topics import OPERATIONS
from app.wire.writer import Out

SOURCE = b"/operator"
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of characters, and what ends a line
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # makes text read otherwise than it is


def operation(order_id: str, wish: Operation, at_ms: int) -> Out:
    """The record of a wish uttered at a time (ms since 1970). Raises Bad, with a sentence, when it may not be sent."""
    value = {
        "order_id": fields.order_id({"order_id": order_id}),
        "operator": _words(wish.operator, "operator"),
        "reason": _words(wish.reason, "reason"),
    }
    if isinstance(wish, Retry | Skip) and wish.step is not None:
        value["step"] = fields.step({"step": wish.step})
    key = order_id.encode()
    headers = spoken(wish.id, TYPE_OF[type(wish)], SOURCE, rfc3339(at_ms), key)
    return Out(OPERATIONS.name, key, orjson.dumps(value), headers)


def _words(text: str, name: str) -> str:
    """A text that says something, and that every log and screen can show."""
    if not text.strip():
        raise Bad("invalid", f"{name} must not be empty")
    if any(category(letter) in _UNSEEN or letter in _TURNS for letter in text):
        raise Bad("invalid", f"{name} must be one line of text, without control characters")
    return fields.text({name: text}, name)
