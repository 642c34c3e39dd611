"""The strict reader and the JSON Schemas accept the same inputs, except for rules that a schema can't express."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire import schemas
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader
from tests.wire.schema_validation import allows
from tests.wire.values import ORDER, SAMPLES, WITH_STEP, Value, encoded, headers, junk, valid
from topologies.order import ORDER as SAGA

READER = Reader(SAGA)
SCHEMAS = schemas.values(SAGA)
KINDS = tuple(SAMPLES)
Kind = tuple[str, str]
Path = tuple[str | int, ...]
MISSING = object()

NO_TEXT: tuple[object, ...] = (MISSING, None, 0, 1.5, True, [], {}, "x" * 1025)
NO_ID: tuple[object, ...] = (*NO_TEXT, "", "o" * 129, "o 1", "o\n", "\u00e9", "o/1")
NO_CURRENCY: tuple[object, ...] = (*NO_TEXT, "", "EU", "EURO", "eur", "EUR\n", "\u00c4UR")
NO_MINOR: tuple[object, ...] = (MISSING, None, True, "1", 1.5, -1, 2**53, 2**64, -(2**64), [], {})
NO_QUANTITY: tuple[object, ...] = (*NO_MINOR, 0, 1_000_001)
NO_OBJECT: tuple[object, ...] = (MISSING, None, True, 1, "{}", [], [{}])
NO_LINES: tuple[object, ...] = (MISSING, None, True, 1, "[]", {}, [], ORDER["lines"] * 501)
NO_FLAG: tuple[object, ...] = (MISSING, None, 0, 1, "true", [], {})
_ORDER: dict[Path, tuple[object, ...]] = {
    ("total",): NO_OBJECT,
    ("total", "currency"): NO_CURRENCY,
    ("total", "minor"): NO_MINOR,
    ("lines",): NO_LINES,
    ("lines", 0): NO_OBJECT[1:],
    ("lines", 0, "sku"): NO_TEXT,
    ("lines", 0, "quantity"): NO_QUANTITY,
    ("lines", 0, "unit_price"): NO_OBJECT,
    ("lines", 0, "unit_price", "currency"): NO_CURRENCY,
    ("lines", 0, "unit_price", "minor"): NO_MINOR,
}
NO_STEP: tuple[object, ...] = (*NO_ID[1:], "x" * 65)
_FIELDS = {"order_id": NO_ID, "retryable": NO_FLAG}

# Rules that no JSON Schema can express, and why; each with a value that the schema allows and the reader refuses.
BEYOND_A_SCHEMA: dict[str, tuple[bytes, str]] = {
    "an integer is written without a point: to a schema a number is an integer when its fraction is zero": (
        encoded({**ORDER, "total": {"currency": "EUR", "minor": 4200.0}}),
        "invalid",
    ),
    "nor with an exponent: a schema sees numbers, not how they are written": (
        encoded(ORDER).replace(b"4200", b"42e2"),
        "invalid",
    ),
    "no member occurs twice: a schema sees parsed objects, where none does": (
        encoded(ORDER)[:-1] + b',"order_id":"o-1"}',
        "malformed",
    ),
    "the whole value is bounded in bytes: a schema bounds each string, but not their sum": (
        encoded(ORDER) + b" " * 65_536,
        "too_large",
    ),
    "and in depth: to a schema an unknown field may hold anything": (
        encoded(ORDER)[:-1] + b',"note":' + b"[" * 32 + b"]" * 32 + b"}",
        "malformed",
    ),
    "the key is the order id: a schema sees only the value": (encoded({**ORDER, "order_id": "o-2"}), "wrong_key"),
}


def code_of(kind: Kind, value: bytes, key: bytes) -> str:
    """The code with which the reader refuses a value; empty if it accepts it."""
    topic, type = kind
    try:
        READER.read(topic, key, value, headers(type))
    except InvalidRecord as bad:
        return bad.code
    return ""


def accepted(kind: Kind, value: Value) -> bool:
    """Whether the reader accepts a value, with its own order id as the key."""
    return not code_of(kind, encoded(value), str(value.get("order_id")).encode())


def changed(value: Value, path: Path, replacement: object) -> Value:
    """The value with another part at a path, or with none."""
    copy: Any = deepcopy(value)
    holder = copy
    for part in path[:-1]:
        holder = holder[part]
    if replacement is MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = replacement
    return dict(copy)


def mutations() -> Iterator[tuple[Kind, Path, object]]:
    """Each field of each message with each value that it must not have."""
    for kind, sample in SAMPLES.items():
        fields: dict[Path, tuple[object, ...]] = {(name,): _FIELDS.get(name, NO_TEXT) for name in sample}
        for path, wrong in (fields | (_ORDER if sample is ORDER else {})).items():
            yield from ((kind, path, replacement) for replacement in wrong)
        if kind[1] in WITH_STEP:
            yield from ((kind, ("step",), replacement) for replacement in NO_STEP)


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path in a value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in parts:
        yield (*path, part)
        yield from paths(inner, (*path, part))


def test_a_forbidden_value_is_refused_by_both() -> None:
    """Each field of each message: missing, of every wrong type, and beyond each of its limits."""
    found = list(mutations())
    for kind, path, replacement in found:
        value = changed(SAMPLES[kind], path, replacement)
        assert not accepted(kind, value), (kind, path, replacement)
        assert not allows(SCHEMAS[kind[1]], value), (kind, path, replacement)
    assert len(found) > 300


@given(st.sampled_from(KINDS), st.data())
def test_a_valid_value_is_accepted_by_both(kind: Kind, data: st.DataObject) -> None:
    """For all values within the limits of the contract."""
    value = data.draw(valid(SAMPLES[kind]))
    assert accepted(kind, value)
    assert allows(SCHEMAS[kind[1]], value)


_REPLACEMENTS = st.sampled_from(
    (MISSING, "x" * 1024, "x" * 1025, "EUR", 0, 1, 10**6, 10**6 + 1, 2**53 - 1, 2**53, 2**64, {}, [], [{}])
)


@given(st.sampled_from(KINDS), st.data())
def test_both_judge_a_changed_value_alike(kind: Kind, data: st.DataObject) -> None:
    """For any change, valid or not."""
    value = data.draw(valid(SAMPLES[kind]))
    path = data.draw(st.sampled_from(sorted(paths(value), key=repr)))
    replacement = data.draw(_REPLACEMENTS | junk.filter(lambda part: not has_whole_float(part)))
    value = changed(value, path, replacement)
    assert accepted(kind, value) == allows(SCHEMAS[kind[1]], value)


def has_whole_float(value: Any) -> bool:
    """Whether a number in it is an integer to a schema, but not to the reader."""
    if isinstance(value, float):
        return value.is_integer()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(has_whole_float(part) for part in parts)


@pytest.mark.parametrize("rule", tuple(BEYOND_A_SCHEMA))
def test_rules_that_a_schema_cannot_express(rule: str) -> None:
    """The schema allows the value, and the reader refuses it."""
    value, code = BEYOND_A_SCHEMA[rule]
    assert allows(SCHEMAS["order.place"], json.loads(value))
    assert code_of(KINDS[0], value, b"o-1") == code


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_schema_is_accepted(kind: Kind) -> None:
    """The examples in the documentation can be sent as they are."""
    assert accepted(kind, schemas.example(SCHEMAS[kind[1]]))


def test_kinds_are_all_inputs() -> None:
    """Every message that the reader knows is compared."""
    assert {type for _, type in KINDS} == {type for topic, _ in KINDS for type in READER.types(topic)}
