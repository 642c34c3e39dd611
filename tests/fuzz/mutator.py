"""Mutations that leave the rest of a record valid: of one part, or of one member of its value."""

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from tests.fuzz.codec import BETWEEN

Mutate = Callable[[bytes, int], bytes]
"""(bytes, maximum size) -> mutated bytes."""

_MAX_GROWTH = 64  # bytes that a part can grow by in one mutation
_VALUE = 2
_JUNK: tuple[Any, ...] = (  # values that no valid message has
    None, True, 0, -1, 2**53, 2**64 - 1, 1.5, "", "\0", "\u202e", "\r\n", "x" * 1025, [], {}, [[]],
)  # fmt: skip


def mutate_input(data: bytes, max_size: int, seed: int, mutate_bytes: Mutate) -> bytes:
    """Mutates an input: in two of five cases all of it, else one part of the record, or one member of its value."""
    rng = Random(seed)
    if rng.random() < 0.4:
        return mutate_bytes(data, max_size)
    parts = data.split(BETWEEN)
    at = rng.randrange(len(parts))
    value = _object(parts[_VALUE]) if len(parts) > _VALUE else None
    if value and rng.random() < 0.6:
        at, changed = _VALUE, orjson.dumps(_with_changed_member(value, rng, mutate_bytes))
    else:
        changed = mutate_bytes(parts[at], len(parts[at]) + _MAX_GROWTH)
    return BETWEEN.join((*parts[:at], changed, *parts[at + 1 :]))[:max_size]


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _with_changed_member(value: dict[str, Any], rng: Random, mutate_bytes: Mutate) -> dict[str, Any]:
    """The object with one member changed, removed or replaced."""
    name = rng.choice(list(value))
    member, kind = value[name], rng.randrange(6)
    if isinstance(member, dict) and member and kind < 4:
        return {**value, name: _with_changed_member(member, rng, mutate_bytes)}
    if isinstance(member, list) and member and isinstance(member[0], dict) and member[0] and kind < 4:
        return {**value, name: [_with_changed_member(member[0], rng, mutate_bytes), *member[1:]]}
    if isinstance(member, str) and kind < 4:
        return {**value, name: mutate_bytes(member.encode(), len(member) + _MAX_GROWTH).decode(errors="replace")}
    if kind == 4:
        return {other: kept for other, kept in value.items() if other != name}
    return {**value, name: rng.choice(_JUNK)}
