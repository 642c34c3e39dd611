"""Valid messages, mangled in ways that leave most of them valid, through the processor."""

from collections import Counter
from typing import Any, NamedTuple, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.processor import Record
from app.wire.envelope import UNREADABLE
from app.wire.writer import Origin
from tests.fuzz.conftest import JudgedHarness
from tests.fuzz.harness import UNKNOWN_ORDER
from tests.fuzz.judge import Kind
from tests.fuzz.sagas import PARTITIONS, InputMessage, record
from tests.wire.values import STRUCTURED, encoded, junk, structured

HEADER_NAMES = (
    "ce_id",
    "ce_type",
    "ce_causationid",
    "content-type",
    "traceparent",
    "tracestate",
    "__saga.errors.reason",
    "",
    "\u00e9",
)
_HEADER_VALUES = st.sampled_from(
    (None, b"", b"\xff", b"\0\r\n", b"x" * 1025, b"application/cloudevents+json", b"order.place")
)
_TEXTS = st.sampled_from(("", "\0", "\r\nlevel=error", "\u202egnp.exe", "e\u0301", "\U0001f600" * 1024, "x" * 1025))
_TIMES = st.sampled_from((0, -1, -(2**63), 2**63 - 1, 1_731_536_000_000))


class Mangling(NamedTuple):
    """The changes to a message: to a field, its headers, its partition, its key and its encoding."""

    member: tuple[int, str, Any] | None
    header: tuple[str, bytes | None, bool] | None
    misrouted: bool
    key: str
    structured: bool
    splice: tuple[int, bytes] | None
    unreadable: bool


_MEMBERS = st.tuples(st.integers(0, 9), st.sampled_from(("gone", "other", "nested", "more")), _TEXTS | junk)
_HEADERS = st.tuples(st.sampled_from(HEADER_NAMES), _HEADER_VALUES | st.binary(max_size=20), st.booleans())


def mostly_first(*values: Any) -> st.SearchStrategy[Any]:
    """The first value mostly."""
    return st.sampled_from((values[0],) * 6 + values[1:])


def mostly_none(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """None mostly."""
    return mostly_first(False, True).flatmap(lambda present: strategy if present else st.none())


MANGLINGS = st.builds(
    Mangling,
    mostly_none(_MEMBERS),
    mostly_none(_HEADERS),
    mostly_first(False, True),
    mostly_first("own", "none", "empty", "other"),
    st.booleans(),
    mostly_none(st.tuples(st.integers(0, 300), st.binary(max_size=4))),
    mostly_first(False, True),
)


def mangled(order_id: str, message: InputMessage, mangling: Mangling, timestamp_ms: int) -> Record:
    """The record of a message with these changes."""
    one = record(order_id, message)
    fields = {"order_id": order_id, **message.fields}
    if mangling.member is not None:
        fields = changed(fields, *mangling.member)
    value, headers = encoded(fields), list(one.headers or ())
    if mangling.structured:
        cause = {"causationid": message.command} if message.command is not None else {"causationid": ...}
        value, headers = structured(message.type, fields, **cause), list(STRUCTURED)
    if mangling.header is not None:
        name, content, replaces = mangling.header
        headers = [*(header for header in headers if not replaces or header[0] != name), (name, content)]
    if mangling.splice is not None:
        at, inserted = mangling.splice
        value = value[:at] + inserted + value[at + len(inserted) :]
    partition = one.origin.partition ^ mangling.misrouted
    origin = Origin(f"t.{message.topic}", partition % PARTITIONS, 7, timestamp_ms)
    keys = {"own": one.key, "none": None, "empty": b"", "other": b"s-1"}
    return Record(origin, keys[mangling.key], value, UNREADABLE if mangling.unreadable else headers)


def changed(fields: dict[str, Any], at: int, change: str, other: object) -> dict[str, Any]:
    """The fields with one removed, replaced or nested, or with two more."""
    name = sorted(fields)[at % len(fields)]
    if change == "gone":
        return {field: value for field, value in fields.items() if field != name}
    if change == "more":
        return {**fields, "step": other, "note": other}
    return {**fields, name: other if change == "other" else [fields[name]]}


def test_a_mangled_message_has_one_complete_result(harnesses: tuple[JudgedHarness, ...]) -> None:
    """One dead letter without changes, one copy for the key's partition, nothing, or one complete decision."""
    kinds: Counter[str] = Counter()

    @settings(max_examples=max(300, settings().max_examples))
    @given(st.data())
    def process_mangled_messages(data: st.DataObject) -> None:
        harness, judge = data.draw(st.sampled_from(harnesses))
        order_id = data.draw(st.sampled_from((UNKNOWN_ORDER, *harness.sagas)))
        try:
            for _ in range(data.draw(st.integers(1, 3))):
                message = data.draw(st.sampled_from(harness.messages_for(order_id)))
                one = mangled(order_id, message, data.draw(MANGLINGS), data.draw(_TIMES))
                kinds[judge.judge(harness.process(message.topic, one))] += 1
        finally:
            harness.reset()

    process_mangled_messages()
    assert min(kinds[kind] for kind in get_args(Kind)) >= 3
    assert kinds["decided"] > 50
