"""JSON Schemas of all values on the wire, made of the constants and definitions that the code reads and writes by.

They use only what drafts 7 and 2020-12 have in common, and leave room for fields to come.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from app.saga.definition import Saga, Step
from app.saga.events import Event
from app.saga.messages import TYPE_OF, Compensate, Order, Retry, Skip
from app.saga.state import Why
from app.wire.fields import CURRENCY, MAX_LINES, MAX_MINOR, MAX_QUANTITY, MAX_TEXT, ORDER_ID
from app.wire.statedoc import KINDS

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text(*examples: str) -> Schema:
    """A string within the limits of the contract."""
    return {"type": "string", "maxLength": MAX_TEXT, **({"examples": list(examples)} if examples else {})}


def count(least: int, *examples: int) -> Schema:
    """An integer of at least so much."""
    return {"type": "integer", "minimum": least, **({"examples": list(examples)} if examples else {})}


def one_of(values: Iterable[str]) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(values)}


def record(fields: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """An object with these fields, of which some may be absent, and any others."""
    absent = set(optional)
    required = [name for name in fields if name not in absent]
    return {"type": "object", "properties": dict(fields), **({"required": required} if required else {})}


ORDER_KEY: Schema = {"type": "string", "pattern": f"^{ORDER_ID.pattern}$", "examples": ["o-1001"]}
TIME: Schema = {"type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2026-03-01T09:30:00.125Z"]}
_MINOR: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_MINOR,
    "description": "In the smallest unit of the currency.",
    "examples": [1999],
}
_CURRENCY: Schema = {"type": "string", "pattern": f"^{CURRENCY.pattern}$", "examples": ["EUR"]}
MONEY = record({"currency": _CURRENCY, "minor": _MINOR})
_QUANTITY: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_QUANTITY, "examples": [1]}
LINE = record({"sku": text("sku-7"), "quantity": _QUANTITY, "unit_price": MONEY})
ORDER: dict[str, Schema] = {
    "order_id": ORDER_KEY,
    "customer_id": text("c-42"),
    "total": MONEY,
    "lines": {"type": "array", "minItems": 1, "maxItems": MAX_LINES, "items": LINE},
}
_REASON = text("limit exceeded")
_OPERATION = {"order_id": ORDER_KEY, "operator": text("ann"), "reason": text("settled by phone")}
_DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$", "examples": ["0123456789abcdef0123456789abcdef"]}
_DUE: Schema = {**count(0, 1772357430125), "description": "Milliseconds since 1970."}
_SCALARS: dict[Any, Schema] = {str: text(), int: count(0), bool: {"type": "boolean"}}


def values(saga: Saga) -> dict[str, Schema]:
    """The value of each message, by its `ce_type`."""
    steps: dict[str, Schema] = {}
    for step in saga.steps:
        steps |= _commands(saga, step) | _replies(step)
    return {**_inputs(), **steps, **outcomes(saga)}


def outcomes(saga: Saga) -> dict[str, Schema]:
    """The value of each outcome, by its `ce_type`."""
    results = {step.result: text(f"{step.name}-1") for step in saga.steps}
    order, step = {"order_id": ORDER_KEY}, {"step": _step(saga)}
    rejected, cancelled = {"reason": _REASON}, {"reason": text("changed my mind")}
    refused, stuck = {"reason": text("the order is completed")}, {"reason": text("timed out")}
    return {
        "order.completed": _said("Every step of the order was done.", order | results),
        "order.rejected": _said(
            "Rolled back after the step was refused, failed or timed out.", order | rejected | step
        ),
        "order.cancelled": _said("Rolled back on request.", order | cancelled),
        "order.cancel.refused": _said("The cancel came too late or twice, and changed nothing.", order | refused),
        "order.stuck": _said(
            "Undoing the step failed for good: a person must act. Not final, a later outcome may follow.",
            order | stuck | step,
        ),
    }


def event_record(saga: Saga) -> Schema:
    """A record of the history: one decision with its cause and its events."""
    place = {"topic": text("order.requests"), "partition": count(0), "offset": count(0)}
    from_input = {**place, "id": text("m-1"), "type": text("order.place")}
    from_timer = {"timer": text("payment:do:1:timeout"), "due": TIME}
    fields = {
        "saga_id": ORDER_KEY,
        "saga": {"const": saga.name},
        "version": count(1),
        "seq": {**count(1), "description": "Counts the decisions of a saga, from 1 without gaps."},
        "at": TIME,
        "cause": {"oneOf": [record(from_input), record(from_timer)]},
        "events": {"type": "array", "minItems": 1, "items": {"oneOf": list(events(saga).values())}},
    }
    return _said("One decision: what led to it, and what happened. Their fold, in order, is the saga's state.", fields)


def events(saga: Saga) -> dict[str, Schema]:
    """Each event, by its type, as the core declares it."""
    known = _known(saga)
    made = (_typed_dict(event, known) for event in get_args(Event))
    return {schema["properties"]["type"]["const"]: schema for schema in made}


def state_document(saga: Saga) -> Schema:
    """A saga's state as it stands in the changelog."""
    known = _known(saga)
    kept = {name: schema for name, schema in ORDER.items() if name != "order_id"}
    results = {step.result: text(f"{step.name}-1") for step in saga.steps}
    shared = {
        "seq": count(1),
        "version": count(1),
        "digest": _DIGEST,
        "order": {**record(kept, kept), "description": "What of the order a command to come can need."},
        "results": record(results, results),
    }
    states = []
    for name, state in KINDS.items():
        own = {field: _of(kind, field, known) for field, kind in get_type_hints(state).items() if field != "facts"}
        branch = record({"state": {"const": name}, **own})
        states.append(
            {"description": state.__doc__, "properties": branch["properties"], "required": branch["required"]}
        )
    shape = record({"state": one_of(KINDS), **shared}, ("order", "results"))
    return {"description": "A saga's state: one of these, by `state`.", **shape, "oneOf": states}


