"""JSON Schemas of all values on the wire, made of the constants and definitions that the code reads and writes by.

They use only what drafts 7 and 2020-12 have in common, and leave room for fields to come. Those of all versions of a
saga say what any of them can write: a field that one of them lacks may be absent.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from app.saga.definition import HasSteps, Saga, Step
from app.saga.events import Event, StepTimedOut
from app.saga.messages import TYPE_OF, Compensate, Order, Retry, Skip
from app.saga.soundness import NAME
from app.saga.state import Facts, Waiting, Why
from app.wire.fields import CURRENCY, MAX_LINES, MAX_MINOR, MAX_QUANTITY, MAX_TEXT, ORDER_ID
from app.wire.statedoc import KINDS, LEG_KINDS

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
MS: Schema = {**count(0, 1772357430125), "description": "Milliseconds since 1970."}
_FIRST: Schema = {**count(2), "description": "Attempts are counted from here, after an operator's retry; else from 1."}
_SCALARS: dict[Any, Schema] = {str: text(), int: count(0), bool: {"type": "boolean"}}
_PERHAPS_NEVER_ASKED = (StepTimedOut, Waiting)  # alone in that an attempt of 0 can stand in them


def values(saga: HasSteps) -> dict[str, Schema]:
    """The value of each message, by its `ce_type`."""
    found = _inputs(saga)
    for one in saga.sagas:
        for step in one.steps:
            for type, schema in {**_commands(one, step), **_replies(step)}.items():
                found[type] = _either(found[type], schema) if type in found else schema
    return {**found, **outcomes(saga)}


def outcomes(saga: HasSteps) -> dict[str, Schema]:
    """The value of each outcome, by its `ce_type`."""
    results = _results(saga)
    unsure = results.keys() - set.intersection(*map(_sure, saga.sagas))
    order, step = {"order_id": ORDER_KEY}, {"step": _known(saga)["step"]}
    rejected, cancelled = {"reason": _REASON}, {"reason": text("changed my mind")}
    refused, stuck = {"reason": text("the order is completed")}, {"reason": text("timed out")}
    return {
        "order.completed": _said("Every step of the order was done.", order | results, unsure),
        "order.rejected": _said(
            "Rolled back after the step was refused, failed or timed out.", order | rejected | step
        ),
        "order.cancelled": _said("Rolled back on request.", order | cancelled),
        "order.cancel.refused": _said("The cancel came too late or twice, and changed nothing.", order | refused),
        "order.stuck": _said(
            "The step failed for good where it can't be given up: a person must act. Not final, an outcome may follow.",
            order | stuck | step,
        ),
    }


def event_record(saga: HasSteps) -> Schema:
    """A record of the history: one decision with its cause and its events."""
    place = {"topic": text("order.requests"), "partition": count(0), "offset": count(0)}
    from_input = {**place, "id": text("m-1"), "type": text("order.place")}
    timer = "`<step>:<do or undo>:<last attempt>:<timeout, pause or room>`, or `deadline`."
    from_timer = {"timer": {**text("payment:do:1:timeout"), "description": timer}, "due": TIME}
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


def events(saga: HasSteps) -> dict[str, Schema]:
    """Each event, by its type, as the core declares it."""
    known = _known(saga)
    made = (_typed_dict(event, known) for event in get_args(Event))
    return {schema["properties"]["type"]["const"]: schema for schema in made}


def state_document(saga: HasSteps) -> Schema:
    """A saga's state as it stands in the changelog."""
    known = _known(saga)
    kept = {name: schema for name, schema in ORDER.items() if name != "order_id"}
    results = _results(saga)
    shared = {
        "seq": count(1),
        "saga": {"enum": sorted({one.name for one in saga.sagas})},
        "version": count(1),
        "digest": _DIGEST,
        "started_ms": MS,
        "order": {**record(kept, kept), "description": "What of the order a command to come can need."},
        "results": record(results, results),
    }
    legs = [
        _said(leg.__doc__, {"is": {"const": name}, **_fields(leg, known)}, ("first",))
        for name, leg in LEG_KINDS.items()
    ]
    known |= {"legs": _some({"oneOf": legs}), "left": _some(known["step"])}
    states = []
    for name, state in KINDS.items():
        branch = _said(state.__doc__, {"state": {"const": name}, **_fields(state, known)}, ("deadline_ms", "left"))
        states.append({word: branch[word] for word in ("description", "properties", "required")})
    shape = record({"state": one_of(KINDS), **shared}, ("order", "results"))
    return {"description": "A saga's state: one of these, by `state`.", **shape, "oneOf": states}


