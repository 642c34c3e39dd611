"""Changes to a record that leave the rest of it good: one part of it, or one member of its value."""

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from tests.fuzz.codec import BETWEEN

Mutate = Callable[[bytes, int], bytes]
"""Changes some bytes to others, of which there are so many at most."""

_ROOM = 64  # bytes that a part may grow by at once
_VALUE = 2
_JUNK: tuple[Any, ...] = (  # what is no member of a good message
    None, True, 0, -1, 2**53, 2**64 - 1, 1.5, "", "\0", "\u202e", "\r\n", "x" * 1025, [], {}, [[]],
)  # fmt: skip


def mutated(data: bytes, most: int, seed: int, mutate: Mutate) -> bytes:
    """Other bytes that stand for a record: half the time one part is changed, or one member of its value."""
    chance = Random(seed)
    if chance.random() < 0.4:
        return mutate(data, most)
    parts = data.split(BETWEEN)
    at = chance.randrange(len(parts))
    value = _object(parts[_VALUE]) if len(parts) > _VALUE else None
    if value and chance.random() < 0.6:
        at, changed = _VALUE, orjson.dumps(_otherwise(value, chance, mutate))
    else:
        changed = mutate(parts[at], len(parts[at]) + _ROOM)
    return BETWEEN.join((*parts[:at], changed, *parts[at + 1 :]))[:most]


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _otherwise(value: dict[str, Any], chance: Random, mutate: Mutate) -> dict[str, Any]:
    """The same object, with one member changed, gone, or another one."""
    name = chance.choice(list(value))
    member, how = value[name], chance.randrange(6)
    if isinstance(member, dict) and member and how < 4:
        return {**value, name: _otherwise(member, chance, mutate)}
    if isinstance(member, list) and member and isinstance(member[0], dict) and member[0] and how < 4:
        return {**value, name: [_otherwise(member[0], chance, mutate), *member[1:]]}
    if isinstance(member, str) and how < 4:
        return {**value, name: mutate(member.encode(), len(member) + _ROOM).decode(errors="replace")}
    if how == 4:
        return {other: kept for other, kept in value.items() if other != name}
    return {**value, name: chance.choice(_JUNK)}
