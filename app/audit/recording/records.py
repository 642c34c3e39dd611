"""Records as messages, decisions and dead letters, read leniently: parts that can't be read are empty."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.audit.recording.recording import Coordinates, Record
from app.audit.recording.timer_causes import Timer, parse_timer

Object = dict[str, Any]

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)")
_STRUCTURED = "application/cloudevents+json"
_ERROR_PREFIX = "__saga.errors."


@dataclass(slots=True)
class Message:
    """A CloudEvent. An attribute that is missing or is not text is empty."""

    record: Record
    saga_id: str
    headers: dict[str, str]
    type: str
    id: str
    causation: str
    body: Object


@dataclass(slots=True)
class Decision:
    """One record of saga.events, caused by an input record (`cause`) or by a timer; `at_ms` is since 1970.

    `flaw` says how its form breaks the contract; it is empty for a valid form.
    """

    record: Record
    saga_id: str
    value: Object
    version: int
    seq: int
    at_ms: int | None
    cause: Coordinates | None
    cause_id: str
    cause_type: str
    timer: Timer | None
    events: list[Object]
    flaw: str


@dataclass(slots=True)
class DeadLetter:
    """A dead letter and the coordinates of its record. `errors` are the headers with the error prefix, without it."""

    record: Record
    saga_id: str
    reason: str
    origin: Coordinates | None
    errors: dict[str, str]


def as_text(value: bytes | None) -> str:
    """Bytes as text: empty for None, with U+FFFD in place of invalid UTF-8."""
    return value.decode("utf-8", "replace") if value else ""


def json_object(value: bytes | None) -> Object:
    """The JSON object in a value; empty if the value is not a JSON object."""
    try:
        parsed = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return parsed if type(parsed) is dict else {}


def ms_of(time: Any) -> int | None:
    """Milliseconds since 1970 of a time in the contract's form (RFC 3339, UTC); None for anything else."""
    if type(time) is not str or _UTC_TIME.fullmatch(time) is None:
        return None
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None


def read_message(record: Record) -> Message:
    """A CloudEvent in binary or structured mode."""
    headers = {name: as_text(value) for name, value in record.headers}
    body = json_object(record.value)
    if not headers.get("content-type", "").startswith(_STRUCTURED):
        attributes = (headers.get("ce_type", ""), headers.get("ce_id", ""), headers.get("ce_causationid", ""))
        return Message(record, as_text(record.key), headers, *attributes, body)
    attributes = (_str(body, "type"), _str(body, "id"), _str(body, "causationid"))
    data = body.get("data")
    return Message(record, as_text(record.key), headers, *attributes, data if type(data) is dict else {})


def read_decision(record: Record, prefix: str) -> Decision:
    """A record of saga.events; coordinates lose the topic prefix."""
    value = json_object(record.value)
    cause, version, seq, events = (value.get(name) for name in ("cause", "version", "seq", "events"))
    cause = cause if type(cause) is dict else {}
    valid_events = [event for event in events if type(event) is dict] if type(events) is list else []
    due = _str(cause, "due")
    return Decision(
        record=record,
        saga_id=as_text(record.key),
        value=value,
        version=version if type(version) is int else 0,
        seq=seq if type(seq) is int else 0,
        at_ms=ms_of(value.get("at")),
        cause=_coordinates(cause.get("topic"), cause.get("partition"), cause.get("offset"), prefix),
        cause_id=_str(cause, "id"),
        cause_type=_str(cause, "type"),
        timer=parse_timer(_str(cause, "timer"), due, ms_of(due)) if "timer" in cause else None,
        events=valid_events,
        flaw=_flaw(value, record, valid_events),
    )


def read_dead_letter(record: Record, prefix: str) -> DeadLetter:
    """A record of saga.dead-letters; coordinates lose the topic prefix."""
    added = (item for item in record.headers if item[0].startswith(_ERROR_PREFIX))
    errors = {name.removeprefix(_ERROR_PREFIX): as_text(value) for name, value in added}
    partition, offset = _number(errors.get("partition")), _number(errors.get("offset"))
    origin = _coordinates(errors.get("topic"), partition, offset, prefix)
    return DeadLetter(record, as_text(record.key), errors.get("reason", ""), origin, errors)


def original_headers(record: Record) -> tuple[tuple[str, bytes | None], ...]:
    """A record's headers, without those that dead-lettering adds."""
    return tuple(item for item in record.headers if not item[0].startswith(_ERROR_PREFIX))


def order_content(body: Object) -> Object | None:
    """The fields of an order that the contract knows; None if the body is not an order."""
    try:
        return {
            "order_id": body["order_id"],
            "customer_id": body["customer_id"],
            "total": _money(body["total"]),
            "lines": [
                {"sku": line["sku"], "quantity": line["quantity"], "unit_price": _money(line["unit_price"])}
                for line in body["lines"]
            ],
        }
    except (KeyError, TypeError):
        return None


def _money(value: Object) -> Object:
    return {"currency": value["currency"], "minor": value["minor"]}


def _str(source: Object, name: str) -> str:
    value = source.get(name)
    return value if type(value) is str else ""


def _number(digits: str | None) -> int | None:
    return int(digits) if digits and digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _coordinates(topic: Any, partition: Any, offset: Any, prefix: str) -> Coordinates | None:
    if type(topic) is not str or type(partition) is not int or type(offset) is not int:
        return None
    return (topic.removeprefix(prefix), partition, offset) if topic.startswith(prefix) else None


def _flaw(value: Object, record: Record, events: list[Object]) -> str:
    cause = value.get("cause")
    at = value.get("at")
    form = (
        (bool(value), "it is not a JSON object"),
        (not record.headers, "it has headers"),
        (_is_text(value.get("saga_id")) and _is_text(value.get("saga")), "saga_id or saga is missing"),
        (_is_count(value.get("version")) and _is_count(value.get("seq")), "version and seq must be integers from 1"),
        (ms_of(at) is not None, "its time is not RFC 3339 in UTC"),
        (type(cause) is dict and _names_cause(cause), "its cause names neither an input record nor a timer"),
        (bool(events) and events == value.get("events"), "events must be a list of at least one object"),
        (all(_is_text(event.get("type")) for event in events), "an event has no type"),
        (all(_is_text(event.get("step", "none")) for event in events), "an event's step is not text"),
    )
    return next((flaw for holds, flaw in form if not holds), "")


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _names_cause(cause: Object) -> bool:
    if "timer" in cause:
        return _is_text(cause["timer"]) and ms_of(cause.get("due")) is not None
    numbers = type(cause.get("partition")) is int and type(cause.get("offset")) is int
    return numbers and all(_is_text(cause.get(name)) for name in ("topic", "id", "type"))