def documents(saga: HasSteps) -> dict[str, Schema]:
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


def _some(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _either(one: Schema, other: Schema) -> Schema:
    """An object that is as one of two has it."""
    required = [name for name in one["required"] if name in other["required"]]
    return {**one, "properties": {**one["properties"], **other["properties"]}, "required": required}


def _inputs(saga: HasSteps) -> dict[str, Schema]:
    cancel = {"order_id": ORDER_KEY, "reason": text("changed my mind")}
    step: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$", "examples": [step.name for step in saga.steps]}
    retry = {**_OPERATION, "step": {**step, "description": "Only this stuck step; without it all that are stuck."}}
    skip = {**_OPERATION, "step": {**step, "description": "Which stuck step; needed where several are stuck."}}
    return {
        "order.place": _said("A shop places an order; the first valid one of an id starts its saga.", ORDER),
        "order.cancel": _said("A shop wants an order rolled back.", cancel),
        TYPE_OF[Retry]: _said("An operator has what is stuck asked for again, with fresh attempts.", retry, ("step",)),
        TYPE_OF[Skip]: _said("An operator takes what is stuck as done by hand.", skip, ("step",)),
        TYPE_OF[Compensate]: _said("An operator has a running saga rolled back.", _OPERATION),
    }


def _results(saga: HasSteps) -> dict[str, Schema]:
    return {step.result: text(f"{step.name}-1") for step in saga.steps}


def _sure(saga: Saga) -> set[str]:
    """The results of steps that are done: only what can't be undone gets stuck then, and may be skipped instead."""
    return {step.result for step in saga.steps if step.undo is not None}


def _commands(saga: Saga, step: Step) -> dict[str, Schema]:
    results, sure, made = _results(saga), _sure(saga), {}
    for command, wish in ((step.do, "do"), (step.undo, "undo")):
        if command is None:
            continue
        fields = {"order_id": ORDER_KEY, **{name: ORDER[name] for name in command.order_fields}}
        fields |= {name: results[name] for name in command.result_fields}
        unsure = {*command.result_fields}  # what is undone may never have been confirmed
        made[command.type] = _said(
            f"Asks the {step.name} service to {wish} its part.", fields, unsure - sure if wish == "do" else unsure
        )
    return made


def _replies(step: Step) -> dict[str, Schema]:
    order, reason = {"order_id": ORDER_KEY}, {"reason": _REASON}
    failed = {**order, "reason": text("no connection to the database"), "retryable": _SCALARS[bool]}
    name = step.name
    made = {
        step.succeeded: _said(f"The {name} was done.", {**order, step.result: text(f"{name}-1")}),
        step.refused: _said(f"The {name} was refused for a business reason: nothing was done.", order | reason),
        step.undone: _said(f"The {name} is undone, or was never done.", order),
        step.failed: _said("A technical failure: whether anything happened is open.", failed),
    }
    return {type: schema for type, schema in made.items() if type is not None}


def _known(saga: HasSteps) -> dict[str, Schema]:
    """What a field holds by its name, where that is narrower than its Python type."""
    step = one_of(step.name for step in saga.steps)
    return {
        "step": step,
        "steps": _some(step),
        "attempt": count(1),
        "first": _FIRST,
        "digest": _DIGEST,
        "operation": one_of((TYPE_OF[Retry], TYPE_OF[Skip], TYPE_OF[Compensate])),
        "reply": one_of(dict.fromkeys(type for step in saga.steps for type in step.replies)),
    }


def _fields(kind: Any, known: Mapping[str, Schema]) -> dict[str, Schema]:
    if kind in _PERHAPS_NEVER_ASKED:
        known = {**known, "attempt": count(0)}
    return {name: _of(hint, name, known) for name, hint in get_type_hints(kind).items() if hint is not Facts}


def _typed_dict(kind: Any, known: Mapping[str, Schema]) -> Schema:
    return _said(kind.__doc__, _fields(kind, known), kind.__optional_keys__)


def _of(hint: Any, name: str, known: Mapping[str, Schema]) -> Schema:
    if name in known:
        return known[name]
    if name.endswith("_ms"):
        return MS
    if hint is Order:
        return record(ORDER)
    if hint is Why:
        return record(_fields(Why, known))
    if is_typeddict(hint):
        return _typed_dict(hint, known)
    if get_origin(hint) is Literal:
        return {"const": get_args(hint)[0]}
    return _SCALARS[hint]
