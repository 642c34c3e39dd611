"""Records to inputs: every message of the contract, and every reason for a dead letter."""

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.saga.messages import Cancel, Compensate, Failed, Input, Place, Refused, Retry, Skip, Succeeded, Trace, Undone
from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader, digest
from app.wire.topics import Topics
from tests.saga.order_messages import CONTENT
from tests.wire.values import (
    COMMAND,
    ORDER,
    SAMPLES,
    STRUCTURED,
    WITH_STEP,
    Value,
    encoded,
    headers,
    structured,
    valid,
)
from topologies.order import ORDER as SAGA

READER = Reader(SAGA)
INPUTS: dict[tuple[str, str], Input] = {
    ("order.requests", "order.place"): Place("m-1", CONTENT, digest(ORDER)),
    ("order.requests", "order.cancel"): Cancel("m-1", "no"),
    ("saga.operations", "saga.retry"): Retry("m-1", "olga", "yes"),
    ("saga.operations", "saga.skip"): Skip("m-1", "olga", "yes"),
    ("saga.operations", "saga.compensate"): Compensate("m-1", "olga", "yes"),
    **{
        (f"{step}.replies", f"{step}.{word}"): given
        for step, done, no, undone, result in (
            ("reservation", "reserved", "rejected", "released", "r-1"),
            ("payment", "charged", "declined", "refunded", "p-1"),
        )
        for word, given in (
            (done, Succeeded("m-1", f"{step}.{done}", step, COMMAND, result)),
            (no, Refused("m-1", f"{step}.{no}", step, COMMAND, "no")),
            (undone, Undone("m-1", f"{step}.{undone}", step, COMMAND)),
            ("failed", Failed("m-1", f"{step}.failed", step, COMMAND, "down", retryable=True)),
        )
    },
}
KINDS = tuple(SAMPLES)
TOPICS = ("order.requests", "reservation.replies", "payment.replies", "saga.operations")


def read(kind: tuple[str, str], value: Value) -> Input:
    """The input of a value of this topic and type, in binary mode, with its own key."""
    topic, type = kind
    return READER.read(topic, str(value["order_id"]).encode(), encoded(value), headers(type)).given


def refusal(topic: str, key: bytes | None, value: bytes | None, given: Headers | None) -> str:
    """The code with which a record is refused."""
    with pytest.raises(InvalidRecord) as caught:
        READER.read(topic, key, value, given)
    return caught.value.code


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_is_read_in_both_modes(kind: tuple[str, str]) -> None:
    """Each message of the contract becomes its input, with the fields of a cause."""
    (topic, type), value = kind, SAMPLES[kind]
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    binary = READER.read(topic, b"o-1", encoded(value), headers(type, traceparent=parent))
    whole = READER.read(topic, b"o-1", structured(type, value, traceparent=parent.decode()), STRUCTURED)
    assert binary == whole
    given = INPUTS[kind]
    assert binary.given == (replace(given, trace=Trace(parent.decode())) if isinstance(given, Place) else given)
    assert (binary.saga_id, binary.id, binary.type, binary.trace) == ("o-1", "m-1", type, (("traceparent", parent),))


@pytest.mark.parametrize(("state", "kept"), ((b"a=1", "a=1"), (b"a=" + b"x" * 510, "a=" + "x" * 510), (b"x" * 513, "")))
def test_an_order_is_read_with_its_trace(state: bytes, kept: str) -> None:
    """A tracestate that is longer than a saga keeps is left out."""
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    topic, type = kind = ("order.requests", "order.place")
    given = READER.read(
        topic, b"o-1", encoded(SAMPLES[kind]), headers(type, traceparent=parent, tracestate=state)
    ).given
    assert isinstance(given, Place)
    assert given.trace == Trace(parent.decode(), kept)


def test_the_reader_knows_every_message_of_the_contract() -> None:
    """And no other message."""
    known = {(topic, type) for topic in TOPICS for type in READER.types(topic)}
    assert known == set(SAMPLES) == set(INPUTS)
    assert tuple(topic.name for topic in Topics(SAGA).inputs) == TOPICS


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_fields_are_ignored(kind: tuple[str, str]) -> None:
    """A field of a future version changes nothing."""
    assert read(kind, {"new": {"a": [1, None]}, **SAMPLES[kind], "": 0}) == INPUTS[kind]


@pytest.mark.parametrize("type", WITH_STEP)
@pytest.mark.parametrize("step", ("payment", "no-such.step_9", "x" * 64))
def test_an_operation_may_name_a_step(type: str, step: str) -> None:
    """In both modes; the reader does not check whether the saga has the step."""
    kind = ("saga.operations", type)
    value = {**SAMPLES[kind], "step": step}
    assert read(kind, value) == replace(cast("Retry", INPUTS[kind]), step=step)
    assert READER.read(kind[0], b"o-1", structured(type, value), STRUCTURED).given == read(kind, value)


@pytest.mark.parametrize("type", WITH_STEP)
@pytest.mark.parametrize("step", (None, 7, True, [], ["payment"], {}, "", "pay ment", "payment\n", "\u00e9", "x" * 65))
def test_an_invalid_step_name_is_refused(type: str, step: object) -> None:
    """The history's sentences name the step, so it must be a step's name. The refusal does not repeat it."""
    value = encoded({**SAMPLES["saga.operations", type], "step": step})
    with pytest.raises(InvalidRecord, match=r"^step must match \[A-Za-z0-9\._-\]\{1,64\}$") as caught:
        READER.read("saga.operations", b"o-1", value, headers(type))
    assert caught.value.code == "invalid"


