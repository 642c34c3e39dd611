"""The fields of messages. Each function returns one field of a JSON object, or raises InvalidRecord ("invalid")."""

import re
from typing import Any

from app.saga.messages import Line, Money, Order
from app.saga.soundness import NAME
from app.wire.invalid_record import InvalidRecord
from app.wire.strict_json import Object

MAX_TEXT = 1024
MAX_LINES = 500
MAX_QUANTITY = 1_000_000
MAX_MINOR = 2**53 - 1
ORDER_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
CURRENCY = re.compile(r"[A-Z]{3}")


def text(source: Object, name: str) -> str:
    """A string of at most 1,024 characters."""
    value = source.get(name)
    if type(value) is not str or len(value) > MAX_TEXT:
        raise InvalidRecord("invalid", f"{name} must be a string of at most {MAX_TEXT} characters")
    return value


def flag(source: Object, name: str) -> bool:
    """A boolean."""
    value = source.get(name)
    if type(value) is not bool:
        raise InvalidRecord("invalid", f"{name} must be true or false")
    return value


def order_id(source: Object) -> str:
    """The order id: 1 to 128 characters of `A-Za-z0-9._-`."""
    value = source.get("order_id")
    if type(value) is not str or ORDER_ID.fullmatch(value) is None:
        raise InvalidRecord("invalid", f"order_id must match {ORDER_ID.pattern}")
    return value


def step(source: Object) -> str:
    """A step's name, of any saga: 1 to 64 characters of `A-Za-z0-9._-`."""
    value = source.get("step")
    if type(value) is not str or NAME.fullmatch(value) is None:
        raise InvalidRecord("invalid", f"step must match {NAME.pattern}")
    return value


def _number(source: Object, name: str, least: int, most: int) -> int:
    value = source.get(name)
    if type(value) is not int or not least <= value <= most:
        raise InvalidRecord("invalid", f"{name} must be an integer from {least} to {most}")
    return value


def _object(source: Any, name: str) -> Object:
    if type(source) is not dict:
        raise InvalidRecord("invalid", f"{name} must be an object")
    return source


def _money(source: Object, name: str) -> Money:
    money = _object(source.get(name), name)
    currency = money.get("currency")
    if type(currency) is not str or CURRENCY.fullmatch(currency) is None:
        raise InvalidRecord("invalid", f"the currency of {name} must be three capital letters")
    return {"currency": currency, "minor": _number(money, "minor", 0, MAX_MINOR)}


def _line(source: Any) -> Line:
    line = _object(source, "each of lines")
    return {
        "sku": text(line, "sku"),
        "quantity": _number(line, "quantity", 1, MAX_QUANTITY),
        "unit_price": _money(line, "unit_price"),
    }


def order(source: Object) -> Order:
    """The whole order: its fields in one fixed sequence, without fields that the contract doesn't know."""
    lines = source.get("lines")
    if type(lines) is not list or not 1 <= len(lines) <= MAX_LINES:
        raise InvalidRecord("invalid", f"lines must be a list of 1 to {MAX_LINES}")
    return {
        "order_id": order_id(source),
        "customer_id": text(source, "customer_id"),
        "total": _money(source, "total"),
        "lines": [_line(line) for line in lines],
    }
