"""The limits of fields, on both sides of each bound."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from app.wire import fields
from app.wire.invalid_record import InvalidRecord
from tests.wire.values import ORDER, Value

NO_TEXT: tuple[object, ...] = (None, 1, 1.5, True, [], {}, ["a"])
NO_INTEGER: tuple[object, ...] = (None, True, False, "1", "", 1.0, 1.5, 1e300, [], {}, float(2**64))
NO_OBJECT: tuple[object, ...] = (None, True, 1, "{}", [], [{}])


def refused(take: Callable[[], object]) -> None:
    """A field is refused as invalid."""
    with pytest.raises(InvalidRecord) as caught:
        take()
    assert caught.value.code == "invalid"


def changed(path: tuple[str | int, ...], value: object) -> Value:
    """The sample order with another value at a path; `...` removes the field."""
    order: Any = deepcopy(ORDER)
    holder = order
    for part in path[:-1]:
        holder = holder[part]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return dict(order)


@pytest.mark.parametrize("value", ("", "x", "x" * 1024, "\U0001f600" * 1024, "\0\u202e\r\n=cmd|'/c calc'!A1<script>"))
def test_text_within_the_limit(value: str) -> None:
    """Up to 1,024 characters of any kind, unchanged."""
    assert fields.text({"reason": value}, "reason") == value


@pytest.mark.parametrize("value", (*NO_TEXT, "x" * 1025, "\u00e9" * 1025))
def test_text_beyond_the_limit(value: object) -> None:
    """1,025 characters, and any value that is not a string."""
    refused(lambda: fields.text({"reason": value}, "reason"))


def test_a_missing_field_is_refused() -> None:
    """Every field that is read must be there."""
    refused(lambda: fields.text({}, "reason"))
    refused(lambda: fields.flag({}, "retryable"))
    refused(lambda: fields.order_id({}))
    refused(lambda: fields.order({}))


@pytest.mark.parametrize("value", (None, 0, 1, "true", "", [], {}))
def test_a_flag_is_true_or_false(value: object) -> None:
    """Nothing else counts as a boolean."""
    assert fields.flag({"retryable": True}, "retryable") is True
    assert fields.flag({"retryable": False}, "retryable") is False
    refused(lambda: fields.flag({"retryable": value}, "retryable"))


@pytest.mark.parametrize("value", ("o", "o" * 128, "A-Za-z0-9._-", "0", ".", "-", "_", "..", "é"[:0] + "Z"))
def test_an_order_id_within_the_alphabet(value: str) -> None:
    """1 to 128 letters, digits, points, underscores and hyphens."""
    assert fields.order_id({"order_id": value}) == value


@pytest.mark.parametrize(
    "value",
    (
        *NO_TEXT,
        "",
        "o" * 129,
        "o 1",
        " o",
        "o\n",
        "\no",
        "o\0",
        "o:1",
        "o/1",
        "o\u00e9",
        "\u043e",  # a Cyrillic o
        "\uff4f",  # a full-width o
        "\u0661",  # an Arabic digit one
        "o\u200b",
        "\U0001f600",
    ),
)
def test_an_order_id_beyond_the_alphabet(value: object) -> None:
    """129 characters, no character, and characters that only look like allowed ones."""
    refused(lambda: fields.order_id({"order_id": value}))


def test_an_order_is_read_as_it_is() -> None:
    """All fields of the contract, with their values."""
    assert fields.order(ORDER) == ORDER


def test_an_order_has_one_form() -> None:
    """Neither the sequence of its fields nor unknown fields, at any level, change the result."""
    line = ORDER["lines"][0]
    money = {"note": 1, "minor": 4200, "currency": "EUR"}
    sent = {"x": None, "lines": [dict(reversed([*line.items(), ("x", 1)]))], "total": money, "customer_id": "ann"}
    taken = fields.order({**sent, "order_id": "o-1"})
    assert repr(taken) == repr(ORDER)


@pytest.mark.parametrize("path", (("total",), ("lines", 0, "unit_price")))
@pytest.mark.parametrize("minor", (0, 1, 2**53 - 1))
def test_an_amount_within_the_limits(path: tuple[str | int, ...], minor: int) -> None:
    """From 0 to the largest integer that every JSON library represents exactly."""
    order: Any = fields.order(changed((*path, "minor"), minor))
    assert order == changed((*path, "minor"), minor)


@pytest.mark.parametrize("path", (("total",), ("lines", 0, "unit_price")))
@pytest.mark.parametrize("minor", (*NO_INTEGER, ..., -1, 2**53, 2**63, 2**64 - 1))
def test_an_amount_beyond_the_limits(path: tuple[str | int, ...], minor: object) -> None:
    """Less than 0, more than 2^53 - 1, and any value that is not an integer: a boolean, a text, a float."""
    refused(lambda: fields.order(changed((*path, "minor"), minor)))


@pytest.mark.parametrize("path", (("total",), ("lines", 0, "unit_price")))
@pytest.mark.parametrize("currency", (*NO_TEXT, ..., "", "EU", "EURO", "eur", "EuR", "EUR\n", "\u0395UR", "E1R", "E R"))
def test_a_currency_is_three_capital_letters(path: tuple[str | int, ...], currency: object) -> None:
    """Of the Latin alphabet, and nothing else."""
    assert fields.order(changed((*path, "currency"), "AAA"))
    assert fields.order(changed((*path, "currency"), "ZZZ"))
    refused(lambda: fields.order(changed((*path, "currency"), currency)))


@pytest.mark.parametrize("quantity", (1, 1_000_000))
def test_a_quantity_within_the_limits(quantity: int) -> None:
    """From 1 to a million."""
    assert fields.order(changed(("lines", 0, "quantity"), quantity))["lines"][0]["quantity"] == quantity


@pytest.mark.parametrize("quantity", (*NO_INTEGER, ..., 0, -1, 1_000_001))
def test_a_quantity_beyond_the_limits(quantity: object) -> None:
    """A missing one, less than 1, more than a million, and any value that is not an integer."""
    refused(lambda: fields.order(changed(("lines", 0, "quantity"), quantity)))


@pytest.mark.parametrize("count", (1, 500))
def test_lines_within_the_limits(count: int) -> None:
    """From 1 to 500."""
    lines = ORDER["lines"] * count
    assert fields.order(changed(("lines",), lines))["lines"] == lines


@pytest.mark.parametrize("lines", (..., None, {}, "x", 1, True, [], ORDER["lines"] * 501))
def test_lines_beyond_the_limits(lines: object) -> None:
    """None, 501, and any value that is not a list."""
    refused(lambda: fields.order(changed(("lines",), lines)))


@pytest.mark.parametrize("path", (("total",), ("lines", 0), ("lines", 0, "unit_price")))
@pytest.mark.parametrize("value", NO_OBJECT)
def test_money_and_lines_are_objects(path: tuple[str | int, ...], value: object) -> None:
    """Any other value is refused."""
    refused(lambda: fields.order(changed(path, value)))


@pytest.mark.parametrize("path", (("customer_id",), ("lines", 0, "sku")))
def test_texts_of_an_order_have_limits(path: tuple[str | int, ...]) -> None:
    """1,024 characters pass, 1,025 or a missing text don't."""
    assert fields.order(changed(path, "x" * 1024))
    refused(lambda: fields.order(changed(path, "x" * 1025)))
    refused(lambda: fields.order(changed(path, ...)))


def test_every_line_is_checked() -> None:
    """One invalid line among many is found, at any position."""
    for index in (0, 250, 499):
        lines = ORDER["lines"] * 500
        lines[index] = {**lines[index], "quantity": 0}
        refused(lambda lines=lines: fields.order(changed(("lines",), lines)))  # type: ignore[misc]


def test_the_total_is_not_compared_with_the_lines() -> None:
    """Discounts, shipping and a second currency are up to the shop."""
    assert fields.order(changed(("total",), {"currency": "JPY", "minor": 0}))["total"] == {
        "currency": "JPY",
        "minor": 0,
    }
