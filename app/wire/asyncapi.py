"""The AsyncAPI document of the orchestrator: topics, messages and headers, and what it receives, sends and asks."""

import re
from collections.abc import Iterable
from typing import Any, get_args

from app.saga.definition import Command, HasSteps, Step
from app.saga.identity import Direction, command_id, effect_key, outcome_id
from app.wire import schemas
from app.wire.bad import Code
from app.wire.reader import Reader
from app.wire.schemas import LINE, MONEY, MS, ORDER_KEY, TIME, Schema, record, text
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topic, Topics
from app.wire.writer import ERRORS, SOURCE

Object = dict[str, Any]
VERSION = "3.0.0"
CONTRACT = "1.0.0"
_KAFKA = "0.5.0"
_ABOUT = """\
Drives each order to completed or rolled back, exactly once. All topics are keyed by the order id, have the same number
of partitions, and are written with Kafka's default (murmur2) partitioner. Messages are CloudEvents 1.0 in the binary
Kafka binding; the structured mode (`content-type: application/cloudevents+json`) is read too. Unknown headers and
fields are ignored. A record beyond the limits (64 KiB, nested 32 deep, no member twice) becomes a dead letter."""
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_COMMON: dict[str, Schema] = {
    "ce_specversion": {"const": "1.0"},
    "ce_time": TIME,
    "ce_correlationid": {**ORDER_KEY, "description": "The order id."},
    "ce_causationid": {**text("m-0"), "description": "The `ce_id` of what led to it; on a reply: the command's."},
    "content-type": {"const": "application/json"},
    "traceparent": {**text(_TRACE), "description": "W3C trace context, passed on when present."},
    "tracestate": text("vendor=1"),
}
_SENDERS = {"order": "/shop", "saga": "/operators"}
_NAMED = {**_COMMON, "orderId": ORDER_KEY, "ce_time": TIME, "milliseconds": MS, "money": MONEY, "line": LINE}


def document(topics: Topics) -> Object:
    """The AsyncAPI document of the topics of one saga, or of all its versions."""
    saga, carried = topics.saga, _carried(topics)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": f"The {saga.name} saga's orchestrator",
            "version": CONTRACT,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topics, topic, carried[topic.name]) for topic in topics.all},
        "operations": _operations(topics, carried),
        "components": {
            "messages": _shared(_messages(topics)),
            "schemas": {name: _shared(schema, schema) for name, schema in _NAMED.items()},
        },
    }


def _shared(node: Any, whole: Schema | None = None) -> Any:
    """The node with a reference in place of each schema that has a name, but for the whole itself."""
    if isinstance(node, list):
        return [_shared(item) for item in node]
    if not isinstance(node, dict):
        return node
    name = next((name for name, schema in _NAMED.items() if node == schema), None)
    if name is not None and node is not whole:
        return {"$ref": f"#/components/schemas/{name}"}
    # A reference as a binding's key fits two branches of the bindings' own schema, which wants exactly one.
    return {key: value if key == "bindings" else _shared(value) for key, value in node.items()}


def _carried(topics: Topics) -> dict[str, tuple[str, ...]]:
    """Which messages a topic may carry."""
    reader = Reader(topics.saga)
    return {
        **{topic.name: reader.types(topic.name) for topic in topics.inputs},
        **{
            topic.name: tuple(type for on, type in _asked(topics.saga) if on == topic.name) for topic in topics.commands
        },
        OUTCOMES.name: tuple(schemas.outcomes(topics.saga)),
        **{topic.name: (topic.name,) for topic in (EVENTS, STATE, DEAD_LETTERS)},
    }


def _channel(topics: Topics, topic: Topic, types: Iterable[str]) -> Object:
    config: Object = {**topic.config, "cleanup.policy": topic.config["cleanup.policy"].split(",")}
    if "retention.ms" in config:
        config["retention.ms"] = int(config["retention.ms"])
    return {
        "address": topics.full(topic),
        "description": f"Written by: {topic.writer}. Read by: {topic.reader}.",
        "messages": {type: {"$ref": f"#/components/messages/{type}"} for type in types},
        "bindings": {
            "kafka": {"topic": topics.full(topic), "topicConfiguration": config, "bindingVersion": _KAFKA},
        },
    }


def _operations(topics: Topics, carried: dict[str, tuple[str, ...]]) -> Object:
    received = (("receive", topic.name, carried[topic.name]) for topic in (REQUESTS, OPERATIONS))
    sent = (("send", topic.name, carried[topic.name]) for topic in (OUTCOMES, EVENTS, STATE, DEAD_LETTERS))
    restored = ("receive", STATE.name, carried[STATE.name])
    plain = (*received, *sent, restored)
    return {
        **{_name(action, topic): _operation(action, topic, types) for action, topic, types in plain},
        **_requests(topics.saga),
    }


def _asked(saga: HasSteps) -> dict[tuple[str, str], tuple[Step, Command, Direction]]:
    """Every command of any version, by its topic and type."""
    found: dict[tuple[str, str], tuple[Step, Command, Direction]] = {}
    for step in (step for one in saga.sagas for step in one.steps):
        found.setdefault((step.commands_topic, step.do.type), (step, step.do, "do"))
        if step.undo is not None:
            found.setdefault((step.commands_topic, step.undo.type), (step, step.undo, "undo"))
    return found


