"""Records read leniently, as far as they can be read: a checker judges what is wrong with them elsewhere."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.audit.recording import Coordinates, Record
from app.audit.timers import Timer, timer

Object = dict[str, Any]

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)")
_STRUCTURED = "application/cloudevents+json"
_ERRORS = "__saga.errors."


@dataclass(slots=True)
class Message:
    """A CloudEvent; what it doesn't say, or not as text, is empty."""

    record: Record
    saga_id: str
    headers: dict[str, str]
    type: str
    id: str
    causation: str
    body: Object


@dataclass(slots=True)
class Decision:
    """One record of the history: caused by an input (its coordinates) or by a timer; `at_ms` is since 1970."""

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
    """A dead letter and where its record came from; `errors` are its own headers, without their common start."""

    record: Record
    saga_id: str
    reason: str
    origin: Coordinates | None
    errors: dict[str, str]


def text(value: bytes | None) -> str:
    """Bytes as text: empty for none, with marks in place of what is no UTF-8."""
    return value.decode("utf-8", "replace") if value else ""


def loads(value: bytes | None) -> Object:
    """The JSON object of a value; empty when it is none."""
    try:
        parsed = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return parsed if type(parsed) is dict else {}


def ms_of(time: Any) -> int | None:
    """Milliseconds since 1970 of a time in the contract's form; None for anything else."""
    if type(time) is not str or _UTC_TIME.fullmatch(time) is None:
        return None
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return None


def message(record: Record) -> Message:
    """A record as a CloudEvent, in binary or structured mode."""
    headers = {name: text(value) for name, value in record.headers}
    body = loads(record.value)
    if not headers.get("content-type", "").startswith(_STRUCTURED):
        said = (headers.get("ce_type", ""), headers.get("ce_id", ""), headers.get("ce_causationid", ""))
        return Message(record, text(record.key), headers, *said, body)
    said = (_str(body, "type"), _str(body, "id"), _str(body, "causationid"))
    data = body.get("data")
    return Message(record, text(record.key), headers, *said, data if type(data) is dict else {})


def decision(record: Record, prefix: str) -> Decision:
    """A record of the history; `flaw` says what of its form the contract does not allow."""
    value = loads(record.value)
    cause, version, seq, events = (value.get(name) for name in ("cause", "version", "seq", "events"))
    cause = cause if type(cause) is dict else {}
    listed = [event for event in events if type(event) is dict] if type(events) is list else []
    due = _str(cause, "due")
    return Decision(
        record=record,
        saga_id=text(record.key),
        value=value,
        version=version if type(version) is int else 0,
        seq=seq if type(seq) is int else 0,
        at_ms=ms_of(value.get("at")),
        cause=_coordinates(cause.get("topic"), cause.get("partition"), cause.get("offset"), prefix),
        cause_id=_str(cause, "id"),
        cause_type=_str(cause, "type"),
        timer=timer(_str(cause, "timer"), due, ms_of(due)) if "timer" in cause else None,
        events=listed,
        flaw=_flaw(value, record, listed),
    )


def dead_letter(record: Record, prefix: str) -> DeadLetter:
    """A record of the dead letters."""
    marks = (item for item in record.headers if item[0].startswith(_ERRORS))
    errors = {name.removeprefix(_ERRORS): text(value) for name, value in marks}
    partition, offset = _number(errors.get("partition")), _number(errors.get("offset"))
    origin = _coordinates(errors.get("topic"), partition, offset, prefix)
    return DeadLetter(record, text(record.key), errors.get("reason", ""), origin, errors)


def own_headers(record: Record) -> tuple[tuple[str, bytes | None], ...]:
    """A record's headers but for those that make it a dead letter."""
    return tuple(item for item in record.headers if not item[0].startswith(_ERRORS))


def content(body: Object) -> Object | None:
    """What an order says, without fields that the contract doesn't know; None when it is no order."""
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
    rules = (
        (bool(value), "it is no JSON object"),
        (not record.headers, "it has headers"),
        (_is_text(value.get("saga_id")) and _is_text(value.get("saga")), "saga_id or saga is missing"),
        (_counts(value.get("version")) and _counts(value.get("seq")), "version and seq must count from 1"),
        (ms_of(at) is not None, "its time is not RFC 3339 in UTC"),
        (type(cause) is dict and _names_cause(cause), "its cause is neither an input nor a timer"),
        (bool(events) and events == value.get("events"), "events must be a list of at least one object"),
        (all(_is_text(event.get("type")) for event in events), "an event has no type"),
        (all(_is_text(event.get("step", "none")) for event in events), "an event's step is no text"),
    )
    return next((flaw for holds, flaw in rules if not holds), "")


def _is_text(value: Any) -> bool:
    return type(value) is str and value != ""


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 1


def _names_cause(cause: Object) -> bool:
    if "timer" in cause:
        return _is_text(cause["timer"]) and ms_of(cause.get("due")) is not None
    numbers = type(cause.get("partition")) is int and type(cause.get("offset")) is int
    return numbers and all(_is_text(cause.get(name)) for name in ("topic", "id", "type"))
