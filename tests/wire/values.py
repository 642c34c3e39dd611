"""Values that the contract allows: a sample of each input message, and hypothesis strategies for all of them."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from app.wire.envelope import Headers
from app.wire.fields import MAX_MINOR, MAX_QUANTITY, MAX_TEXT
from tests.saga.order_messages import CONTENT

Value = dict[str, Any]

COMMAND = "o-1:payment:do:1"
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]
ORDER: Value = dict(CONTENT)
_WITH_REASON: Value = {"order_id": "o-1", "reason": "no"}
_OPERATION: Value = {"order_id": "o-1", "operator": "olga", "reason": "yes"}
_FAILED: Value = {"order_id": "o-1", "reason": "down", "retryable": True}
SAMPLES: dict[tuple[str, str], Value] = {
    ("order.requests", "order.place"): ORDER,
    ("order.requests", "order.cancel"): _WITH_REASON,
    ("saga.operations", "saga.retry"): _OPERATION,
    ("saga.operations", "saga.skip"): _OPERATION,
    ("saga.operations", "saga.compensate"): _OPERATION,
    ("reservation.replies", "reservation.reserved"): {"order_id": "o-1", "reservation_id": "r-1"},
    ("reservation.replies", "reservation.rejected"): _WITH_REASON,
    ("reservation.replies", "reservation.released"): {"order_id": "o-1"},
    ("reservation.replies", "reservation.failed"): _FAILED,
    ("payment.replies", "payment.charged"): {"order_id": "o-1", "payment_id": "p-1"},
    ("payment.replies", "payment.declined"): _WITH_REASON,
    ("payment.replies", "payment.refunded"): {"order_id": "o-1"},
    ("payment.replies", "payment.failed"): _FAILED,
}
"""By topic and type, with the required fields."""
WITH_STEP = ("saga.retry", "saga.skip")
"""Operations that may name a step."""

_texts = st.text(max_size=20) | st.sampled_from(("", "x" * MAX_TEXT, "\U0001f600" * MAX_TEXT, "\0\u202e\r\n\"'<b>"))
_flags = st.booleans()
_steps = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
order_ids = st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True)
_money = st.fixed_dictionaries(
    {
        "currency": st.from_regex(r"[A-Z]{3}", fullmatch=True),
        "minor": st.integers(0, MAX_MINOR) | st.sampled_from((0, MAX_MINOR)),
    }
)
_line = st.fixed_dictionaries(
    {
        "sku": _texts,
        "quantity": st.integers(1, MAX_QUANTITY) | st.sampled_from((1, MAX_QUANTITY)),
        "unit_price": _money,
    }
)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "order_id": order_ids,
    "total": _money,
    "lines": st.lists(_line, min_size=1, max_size=4),
    "retryable": _flags,
}
_short_texts = st.text(max_size=5)
_scalars = (
    st.none() | _flags | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | _short_texts
)
junk = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_short_texts, inner, max_size=3)
)
_extras = st.dictionaries(st.sampled_from(("note", "Reason", "é", "")), junk, max_size=2)


def valid(sample: Value) -> st.SearchStrategy[Value]:
    """Values with the fields of a sample, its optional fields and unknown fields, in any order."""
    optional = {"step": _steps} if "operator" in sample else {}
    fields = st.fixed_dictionaries({name: _FIELDS.get(name, _texts) for name in sample}, optional=optional)
    return st.tuples(_extras, fields, st.randoms(use_true_random=False)).map(_mixed)


def _mixed(parts: tuple[Value, Value, Any]) -> Value:
    extras, fields, chance = parts
    items = list({**extras, **fields}.items())
    chance.shuffle(items)
    return dict(items)


def encoded(value: object) -> bytes:
    """JSON as a program in another language might write it."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", " : ")).encode()


def headers(type: str, **others: bytes | None) -> Headers:
    """The headers of a message in binary mode, with `ce_id` m-1; they name COMMAND as the cause by default."""
    named = {"ce_id": b"m-1", "ce_type": type.encode(), "ce_causationid": COMMAND.encode(), **others}
    return list(named.items())


def structured(type: str, data: object, **others: object) -> bytes:
    """The value of a message in structured mode."""
    event: Mapping[str, object] = {
        "specversion": "1.0",
        "id": "m-1",
        "type": type,
        "source": "/test",
        "causationid": COMMAND,
        "datacontenttype": "application/json",
        "data": data,
        **others,
    }
    return encoded({name: value for name, value in event.items() if value is not ...})
