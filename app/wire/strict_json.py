"""Parses bytes to a JSON object, strictly: size and depth are checked first, and no member may occur twice."""

import json
import re
from typing import Any

import orjson

from app.wire.invalid_record import InvalidRecord

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")

Object = dict[str, Any]


def parse(value: bytes | None) -> Object:
    """The JSON object of a record's value. Raises InvalidRecord: too_large or malformed."""
    if value is None:
        raise InvalidRecord("malformed", "the record has no value")
    if len(value) > MAX_BYTES:
        raise InvalidRecord("too_large", f"the value is longer than {MAX_BYTES} bytes")
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise InvalidRecord("malformed", f"the value is nested deeper than {MAX_DEPTH}")
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidRecord("malformed", "the value is not JSON in UTF-8") from error
    if type(parsed) is not dict:
        raise InvalidRecord("malformed", "the value is not a JSON object")
    # Each member has a colon outside of strings: with as many colons as members, no member occurs twice.
    if value.count(b":") != len(parsed) and _has_duplicates(value, parsed):
        raise InvalidRecord("malformed", "the value has a member twice")
    return parsed


def _depth(value: bytes) -> int:
    deepest = depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", value)):
        depth += 1 if bracket in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def _members(parsed: Any) -> int:
    if type(parsed) is dict:
        return len(parsed) + sum(_members(value) for value in parsed.values() if type(value) in (dict, list))
    return sum(_members(value) for value in parsed if type(value) in (dict, list))


def _has_duplicates(value: bytes, parsed: Object) -> bool:
    # Most values are compact: encoded again they give the same bytes, which is fast to check.
    if value == orjson.dumps(parsed) or value.count(b":") == _members(parsed):
        return False
    return _members(json.loads(value, object_pairs_hook=_pairs)) > _members(parsed)


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    """An object as a list of one-member objects, so that duplicate members count."""
    return [{f"{index}": value} for index, (_, value) in enumerate(pairs)]