def documents(saga: Saga) -> dict[str, Schema]:
    """Whole JSON Schema documents: each message by its `ce_type`, and the two logs by their topics."""
    schemas = {**values(saga), "saga.events": event_record(saga), "saga.state": state_document(saga)}
    return {name: {"$schema": DIALECT, "title": name, **schema} for name, schema in schemas.items()}


def encoded(document: object) -> bytes:
    """A document as a text file: the same bytes for the same document."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def example(schema: Schema) -> Any:
    """A value that the schema allows, with all its fields: made of the examples in it."""
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    first = example(schema["oneOf"][0]) if "oneOf" in schema else {}
    if "properties" in schema:
        return {name: example(field) for name, field in schema["properties"].items()} | first
    if first:
        return first
    if schema["type"] == "array":
        return [example(schema["items"])]
    return {"string": "text", "integer": schema.get("minimum", 0), "boolean": True}[schema["type"]]


def _said(description: str | None, fields: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    return {"description": description, **record(fields, optional)}


def _inputs() -> dict[str, Schema]:
    cancel = {"order_id": ORDER_KEY, "reason": text("changed my mind")}
    return {
        "order.place": _said("A shop places an order; the first valid one of an id starts its saga.", ORDER),
        "order.cancel": _said("A shop wants an order rolled back.", cancel),
        TYPE_OF[Retry]: _said("An operator has a stuck compensation sent again, with fresh attempts.", _OPERATION),
        TYPE_OF[Skip]: _said("An operator takes a stuck compensation as done by hand.", _OPERATION),
        TYPE_OF[Compensate]: _said("An operator has a running saga rolled back.", _OPERATION),
    }


def _commands(saga: Saga, step: Step) -> dict[str, Schema]:
    results = {each.result: text(f"{each.name}-1") for each in saga.steps}
    made = {}
    for command, wish in ((step.do, "do"), (step.undo, "undo")):
        fields = {"order_id": ORDER_KEY, **{name: ORDER[name] for name in command.order_fields}}
        fields |= {name: results[name] for name in command.result_fields}
        unsure = command.result_fields if wish == "undo" else ()  # what is undone may never have been confirmed
        made[command.type] = _said(f"Asks the {step.name} service to {wish} its part.", fields, unsure)
    return made


def _replies(step: Step) -> dict[str, Schema]:
    order, reason = {"order_id": ORDER_KEY}, {"reason": _REASON}
    failed = {**order, "reason": text("no connection to the database"), "retryable": _SCALARS[bool]}
    return {
        step.succeeded: _said(f"The {step.name} was done.", {**order, step.result: text(f"{step.name}-1")}),
        step.refused: _said(f"The {step.name} was refused for a business reason: nothing was done.", order | reason),
        step.undone: _said(f"The {step.name} is undone, or was never done.", order),
        step.failed: _said("A technical failure: whether anything happened is open.", failed),
    }


def _step(saga: Saga) -> Schema:
    return one_of(step.name for step in saga.steps)


def _known(saga: Saga) -> dict[str, Schema]:
    """What a field holds by its name, where that is narrower than its Python type."""
    operations = (TYPE_OF[Retry], TYPE_OF[Skip], TYPE_OF[Compensate])
    return {
        "step": _step(saga),
        "attempt": count(1),
        "first_attempt": count(1),
        "due_ms": _DUE,
        "retry_due_ms": _DUE,
        "digest": _DIGEST,
        "operation": one_of(operations),
        "reply": one_of(type for step in saga.steps for type in _replies(step)),
    }


def _typed_dict(kind: Any, known: Mapping[str, Schema]) -> Schema:
    fields = {name: _of(hint, name, known) for name, hint in get_type_hints(kind).items()}
    return _said(kind.__doc__, fields, kind.__optional_keys__)


def _of(hint: Any, name: str, known: Mapping[str, Schema]) -> Schema:
    if name in known:
        return known[name]
    if hint is Order:
        return record(ORDER)
    if hint is Why:
        return record({field: _of(own, field, known) for field, own in get_type_hints(Why).items()})
    if is_typeddict(hint):
        return _typed_dict(hint, known)
    if get_origin(hint) is Literal:
        return {"const": get_args(hint)[0]}
    return _SCALARS[hint]