def test_a_compensate_has_no_step() -> None:
    """A `step` in it is an unknown field."""
    kind = ("saga.operations", "saga.compensate")
    assert read(kind, {**SAMPLES[kind], "step": 7}) == INPUTS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_required(kind: tuple[str, str]) -> None:
    """Without any one of its fields a message is invalid."""
    topic, type = kind
    for name in SAMPLES[kind]:
        without = {field: value for field, value in SAMPLES[kind].items() if field != name}
        assert refusal(topic, b"o-1", encoded(without), headers(type)) == "invalid"


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_belongs_to_its_topic(kind: tuple[str, str]) -> None:
    """On another topic it is an unknown type."""
    topic, type = kind
    for other in TOPICS:
        if other != topic:
            assert refusal(other, b"o-1", encoded(SAMPLES[kind]), headers(type)) == "unknown_type"


@pytest.mark.parametrize(
    "type", ("order", "order.placed", "ORDER.PLACE", "order.place ", "saga.started", "payment.charge", "\0")
)
def test_an_unknown_type_is_refused(type: str) -> None:
    """Types are compared exactly."""
    assert refusal("order.requests", b"o-1", encoded(ORDER), headers(type)) == "unknown_type"


@pytest.mark.parametrize("kind", tuple(kind for kind in KINDS if kind[0].endswith(".replies")))
def test_a_reply_names_its_command(kind: tuple[str, str]) -> None:
    """A reply without a cause, or with an empty one, is malformed in both modes."""
    topic, type = kind
    value = SAMPLES[kind]
    assert refusal(topic, b"o-1", encoded(value), headers(type, ce_causationid=None)) == "malformed"
    assert refusal(topic, b"o-1", encoded(value), headers(type, ce_causationid=b"")) == "malformed"
    assert refusal(topic, b"o-1", structured(type, value, causationid=...), STRUCTURED) == "malformed"


@pytest.mark.parametrize("kind", tuple(kind for kind in KINDS if not kind[0].endswith(".replies")))
def test_other_messages_need_no_cause(kind: tuple[str, str]) -> None:
    """Messages of shops and operators are first causes."""
    topic, type = kind
    assert READER.read(topic, b"o-1", encoded(SAMPLES[kind]), headers(type, ce_causationid=None)).given == INPUTS[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", (None, b"", b"o-2", b"O-1", b"o-1 ", b"o-1\0", b"\xff", b'"o-1"'))
def test_a_key_is_the_order_id(kind: tuple[str, str], key: bytes | None) -> None:
    """No key, an empty key and any other key are dead letters, with a code of their own."""
    topic, type = kind
    assert refusal(topic, key, encoded(SAMPLES[kind]), headers(type)) == "wrong_key"


@pytest.mark.parametrize("topic", TOPICS)
def test_each_code_has_its_reason(topic: str) -> None:
    """The first rule that is broken gives the code: headers, size and form, then type, then fields, then the key."""
    type = READER.types(topic)[0]
    assert refusal(topic, b"o-1", None, headers(type)) == "malformed"
    assert refusal(topic, b"o-1", b"{", headers("unknown")) == "malformed"
    assert refusal(topic, b"o-1", b" " * 65_537, headers("unknown")) == "too_large"
    assert refusal(topic, b"x", b"{}", headers("unknown")) == "unknown_type"
    assert refusal(topic, b"x", b"{}", headers(type)) == "invalid"
    assert refusal(topic, b"x", b'{"order_id":"!"}', headers(type)) == "invalid"


def test_the_digest_tells_contents_apart() -> None:
    """The same content has the same digest however it is written; any other content has another one."""
    written: list[Value] = [ORDER, {**dict(reversed(ORDER.items())), "note": "ignored"}]
    same = {getattr(read(KINDS[0], value), "digest", None) for value in written}
    assert len(same) == 1
    line = ORDER["lines"][0]
    others = (
        {**ORDER, "customer_id": "bob"},
        {**ORDER, "total": {"currency": "USD", "minor": 4200}},
        {**ORDER, "total": {"currency": "EUR", "minor": 4201}},
        {**ORDER, "lines": [line, line]},
        {**ORDER, "lines": [{**line, "sku": "te\u0301a"}]},
    )
    digests = same | {getattr(read(KINDS[0], other), "digest", None) for other in others}
    assert len(digests) == 1 + len(others)


def test_the_digest_does_not_change_with_a_release() -> None:
    """The state has digests: with another algorithm every duplicate would be a conflict."""
    assert digest(ORDER) == "fcd76b09d0960fde55610ac55dd4280e"


@given(st.sampled_from(KINDS), st.data())
def test_every_valid_message_is_read(kind: tuple[str, str], data: st.DataObject) -> None:
    """For all values within the limits of the contract, in both modes."""
    topic, type = kind
    value = data.draw(valid(SAMPLES[kind]))
    key = value["order_id"].encode()
    binary = READER.read(topic, key, encoded(value), headers(type))
    assert binary == READER.read(topic, key, structured(type, value), STRUCTURED)
    assert binary.given.__class__ is INPUTS[kind].__class__
