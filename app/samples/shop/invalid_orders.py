"""Invalid records for `order.requests`, each with the reason code of the dead letter that it must become."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from app.samples.shop.orders import order
from app.wire.invalid_record import Code
from app.wire.strict_json import MAX_BYTES, MAX_DEPTH

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class InvalidOrder:
    """A record, its flaw in words, and the reason code of its dead letter."""

    flaw: str
    code: Code
    key: bytes | None
    value: bytes | None
    headers: Headers


def invalid_orders(count: int, seed: int) -> Iterator[InvalidOrder]:
    """So many invalid records, of all kinds in turn; none has the id of an order from `orders`."""
    kinds = (*_values(), *_fields(), *_envelopes())
    for index in range(count):
        order_id = f"x-{seed}-{index:06d}"
        yield kinds[index % len(kinds)](order_id, {**order(index, seed), "order_id": order_id})


Kind = Callable[[str, dict[str, Any]], InvalidOrder]


def _headers(id: str, type: str = "order.place") -> Headers:
    envelope = {"ce_specversion": "1.0", "ce_id": f"{id}:place", "ce_type": type, "ce_source": "/stranger"}
    return (*((name, text.encode()) for name, text in envelope.items()), ("content-type", b"application/json"))


def _values() -> Iterator[Kind]:
    """Records whose value is no JSON object within the limits."""
    yield _value("no value", "malformed", lambda _: None)
    yield _value("an empty value", "malformed", lambda _: b"")
    yield _value("no JSON", "malformed", lambda _: b"order, please")
    yield _value("null", "malformed", lambda _: b"null")
    yield _value("a number", "malformed", lambda _: b"42")
    yield _value("a list", "malformed", lambda whole: b"[" + whole + b"]")
    yield _value("a byte order mark", "malformed", lambda whole: b"\xef\xbb\xbf" + whole)
    yield _value("cut off", "malformed", lambda whole: whole[:-1])
    yield _value("no UTF-8", "malformed", lambda whole: whole.replace(b'"c-', b'"\xff-'))
    yield _value("a lone surrogate", "malformed", lambda whole: whole.replace(b'"c-', b'"\\ud800-'))
    yield _value("a member twice", "malformed", lambda whole: b'{"order_id":"x",' + whole[1:])
    yield _value("NaN", "malformed", lambda whole: whole[:-1] + b',"weight":NaN}')
    yield _value(
        "too deep", "malformed", lambda whole: whole[:-1] + b',"note":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
    )
    yield _value("too large", "too_large", lambda whole: whole + b" " * MAX_BYTES)
    yield _value("far too large", "too_large", lambda whole: whole + b" " * (8 * MAX_BYTES))


def _fields() -> Iterator[Kind]:
    """Orders with a field that the wire contract doesn't allow."""
    yield _field("no lines", {"lines": []})
    yield _field("lines that are no list", {"lines": {"sku": "a"}})
    yield _field("501 lines", {"lines": [_a_line()] * 501})
    yield _field("a line that is no object", {"lines": ["COF-1001"]})
    yield _field("no quantity", {"lines": [_a_line(quantity=0)]})
    yield _field("a quantity of true", {"lines": [_a_line(quantity=True)]})
    yield _field("a quantity with a fraction", {"lines": [_a_line(quantity=1.5)]})
    yield _field("a quantity as text", {"lines": [_a_line(quantity="1")]})
    yield _field("a SKU that is no text", {"lines": [_a_line(sku=1001)]})
    yield _field("a negative total", {"total": {"currency": "EUR", "minor": -1}})
    yield _field("a total beyond 2^53", {"total": {"currency": "EUR", "minor": 2**53}})
    yield _field("a currency in small letters", {"total": {"currency": "eur", "minor": 1}})
    yield _field("a total that is no object", {"total": 12.5})
    yield _field("no customer", {"customer_id": None})
    yield _field("a customer's id too long", {"customer_id": "c" * 1025})
    yield _field("an order's id with a space", {"order_id": "my order"})
    yield _field("an order's id too long", {"order_id": "o" * 129})
    yield _field("an order's id that is no text", {"order_id": 7})


def _envelopes() -> Iterator[Kind]:
    """Valid orders with invalid headers or keys."""
    yield _envelope("no headers", "malformed", lambda id: (id.encode(), ()))
    yield _envelope("no ce_id", "malformed", lambda id: (id.encode(), (("ce_type", b"order.place"),)))
    yield _envelope(
        "a ce_id that is no UTF-8", "malformed", lambda id: (id.encode(), (("ce_id", b"\xff"), *_headers(id)[2:]))
    )
    yield _envelope("an unknown type", "unknown_type", lambda id: (id.encode(), _headers(id, "order.steal")))
    yield _envelope(
        "a reply among the requests", "unknown_type", lambda id: (id.encode(), _headers(id, "payment.charged"))
    )
    yield _envelope("another order's key", "wrong_key", lambda id: (f"{id}-other".encode(), _headers(id)))
    yield _envelope("no key", "wrong_key", lambda id: (None, _headers(id)))
    yield _envelope("an empty key", "wrong_key", lambda id: (b"", _headers(id)))
    yield lambda id, _: InvalidOrder(
        "a cancel of an unknown order",
        "unknown_order",
        id.encode(),
        orjson.dumps({"order_id": id, "reason": "never placed"}),
        _headers(id, "order.cancel"),
    )


def _value(flaw: str, code: Code, spoil: Callable[[bytes], bytes | None]) -> Kind:
    return lambda id, order: InvalidOrder(flaw, code, id.encode(), spoil(orjson.dumps(order)), _headers(id))


def _field(flaw: str, wrong: dict[str, Any]) -> Kind:
    return lambda id, order: InvalidOrder(flaw, "invalid", id.encode(), orjson.dumps({**order, **wrong}), _headers(id))


def _envelope(flaw: str, code: Code, spoil: Callable[[str], tuple[bytes | None, Headers]]) -> Kind:
    return lambda id, order: InvalidOrder(flaw, code, spoil(id)[0], orjson.dumps(order), spoil(id)[1])


def _a_line(**wrong: Any) -> dict[str, Any]:
    return {"sku": "COF-1001", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1890}, **wrong}
