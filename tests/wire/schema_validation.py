"""JSON Schema validators: one that allows unknown fields, as consumers do, and one that doesn't."""

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, ValidationError, validators

Schema = dict[str, Any]


def _pattern(_: Any, pattern: str, instance: object, __: Schema) -> Iterator[ValidationError]:
    """As in ECMA 262, which JSON Schema refers to: `$` does not match before a last line feed."""
    if isinstance(instance, str) and re.search(pattern.replace("$", r"\Z"), instance) is None:
        yield ValidationError(f"does not match {pattern}")


_extend: Any = validators.extend
_NEWEST = _extend(Draft202012Validator, {"pattern": _pattern})
_OLDEST = _extend(Draft7Validator, {"pattern": _pattern})


def violations(schema: Schema, value: object) -> list[str]:
    """The violations of a schema by a value, which both drafts agree on."""
    found = [error.message for error in _NEWEST(schema).iter_errors(value)]
    assert bool(found) == (not _OLDEST(_without_dialect(schema)).is_valid(value)), "the drafts disagree"
    return found


def allows(schema: Schema, value: object) -> bool:
    """Whether a value violates nothing in the schema."""
    return not violations(schema, value)


def strict_violations(schema: Schema, value: object) -> list[str]:
    """The violations if the schema allowed no unknown fields."""
    return [error.message for error in _NEWEST(closed(schema)).iter_errors(value)]


def check(schema: Schema) -> None:
    """Raises SchemaError if the schema is invalid in either draft."""
    _NEWEST.check_schema(schema)
    _OLDEST.check_schema(_without_dialect(schema))


def closed(schema: Any) -> Any:
    """The schema without unknown fields."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: part if name == "examples" else closed(part) for name, part in schema.items()}
    return {**parts, "unevaluatedProperties": False} if schema.get("type") == "object" else parts


def resolved(document: Any, node: Any) -> Any:
    """A part of a document with its references replaced. Raises KeyError if one leads nowhere."""
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
