"""Checks whether an event has the fields that its type declares, with the declared types."""

from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

from app.saga.events import Event

DECLARED: dict[str, Any] = {get_args(get_type_hints(kind)["type"])[0]: kind for kind in get_args(Event)}


def shape_errors(event: Any) -> list[str]:
    """What is wrong with an event, one sentence each."""
    return _errors(event, DECLARED[event["type"]], event["type"])


def _errors(value: Any, declared: Any, name: str) -> list[str]:
    if is_typeddict(declared):
        return _object_errors(value, declared, name)
    if get_origin(declared) is Literal:
        return [] if value in get_args(declared) else [f"{name} is {value!r}"]
    if get_origin(declared) is list:
        return [error for item in value for error in _errors(item, get_args(declared)[0], name)]
    return [] if type(value) is declared else [f"{name} is a {type(value).__name__}"]


def _object_errors(value: Any, declared: Any, name: str) -> list[str]:
    hints, required = get_type_hints(declared), declared.__required_keys__
    missing = [f"{name} has no {key}" for key in sorted(required - value.keys())]
    unknown = [f"{name} has a {key}" for key in sorted(value.keys() - hints.keys())]
    known = [key for key in value if key in hints]
    return missing + unknown + [error for key in known for error in _errors(value[key], hints[key], f"{name}.{key}")]
