"""JSON Schemas of all values on the wire, built from the constants and definitions that the code itself uses.

They use only keywords that drafts 7 and 2020-12 have in common, and allow unknown fields. Schemas of all versions of a
saga describe what any version can write: a field that one version lacks may be absent.
"""

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import orjson

from app.saga.definition import HasSteps, Saga, Step
from app.saga.events import Event, StepTimedOut
from app.saga.messages import TYPE_OF, Compensate, Order, Retry, Skip
from app.saga.soundness import NAME
from app.saga.state import Queued, SagaData, Why
from app.wire.fields import CURRENCY, MAX_LINES, MAX_MINOR, MAX_QUANTITY, MAX_TEXT, ORDER_ID
from app.wire.state_codec import ACTIVE_STEP_KINDS, KINDS, MEMBER_OF

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text(*examples: str) -> Schema:
    """A string within the contract's limit."""
    return {"type": "string", "maxLength": MAX_TEXT, **({"examples": list(examples)} if examples else {})}


def count(least: int, *examples: int) -> Schema:
    """An integer of at least `least`."""
    return {"type": "integer", "minimum": least, **({"examples": list(examples)} if examples else {})}


def one_of(values: Iterable[str]) -> Schema:
    """One of the values."""
    return {"type": "string", "enum": list(values)}