def _requests(saga: HasSteps) -> Object:
    """An operation for each command, named after its type: after its step as well where another has that name."""
    made: Object = {}
    for step, command, direction in _asked(saga).values():
        name = _name("send", command.type)
        replies = (step.succeeded, step.refused, step.failed) if direction == "do" else (step.undone, step.failed)
        made[_name("send", f"{step.name}.{command.type}") if name in made else name] = {
            **_operation("send", step.commands_topic, (command.type,)),
            "reply": _exchange(step.replies_topic, [type for type in replies if type is not None]),
        }
    return made


def _name(action: str, of: str) -> str:
    return action + "".join(part.capitalize() for part in re.split("[.-]", of))


def _operation(action: str, topic: str, types: Iterable[str]) -> Object:
    return {"action": action, **_exchange(topic, types)}


def _exchange(topic: str, types: Iterable[str]) -> Object:
    channel = f"#/channels/{topic}"
    return {"channel": {"$ref": channel}, "messages": [{"$ref": f"{channel}/messages/{type}"} for type in types]}


def _messages(topics: Topics) -> Object:
    saga, values = topics.saga, schemas.values(topics.saga)
    replies = {type for step in saga.steps for type in step.replies}
    inputs = {type for topic in topics.inputs for type in Reader(saga).types(topic.name)}
    headers = {
        **{type: _sent(type) for type in values},
        **{type: _received(type, ("ce_causationid",) if type in replies else ()) for type in inputs},
        **_command_headers(saga),
    }
    return {
        **{type: _message(type, value, headers[type]) for type, value in values.items()},
        EVENTS.name: _message(EVENTS.name, schemas.event_record(saga)),
        STATE.name: _message(STATE.name, schemas.state_document(saga)),
        DEAD_LETTERS.name: _dead_letter(),
    }


def _message(name: str, value: Schema, headers: Schema | None = None) -> Object:
    payload = dict(value)
    made: Object = {"name": name, "summary": payload.pop("description"), "payload": payload}
    shown: Object = {"payload": schemas.example(value)}
    if headers is not None:
        made |= {"headers": headers, "correlationId": {"location": "$message.header#/ce_correlationid"}}
        shown = {"headers": schemas.example(headers), **shown}
    return {**made, "bindings": {"kafka": {"key": ORDER_KEY, "bindingVersion": _KAFKA}}, "examples": [shown]}


def _received(type: str, also: Iterable[str]) -> Schema:
    """Headers of a message that others send: what is not required helps whoever reads the topic."""
    sender = type.partition(".")[0]
    headers = _headers(type, text(_SENDERS.get(sender, f"/{sender}")), text("m-1"))
    return record(headers, headers.keys() - {"ce_id", "ce_type", *also})


def _sent(type: str) -> Schema:
    """Headers of what the orchestrator sends."""
    id = text(outcome_id("o-1001", MS["examples"][0], 5))
    return record(_headers(type, {"const": SOURCE.decode()}, id), ("traceparent", "tracestate"))


def _command_headers(saga: HasSteps) -> dict[str, Schema]:
    steps: dict[tuple[str, Direction], list[str]] = {}
    for step, command, direction in _asked(saga).values():
        steps.setdefault((command.type, direction), []).append(step.name)
    return {type: _command(type, names, direction) for (type, direction), names in steps.items()}


def _command(type: str, steps: list[str], direction: Direction) -> Schema:
    """Headers of a command, in which its id and its key follow from what it asks."""
    named = steps[0] if len(steps) == 1 else f"({'|'.join(steps)})"
    key: Schema = {
        "type": "string",
        "pattern": ORDER_KEY["pattern"].replace("$", f":{named}:{direction}$"),
        "description": "Equal for all attempts of one effect.",
        "examples": [effect_key("o-1001", steps[0], direction)],
    }
    id: Schema = {
        "type": "string",
        "pattern": key["pattern"].replace("$", ":[1-9][0-9]*$"),
        "examples": [command_id("o-1001", steps[0], direction, 1)],
    }
    headers = _headers(type, {"const": SOURCE.decode()}, id)
    return record({**headers, "ce_idempotencykey": key}, ("traceparent", "tracestate"))


def _headers(type: str, source: Schema, id: Schema) -> dict[str, Schema]:
    own: dict[str, Schema] = {"ce_id": id, "ce_type": {"const": type}, "ce_source": source}
    return own | _COMMON


def _dead_letter() -> Object:
    digits: Schema = {"type": "string", "pattern": "^-?[0-9]+$", "examples": ["0"]}
    marks: dict[str, Schema] = {
        "reason": schemas.one_of(get_args(Code)),
        "message": text("reason must be a string of at most 1024 characters"),
        "topic": text("order.requests"),
        "partition": digits,
        "offset": digits,
        "timestamp": {**digits, "description": "Milliseconds since 1970."},
        "truncated": {"const": "true", "description": "Only where the record was cut to fit."},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "Of the whole value, where it was cut.",
        },
    }
    headers = {ERRORS + name: schema for name, schema in marks.items()}
    return {
        "name": DEAD_LETTERS.name,
        "summary": "A record that could not be taken in: its raw key, value and headers, and why.",
        "contentType": "application/octet-stream",
        "headers": record(headers, (ERRORS + "truncated", ERRORS + "sha256")),
        "payload": {"description": "The value as it came, of at most 256 KiB."},
        "bindings": {"kafka": {"key": {"description": "As it came."}, "bindingVersion": _KAFKA}},
    }
