"""JSON Schema validators: as a stranger would use a schema, and one that allows nothing but what the schema names."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, ValidationError, validators

Schema = dict[str, Any]


def _pattern(_: Any, pattern: str, instance: object, __: Schema) -> Iterator[ValidationError]:
    """As in ECMA 262, which JSON Schema means: `$` does not match before a last line feed."""
    if isinstance(instance, str) and re.search(pattern.replace("$", r"\Z"), instance) is None:
        yield ValidationError(f"does not match {pattern}")


_extend: Any = validators.extend
_NEWEST = _extend(Draft202012Validator, {"pattern": _pattern})
_OLDEST = _extend(Draft7Validator, {"pattern": _pattern})


def flaws(schema: Schema, value: object) -> list[str]:
    """What a schema finds wrong with a value, in both drafts that it speaks."""
    found = [error.message for error in _NEWEST(schema).iter_errors(value)]
    assert bool(found) == (not _OLDEST(_without_dialect(schema)).is_valid(value)), "the drafts disagree"
    return found


def allows(schema: Schema, value: object) -> bool:
    """Whether a schema finds nothing wrong with a value."""
    return not flaws(schema, value)


def strangers(schema: Schema, value: object) -> list[str]:
    """What is wrong with a value for one who allows no field that the schema doesn't name."""
    return [error.message for error in _NEWEST(closed(schema)).iter_errors(value)]


def check(schema: Schema) -> None:
    """Raises SchemaError when either draft does not take the schema as one."""
    _NEWEST.check_schema(schema)
    _OLDEST.check_schema(_without_dialect(schema))


def closed(schema: Any) -> Any:
    """The schema without room for fields to come."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: part if name == "examples" else closed(part) for name, part in schema.items()}
    return {**parts, "unevaluatedProperties": False} if schema.get("type") == "object" else parts


def resolved(document: Any, node: Any) -> Any:
    """A part of a document with what its references mean in their place; KeyError where one leads nowhere."""
    if isinstance(node, list):
        return [resolved(document, part) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        assert set(node) == {"$ref"}
        found = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return resolved(document, found)
    return {name: resolved(document, part) for name, part in node.items()}


def _without_dialect(schema: Schema) -> Schema:
    return {name: part for name, part in schema.items() if name != "$schema"}