def record(fields: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    """An object with these fields, some of them optional, and any others."""
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
_TRACE = {"trace": text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "tracestate": text("vendor=1")}
_FIRST: Schema = {**count(2), "description": "Attempts count from this one, after an operator's retry; else from 1."}
_SCALARS: dict[Any, Schema] = {str: text(), int: count(0), bool: {"type": "boolean"}}
_ATTEMPT_MAY_BE_0 = (StepTimedOut, Queued)  # 0: the step was never requested


def values(saga: HasSteps) -> dict[str, Schema]:
    """The value of each message, by `ce_type`."""
    found = _inputs(saga)
    for one in saga.sagas:
        for step in one.steps:
            for type, schema in {**_commands(one, step), **_replies(step)}.items():
                found[type] = _either(found[type], schema) if type in found else schema
    return {**found, **outcomes(saga)}


def outcomes(saga: HasSteps) -> dict[str, Schema]:
    """The value of each outcome, by `ce_type`."""
    results = _results(saga)
    uncertain = results.keys() - set.intersection(*map(_certain_results, saga.sagas))
    order, step = {"order_id": ORDER_KEY}, {"step": _narrowed(saga)["step"]}
    rejected, cancelled = {"reason": _REASON}, {"reason": text("changed my mind")}
    refused, stuck = {"reason": text("the order is completed")}, {"reason": text("timed out")}
    return {
        "order.completed": _described("Every step of the order is done.", order | results, uncertain),
        "order.rejected": _described(
            "Rolled back because the step was refused, failed or timed out.", order | rejected | step
        ),
        "order.cancelled": _described("Rolled back on request.", order | cancelled),
        "order.cancel.refused": _described("The cancel came too late, or twice, and changed nothing.", order | refused),
        "order.stuck": _described(
            "A step failed for good and can't be given up: an operator must act. Not final: an outcome may follow.",
            order | stuck | step,
        ),
    }


def event_record(saga: HasSteps) -> Schema:
    """A record of the history: one decision, with its cause and its events."""
    position = {"topic": text("order.requests"), "partition": count(0), "offset": count(0)}
    from_input = {**position, "id": text("m-1"), "type": text("order.place")}
    timer = "`<step>:<do or undo>:<last attempt>:<timeout, pause or room>`, or `deadline`."
    from_timer = {"timer": {**text("payment:do:1:timeout"), "description": timer}, "due": TIME}
    fields = {
        "saga_id": ORDER_KEY,
        "saga": {"const": saga.name},
        "version": count(1),
        "seq": {**count(1), "description": "Numbers the decisions of a saga, from 1 without gaps."},
        "at": TIME,
        "cause": {"oneOf": [record(from_input), record(from_timer)]},
        "events": {"type": "array", "minItems": 1, "items": {"oneOf": list(events(saga).values())}},
    }
    return _described("One decision: its cause and its events. All events of a saga fold to its state.", fields)


def events(saga: HasSteps) -> dict[str, Schema]:
    """Each event by its type, as app/saga/events.py declares it."""
    schemas = [_typed_dict(event, _narrowed(saga)) for event in get_args(Event)]
    return {schema["properties"]["type"]["const"]: schema for schema in schemas}


def state_document(saga: HasSteps) -> Schema:
    """A saga's state in the changelog."""
    narrowed = _narrowed(saga)
    kept = {name: schema for name, schema in ORDER.items() if name != "order_id"}
    shared = {
        "seq": count(1),
        "saga": {"enum": sorted({one.name for one in saga.sagas})},
        "version": count(1),
        "digest": _DIGEST,
        "started_ms": MS,
        "order": {**record(kept, kept), "description": "The order fields that a later command may need."},
        "results": record(_results(saga), _results(saga)),
        **_TRACE,
    }
    active_steps = [
        _described(_text_of(kind), {"is": {"const": name}, **_fields(kind, narrowed)}, ("first", "cause"))
        for name, kind in ACTIVE_STEP_KINDS.items()
    ]
    narrowed |= {"legs": _array({"oneOf": active_steps}), "left": _array(narrowed["step"])}
    states = []
    for name, state in KINDS.items():
        branch = _described(
            _text_of(state), {"state": {"const": name}, **_fields(state, narrowed)}, ("deadline_ms", "left")
        )
        states.append({keyword: branch[keyword] for keyword in ("description", "properties", "required")})
    shape = record({"state": one_of(KINDS), **shared}, ("order", "results", *_TRACE))
    return {"description": "A saga's state; the fields depend on `state`.", **shape, "oneOf": states}


def documents(saga: HasSteps) -> dict[str, Schema]:
    """Complete JSON Schema documents: one per message by `ce_type`, and one each for the topics of events and state."""
    schemas = {**values(saga), "saga.events": event_record(saga), "saga.state": state_document(saga)}
    return {name: {"$schema": DIALECT, "title": name, **schema} for name, schema in schemas.items()}


def encoded(document: object) -> bytes:
    """A document as the bytes of a text file: the same for the same document."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def example(schema: Schema) -> Any:
    """A value that the schema allows, with all its fields, built from the schema's own examples."""
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


def _described(description: str, fields: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    return {"description": description, **record(fields, optional)}


def _text_of(kind: type) -> str:
    """The class's docstring without line breaks in a paragraph. Only Python 3.13 strips its indentation."""
    return "\n\n".join(" ".join(part.split()) for part in cleandoc(kind.__doc__ or "").split("\n\n"))


def _array(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _either(one: Schema, other: Schema) -> Schema:
    """An object that matches one of two schemas."""
    required = [name for name in one["required"] if name in other["required"]]
    return {**one, "properties": {**one["properties"], **other["properties"]}, "required": required}


def _inputs(saga: HasSteps) -> dict[str, Schema]:
    cancel = {"order_id": ORDER_KEY, "reason": text("changed my mind")}
    step: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$", "examples": [step.name for step in saga.steps]}
    retry = {**_OPERATION, "step": {**step, "description": "Only this stuck step; without it, all stuck steps."}}
    skip = {**_OPERATION, "step": {**step, "description": "The stuck step; needed if several steps are stuck."}}
    return {
        "order.place": _described("A shop places an order. The first valid order with an id starts its saga.", ORDER),
        "order.cancel": _described("A shop wants its order rolled back.", cancel),
        TYPE_OF[Retry]: _described("An operator has stuck steps sent again, with fresh attempts.", retry, ("step",)),
        TYPE_OF[Skip]: _described("An operator takes a stuck step as done by hand.", skip, ("step",)),
        TYPE_OF[Compensate]: _described("An operator rolls a running saga back.", _OPERATION),
    }


def _results(saga: HasSteps) -> dict[str, Schema]:
    return {step.result: text(f"{step.name}-1") for step in saga.steps}


def _certain_results(saga: Saga) -> set[str]:
    """The results that a later command can rely on. A step without an undo may be skipped, and has no result then."""
    return {step.result for step in saga.steps if step.undo is not None}


def _commands(saga: Saga, step: Step) -> dict[str, Schema]:
    results, certain, commands = _results(saga), _certain_results(saga), {}
    for command, direction in ((step.do, "do"), (step.undo, "undo")):
        if command is None:
            continue
        fields = {"order_id": ORDER_KEY, **{name: ORDER[name] for name in command.order_fields}}
        fields |= {name: results[name] for name in command.result_fields}
        uncertain = {*command.result_fields}  # a step may be undone whose success was never confirmed
        commands[command.type] = _described(
            f"Asks the {step.name} service to {direction} its step.",
            fields,
            uncertain - certain if direction == "do" else uncertain,
        )
    return commands


def _replies(step: Step) -> dict[str, Schema]:
    order, reason = {"order_id": ORDER_KEY}, {"reason": _REASON}
    failed = {**order, "reason": text("no connection to the database"), "retryable": _SCALARS[bool]}
    name = step.name
    replies = {
        step.succeeded: _described(f"The {name} is done.", {**order, step.result: text(f"{name}-1")}),
        step.refused: _described(f"The {name} was refused for a business reason: nothing was done.", order | reason),
        step.undone: _described(f"The {name} is undone, or was never done.", order),
        step.failed: _described("A technical failure: whether anything happened is unknown.", failed),
    }
    return {type: schema for type, schema in replies.items() if type is not None}


def _narrowed(saga: HasSteps) -> dict[str, Schema]:
    """The schema of a field by its name, where it is narrower than the field's Python type."""
    step = one_of(step.name for step in saga.steps)
    return {
        "step": step,
        "steps": _array(step),
        "attempt": count(1),
        "first": _FIRST,
        "cause": text("m-1"),
        **_TRACE,
        "digest": _DIGEST,
        "operation": one_of((TYPE_OF[Retry], TYPE_OF[Skip], TYPE_OF[Compensate])),
        "reply": one_of(dict.fromkeys(type for step in saga.steps for type in step.replies)),
    }


def _fields(kind: Any, narrowed: Mapping[str, Schema]) -> dict[str, Schema]:
    if kind in _ATTEMPT_MAY_BE_0:
        narrowed = {**narrowed, "attempt": count(0)}
    hints = {MEMBER_OF.get(name, name): hint for name, hint in get_type_hints(kind).items() if hint is not SagaData}
    return {name: _field(hint, name, narrowed) for name, hint in hints.items()}


def _typed_dict(kind: Any, narrowed: Mapping[str, Schema]) -> Schema:
    return _described(_text_of(kind), _fields(kind, narrowed), kind.__optional_keys__)


def _field(hint: Any, name: str, narrowed: Mapping[str, Schema]) -> Schema:
    if name in narrowed:
        return narrowed[name]
    if name.endswith("_ms"):
        return MS
    if hint is Order:
        return record(ORDER)
    if hint is Why:
        return record(_fields(Why, narrowed))
    if is_typeddict(hint):
        return _typed_dict(hint, narrowed)
    if get_origin(hint) is Literal:
        return {"const": get_args(hint)[0]}
    return _SCALARS[hint]
