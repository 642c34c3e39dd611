"""The AsyncAPI document of the orchestrator: its topics, messages and headers, and the operations on them."""

import re
from collections.abc import Iterable
from typing import Any, get_args

from app.saga.definition import Command, HasSteps, Step
from app.saga.message_ids import Direction, command_id, idempotency_key, outcome_id
from app.wire import schemas
from app.wire.invalid_record import Code
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
fields are ignored. A record over the limits (64 KiB, 32 levels of nesting, no duplicate members) becomes a dead
letter."""
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_COMMON: dict[str, Schema] = {
    "ce_specversion": {"const": "1.0"},
    "ce_time": TIME,
    "ce_correlationid": {**ORDER_KEY, "description": "The order id."},
    "ce_causationid": {
        **text("m-0"),
        "description": "The `ce_id` of the message that caused this one; on a reply, of the command.",
    },
    "content-type": {"const": "application/json"},
    "traceparent": {**text(_TRACE), "description": "W3C trace context, of the cause or else of the order."},
    "tracestate": text("vendor=1"),
}
_SENDERS = {"order": "/shop", "saga": "/operators"}
_NAMED = {**_COMMON, "orderId": ORDER_KEY, "ce_time": TIME, "milliseconds": MS, "money": MONEY, "line": LINE}


def document(topics: Topics) -> Object:
    """The AsyncAPI document for the topics of one saga, or of all its versions."""
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
    """The node with a reference in place of each named schema, except for `whole` itself."""
    if isinstance(node, list):
        return [_shared(item) for item in node]
    if not isinstance(node, dict):
        return node
    name = next((name for name, schema in _NAMED.items() if node == schema), None)
    if name is not None and node is not whole:
        return {"$ref": f"#/components/schemas/{name}"}
    # A reference as a binding's key matches two branches of the bindings' own schema, which allows one.
    return {key: value if key == "bindings" else _shared(value) for key, value in node.items()}


def _carried(topics: Topics) -> dict[str, tuple[str, ...]]:
    """The message types that each topic may carry."""
    reader = Reader(topics.saga)
    return {
        **{topic.name: reader.types(topic.name) for topic in topics.inputs},
        **{
            topic.name: tuple(type for name, type in _commands(topics.saga) if name == topic.name)
            for topic in topics.commands
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
        **_command_operations(topics.saga),
    }


def _commands(saga: HasSteps) -> dict[tuple[str, str], tuple[Step, Command, Direction]]:
    """Every command of any version, by topic and type."""
    found: dict[tuple[str, str], tuple[Step, Command, Direction]] = {}
    for step in (step for one in saga.sagas for step in one.steps):
        found.setdefault((step.commands_topic, step.do.type), (step, step.do, "do"))
        if step.undo is not None:
            found.setdefault((step.commands_topic, step.undo.type), (step, step.undo, "undo"))
    return found


def _command_operations(saga: HasSteps) -> Object:
    """One operation per command, named after the command's type; the step is added if the name is taken."""
    operations: Object = {}
    for step, command, direction in _commands(saga).values():
        name = _name("send", command.type)
        replies = (step.succeeded, step.refused, step.failed) if direction == "do" else (step.undone, step.failed)
        operations[_name("send", f"{step.name}.{command.type}") if name in operations else name] = {
            **_operation("send", step.commands_topic, (command.type,)),
            "reply": _exchange(step.replies_topic, [type for type in replies if type is not None]),
        }
    return operations


def _name(action: str, subject: str) -> str:
    return action + "".join(part.capitalize() for part in re.split("[.-]", subject))


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
    message: Object = {"name": name, "summary": payload.pop("description"), "payload": payload}
    example: Object = {"payload": schemas.example(value)}
    if headers is not None:
        message |= {"headers": headers, "correlationId": {"location": "$message.header#/ce_correlationid"}}
        example = {"headers": schemas.example(headers), **example}
    return {**message, "bindings": {"kafka": {"key": ORDER_KEY, "bindingVersion": _KAFKA}}, "examples": [example]}


def _received(type: str, also: Iterable[str]) -> Schema:
    """Headers of a message to the orchestrator. It requires few of them; the others help readers of the topic."""
    sender = type.partition(".")[0]
    headers = _headers(type, text(_SENDERS.get(sender, f"/{sender}")), text("m-1"))
    return record(headers, headers.keys() - {"ce_id", "ce_type", *also})


def _sent(type: str) -> Schema:
    """Headers of a message from the orchestrator."""
    id = text(outcome_id("o-1001", MS["examples"][0], 5))
    return record(_headers(type, {"const": SOURCE.decode()}, id), ("traceparent", "tracestate"))


def _command_headers(saga: HasSteps) -> dict[str, Schema]:
    steps: dict[tuple[str, Direction], list[str]] = {}
    for step, command, direction in _commands(saga).values():
        steps.setdefault((command.type, direction), []).append(step.name)
    return {type: _command(type, names, direction) for (type, direction), names in steps.items()}


def _command(type: str, steps: list[str], direction: Direction) -> Schema:
    """Headers of a command: its id and its idempotency key follow from its steps and direction."""
    named = steps[0] if len(steps) == 1 else f"({'|'.join(steps)})"
    key: Schema = {
        "type": "string",
        "pattern": ORDER_KEY["pattern"].replace("$", f":{named}:{direction}$"),
        "description": "The same for all attempts to do, or to undo, a step.",
        "examples": [idempotency_key("o-1001", steps[0], direction)],
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
    reasons: dict[str, Schema] = {
        "reason": schemas.one_of(get_args(Code)),
        "message": text("reason must be a string of at most 1024 characters"),
        "topic": text("order.requests"),
        "partition": digits,
        "offset": digits,
        "timestamp": {**digits, "description": "Milliseconds since 1970."},
        "truncated": {"const": "true", "description": "Present if the record was truncated."},
        "sha256": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "Of the whole value; present if the record was truncated.",
        },
    }
    headers = {ERRORS + name: schema for name, schema in reasons.items()}
    return {
        "name": DEAD_LETTERS.name,
        "summary": "A record that could not be processed: its raw key, value and headers, and the reason.",
        "contentType": "application/octet-stream",
        "headers": record(headers, (ERRORS + "truncated", ERRORS + "sha256")),
        "payload": {"description": "The value as received, up to 256 KiB."},
        "bindings": {"kafka": {"key": {"description": "As received."}, "bindingVersion": _KAFKA}},
    }
