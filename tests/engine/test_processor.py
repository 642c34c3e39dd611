"""The saga processor: one record, due timer or free slot, from its bytes to its outputs."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from app.engine.processor import Record, SagaProcessor
from app.engine.state.admission import AdmissionControl
from app.engine.state.saga_counts import NO_COUNTERS, Counters, SagaCounts, counters_of
from app.saga.definition import Saga, with_policy
from app.saga.state import BackingOff, Compensating, Completed, Progress, Queued, RolledBack, Running, SagaData, due_ms
from app.saga.versions import Versions
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, Headers
from app.wire.partition import partition_of
from app.wire.writer import ERRORS, Origin, OutputRecord
from tests.broker.pods import placed, said
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

NOW = 1_700_000_000_000
PARTITIONS = 4
REPLIES = {"reservation": "reservation.replies", "payment": "payment.replies"}


class FakeKeyState:
    """The state of one key in memory, the number of writes to it, and admission control of its partition."""

    def __init__(self, progress: Progress | None = None, limit: int = 10) -> None:
        self.progress = progress
        self.writes = 0
        self.counts = SagaCounts()
        self.admission = AdmissionControl(limit, self.counts.in_flight, self.counts.queued)

    def get(self) -> Progress | None:
        """The stored saga."""
        return self.progress

    def set(self, progress: Progress) -> None:
        """Stores the saga and counts it."""
        self.counts.change(self._counts(), counters_of(progress.state))
        self.admission.reset_batch()
        self.progress = progress
        self.writes += 1

    def forget(self) -> None:
        """Deletes the saga."""
        self.counts.change(self._counts(), NO_COUNTERS)
        self.progress = None
        self.writes += 1

    def _counts(self) -> Counters:
        return NO_COUNTERS if self.progress is None else counters_of(self.progress.state)


@dataclass(slots=True)
class Order:
    """One order whose inputs are processed one after the other."""

    id: str
    key_state: FakeKeyState
    processor: SagaProcessor
    offset: int = 0

    def receive(self, topic: str, record: Record, at_ms: int = NOW) -> list[OutputRecord]:
        """Processes a record as the next one of its partition."""
        self.offset += 1
        return self.processor.on_record(topic, record, self.key_state, at_ms)

    def place(self, value: bytes | None = None) -> list[OutputRecord]:
        """Processes the order itself."""
        return self.receive("order.requests", self.record(value or placed(self.id), *said("order.place", "p-1")))

    def reply(self, type: str, command: str, **fields: object) -> list[OutputRecord]:
        """Processes a reply to a command of this order."""
        headers = (*said(type, f"{command}:r"), ("ce_causationid", command.encode()))
        value = orjson.dumps({"order_id": self.id, **fields})
        return self.receive(REPLIES[type.partition(".")[0]], self.record(value, *headers))

    def record(self, value: bytes | None, *headers: tuple[str, bytes | None]) -> Record:
        """A record in the partition of this order."""
        owner = partition_of(self.id.encode(), PARTITIONS)
        origin = Origin("p.order.requests", owner, self.offset, NOW - 5)
        return Record(origin, self.id.encode(), value, headers)

    def fire_timer(self, due_ms: int, at_ms: int | None = None) -> list[OutputRecord]:
        """Processes a due timer, at its due time unless another time is given."""
        return self.processor.on_timer(self.id, due_ms, self.key_state, at_ms or due_ms)

    def free_slot(self, step: str, at_ms: int = NOW) -> list[OutputRecord]:
        """Processes a free slot for a step."""
        return self.processor.on_capacity(self.id, step, self.key_state, at_ms)

    @property
    def due_ms(self) -> int:
        """The due time (ms since 1970) of its next timer; 0 for none."""
        return due_ms(self.state) or 0

    @property
    def state(self) -> Any:
        """The state of its saga."""
        assert self.key_state.progress is not None
        return self.key_state.progress.state


@pytest.fixture
def order() -> Order:
    """An order that is not placed yet; steps have 2 attempts and a timeout of 1 s."""
    return Order("o-1", FakeKeyState(), order_processor())


def order_processor() -> SagaProcessor:
    """A processor of the order saga with 2 attempts and a timeout of 1 s."""
    return SagaProcessor(Versions((with_policy(ORDER, 1000, 2),)), PARTITIONS)


def topics(outs: list[OutputRecord]) -> list[str]:
    """The topics of the outputs."""
    return [out.topic for out in outs]


def event(out: OutputRecord) -> Any:
    """The decision of an output, decoded."""
    assert out.value is not None
    return orjson.loads(out.value)


def error_headers(out: OutputRecord) -> dict[str, str]:
    """The error headers of a dead letter, without their prefix."""
    assert out.topic == "saga.dead-letters"
    found = [(name, value) for name, value in out.headers if name.startswith(ERRORS)]
    return {name.removeprefix(ERRORS): (value or b"").decode() for name, value in found}


def cause_ids(outs: list[OutputRecord]) -> list[str]:
    """The `ce_causationid` of each output but the decisions."""
    return [(dict(out.headers)["ce_causationid"] or b"").decode() for out in outs if out.topic != "saga.events"]


def test_an_order_starts_its_saga(order: Order) -> None:
    """A decision and a first command, keyed by the order; the partition is that of the record."""
    outs = order.place()
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert {(out.key, out.partition) for out in outs} == {(b"o-1", None)}
    assert event(outs[0])["cause"] == {
        "topic": "p.order.requests",
        "partition": partition_of(b"o-1", PARTITIONS),
        "offset": 0,
        "id": "p-1",
        "type": "order.place",
    }
    assert isinstance(order.state, Running)
    assert order.key_state.writes == 1


def test_the_same_order_again_changes_nothing(order: Order) -> None:
    """A duplicate has no output and writes no state."""
    order.place()
    assert order.place() == []
    assert order.key_state.writes == 1


def test_another_order_of_the_same_id_is_a_dead_letter(order: Order) -> None:
    """The first order's saga is unchanged."""
    order.place()
    before = order.key_state.progress
    outs = order.place(placed(order.id).replace(b'"quantity":1', b'"quantity":2'))
    assert [error_headers(out)["reason"] for out in outs] == ["conflict"]
    assert (order.key_state.progress, order.key_state.writes) == (before, 1)


def test_a_whole_saga(order: Order) -> None:
    """Order, reservation, payment, outcome; each decision has the next number."""
    outs = order.place() + order.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    outs += order.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert topics(outs) == [
        "saga.events", "reservation.commands", "saga.events", "payment.commands", "saga.events", "order.outcomes",
    ]  # fmt: skip
    assert [event(out)["seq"] for out in outs if out.topic == "saga.events"] == [1, 2, 3]
    assert isinstance(order.state, Completed)


INVALID: tuple[tuple[str, str, bytes | None, Headers], ...] = (
    ("malformed", "order.requests", None, said("order.place", "1")),
    ("malformed", "order.requests", b"{", said("order.place", "1")),
    ("malformed", "order.requests", placed("o-1"), ()),
    ("malformed", "order.requests", placed("o-1"), UNREADABLE),
    ("malformed", "payment.replies", b'{"order_id":"o-1","payment_id":"p"}', said("payment.charged", "1")),
    ("too_large", "order.requests", b" " * 65_537, said("order.place", "1")),
    ("unknown_type", "order.requests", placed("o-1"), said("order.steal", "1")),
    ("unknown_type", "saga.operations", placed("o-1"), said("order.place", "1")),
    ("invalid", "order.requests", b'{"order_id":"o-1"}', said("order.place", "1")),
    ("wrong_key", "order.requests", placed("o-2"), said("order.place", "1")),
    ("unknown_order", "order.requests", b'{"order_id":"o-1","reason":"r"}', said("order.cancel", "1")),
    ("unknown_order", "saga.operations", b'{"order_id":"o-1","operator":"o","reason":"r"}', said("saga.skip", "1")),
)


@pytest.mark.parametrize(("code", "topic", "value", "headers"), INVALID)
def test_an_invalid_record_is_one_dead_letter(
    order: Order, code: str, topic: str, value: bytes | None, headers: Headers
) -> None:
    """It has the record's coordinates and time, stays in the record's partition, and no state is written."""
    record = replace(order.record(value), headers=headers)
    (out,) = order.receive(topic, record)
    errors = error_headers(out)
    assert errors["reason"] == code
    assert errors["message"]
    assert (errors["topic"], errors["partition"], errors["offset"], errors["timestamp"]) == (
        record.origin.topic,
        str(record.origin.partition),
        str(record.origin.offset),
        str(record.origin.timestamp_ms),
    )
    assert (out.key, out.value, out.partition) == (record.key, value, record.origin.partition)
    assert ("truncated" in errors) == (headers is UNREADABLE)
    assert order.key_state.writes == 0


def test_a_missing_key_is_wrong(order: Order) -> None:
    """A record without a key belongs to no order."""
    (out,) = order.receive("order.requests", replace(order.record(placed("o-1"), *said("order.place", "1")), key=None))
    assert error_headers(out)["reason"] == "wrong_key"


def misrouted(id: str, *more: tuple[str, bytes | None]) -> Record:
    """An order in a partition that is not its key's."""
    wrong = (partition_of(id.encode(), PARTITIONS) + 1) % PARTITIONS
    return Record(Origin("order.requests", wrong, 7, NOW), id.encode(), placed(id), (*said("order.place", "1"), *more))


def test_a_misrouted_record_is_sent_on_unchanged(order: Order) -> None:
    """To the same topic in its key's partition, with its headers; nothing is decided."""
    record = misrouted("o-1", ("traceparent", b"00-1"), ("x", None))
    (out,) = order.receive("order.requests", record)
    owner = partition_of(b"o-1", PARTITIONS)
    assert out == OutputRecord("order.requests", b"o-1", record.value, record.headers or (), owner)
    assert order.key_state.writes == 0


def test_a_misrouted_record_is_sent_on_once(order: Order) -> None:
    """In the partition of its key it is decided."""
    (out,) = order.receive("order.requests", misrouted("o-1"))
    assert out.partition is not None
    routed = Record(Origin("order.requests", out.partition, 0, NOW), out.key, out.value, out.headers)
    assert topics(order.receive("order.requests", routed)) == ["saga.events", "reservation.commands"]


def test_a_record_whose_saga_is_here_is_not_sent_on(order: Order) -> None:
    """Whatever the partitioner says: a saga is where its state is."""
    order.place()
    command = ("ce_causationid", b"o-1:reservation:do:1")
    value = b'{"order_id":"o-1","reservation_id":"r"}'
    wrong = replace(misrouted("o-1"), value=value, headers=(*said("reservation.reserved", "2"), command))
    assert topics(order.receive("reservation.replies", wrong)) == ["saga.events", "payment.commands"]


def test_a_misrouted_record_with_too_many_headers_is_a_dead_letter(order: Order) -> None:
    """Its headers are cut, and a header says so."""
    (out,) = order.receive("order.requests", misrouted("o-1", ("x", b"y" * MAX_HEADER_BYTES)))
    errors = error_headers(out)
    assert (errors["reason"], errors["truncated"]) == ("too_large", "true")
    assert all(name != "x" for name, _ in out.headers)


def test_an_invalid_misrouted_record_is_a_dead_letter_where_it_is(order: Order) -> None:
    """An invalid record is not sent on."""
    (out,) = order.receive("order.requests", replace(misrouted("o-1"), value=b"{"))
    assert error_headers(out)["reason"] == "malformed"


def test_a_timer_is_its_decisions_cause(order: Order) -> None:
    """The timer is named after its attempt; the next command names that attempt as its cause."""
    order.place()
    outs = order.fire_timer(NOW + 1000)
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert event(outs[0])["cause"] == {"timer": "reservation:do:1:timeout", "due": "2023-11-14T22:13:21.000Z"}
    assert dict(outs[1].headers)["ce_causationid"] == b"o-1:reservation:do:1"
    assert dict(outs[1].headers)["ce_id"] == b"o-1:reservation:do:2"


def test_a_timer_is_named_after_the_attempt_that_it_ends(order: Order) -> None:
    """A timeout or a backoff, of a do or of an undo."""
    order.place()
    order.reply("reservation.failed", "o-1:reservation:do:1", reason="busy", retryable=True)
    assert isinstance(order.state.active_steps[0], BackingOff)
    names = [event(order.fire_timer(order.due_ms)[0])["cause"]["timer"] for _ in range(2)]
    assert isinstance(order.state, Compensating)
    names.append(event(order.fire_timer(order.due_ms)[0])["cause"]["timer"])
    order.reply("reservation.failed", "o-1:reservation:undo:2", reason="busy", retryable=True)
    assert names == ["reservation:do:1:pause", "reservation:do:2:timeout", "reservation:undo:1:timeout"]


def test_a_stale_timer_decides_nothing(order: Order) -> None:
    """A timer that the saga no longer waits for, or never did, decides nothing and writes nothing."""
    assert order.fire_timer(NOW) == []
    order.place()
    due = order.due_ms
    assert order.fire_timer(due - 1) == []
    order.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    writes = order.key_state.writes
    assert order.fire_timer(due - 1, due + 10**6) == []
    order.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert order.fire_timer(due, due + 10**6) == []
    assert order.key_state.writes == writes + 1


def test_a_timer_fires_once(order: Order) -> None:
    """The same due time is stale the second time."""
    order.place()
    due = order.due_ms
    assert order.fire_timer(due) != []
    assert order.fire_timer(due) == []


def test_an_expired_saga_leaves_no_record(order: Order) -> None:
    """An ended saga expires silently; a later reply is for an unknown order."""
    order.place()
    order.reply("reservation.rejected", "o-1:reservation:do:1", reason="sold out")
    assert order.fire_timer(order.due_ms) == []
    assert order.key_state.progress is None
    (out,) = order.reply("reservation.rejected", "o-1:reservation:do:1", reason="sold out")
    assert error_headers(out)["reason"] == "unknown_order"


def test_a_step_without_a_free_slot_is_queued() -> None:
    """The decision has no command; the free slot is a cause of its own, and names the order that queued the step."""
    other = Order("o-2", FakeKeyState(limit=1), order_processor())
    assert topics(other.place()) == ["saga.events", "reservation.commands"]
    order = Order("o-1", FakeKeyState(limit=1), order_processor())
    order.key_state.counts, order.key_state.admission = other.key_state.counts, other.key_state.admission
    assert topics(order.place()) == ["saga.events"]
    assert isinstance(order.state.active_steps[0], Queued)
    outs = order.free_slot("reservation")
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert event(outs[0])["cause"] == {"timer": "reservation:do:0:room", "due": "2023-11-14T22:13:20.000Z"}
    assert cause_ids(outs) == ["p-1"]  # the message that the step was queued by
    assert order.free_slot("reservation") == []
    assert order.free_slot("payment") == []


def test_failures_shrink_the_window_and_replies_grow_it(order: Order) -> None:
    """A timeout or a retryable failure halves the window; any final reply adds 1."""
    order.place()
    order.fire_timer(order.due_ms)
    assert order.key_state.admission.windows() == {"reservation": 5}
    order.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    assert order.key_state.admission.windows()["reservation"] == 6
    order.reply("payment.failed", "o-1:payment:do:1", reason="busy", retryable=True)
    assert order.key_state.admission.windows()["payment"] == 5
    order.reply("payment.failed", "o-1:payment:do:1", reason="no such card", retryable=False)
    assert order.key_state.admission.windows()["payment"] == 6


def with_short_deadline(saga: Saga = ORDER, limit: int = 10) -> Order:
    """An order with a deadline of 0.5 s, while steps time out after 1 s."""
    return Order(
        "o-1",
        FakeKeyState(limit=limit),
        SagaProcessor(Versions((with_policy(saga, 1000, 2, deadline_ms=500),)), PARTITIONS),
    )


def test_a_deadline_is_a_cause_of_its_own() -> None:
    """It follows the last command sent; of parallel steps, that of the last one."""
    for saga, command in ((ORDER, "o-1:reservation:do:1"), (SHIPPED_ORDER, "o-1:payment:do:1")):
        order = with_short_deadline(saga)
        order.place()
        outs = order.fire_timer(NOW + 500)
        assert event(outs[0])["cause"] == {"timer": "deadline", "due": "2023-11-14T22:13:20.500Z"}
        assert set(cause_ids(outs)) == {command}
        assert isinstance(order.state, Compensating)


def test_a_deadline_before_the_first_command_follows_the_order() -> None:
    """The first step was still queued: nothing must be undone, and the shop gets its outcome at once."""
    order = with_short_deadline(limit=1)
    order.key_state.counts.in_flight["reservation"] = 1
    assert topics(order.place()) == ["saga.events"]
    outs = order.fire_timer(NOW + 500)
    assert topics(outs) == ["saga.events", "order.outcomes"]
    assert event(outs[0])["cause"]["timer"] == "deadline"
    assert cause_ids(outs) == ["p-1"]
    assert isinstance(order.state, RolledBack)


def test_a_deadline_shrinks_no_window() -> None:
    """The order is late, not the participants: their commands still have time, so no window shrinks."""
    order = with_short_deadline(SHIPPED_ORDER)
    order.place()
    outs = order.fire_timer(NOW + 500)
    assert [each["type"] for each in event(outs[0])["events"]].count("saga.step.timed_out") == 2
    assert order.key_state.admission.windows() == {"reservation": 10, "payment": 10}


def test_an_ended_saga_of_an_unknown_version_is_still_known() -> None:
    """A late reply is recorded as ignored, and the saga expires in the end."""
    ended = Completed(SagaData("order", 9, "d", NOW, {}, {}), NOW + 1000)
    order = Order("o-1", FakeKeyState(Progress(3, ended)), order_processor())
    (out,) = order.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert [each["type"] for each in event(out)["events"]] == ["saga.reply.ignored"]
    assert order.fire_timer(NOW + 1000) == []
    assert order.key_state.progress is None


PARENT, OTHER = (f"00-{digit * 32}-b7ad6b7169203331-01".encode() for digit in "ab")


def traces(outs: list[OutputRecord]) -> list[dict[str, bytes | None]]:
    """The trace headers of each output but the decisions."""
    names = ("traceparent", "tracestate")
    return [{n: v for n, v in out.headers if n in names} for out in outs if out.topic != "saga.events"]


def place_traced(order: Order, *more: tuple[str, bytes]) -> list[OutputRecord]:
    """Processes the order itself, with a trace."""
    headers = (*said("order.place", "p-1"), ("traceparent", PARENT), *more)
    return order.receive("order.requests", order.record(placed(order.id), *headers))


def test_what_no_message_led_to_has_the_trace_of_its_order(order: Order) -> None:
    """After a time-out and after a backoff; with the tracestate that the order came with."""
    trace = {"traceparent": PARENT, "tracestate": b"a=1"}
    sent = [*place_traced(order, ("tracestate", b"a=1"))]
    order.reply("reservation.failed", "o-1:reservation:do:1", reason="busy", retryable=True)
    sent += order.fire_timer(order.due_ms)
    sent += order.fire_timer(order.due_ms)
    assert [dict(out.headers)["ce_id"] for out in sent if out.topic != "saga.events"] == [
        b"o-1:reservation:do:1",
        b"o-1:reservation:do:2",
        b"o-1:reservation:undo:1",
    ]
    assert traces(sent) == [trace] * 3


def test_a_deadline_has_the_trace_of_its_order() -> None:
    """Though the saga ends at once, and keeps no trace after its end."""
    order = with_short_deadline(limit=1)
    order.key_state.counts.in_flight["reservation"] = 1
    place_traced(order)
    outs = order.fire_timer(NOW + 500)
    assert isinstance(order.state, RolledBack)
    assert (traces(outs), cause_ids(outs)) == ([{"traceparent": PARENT}], ["p-1"])


def test_a_message_without_a_trace_leads_to_the_trace_of_the_order(order: Order) -> None:
    """A message with a trace of its own leads to that; an order without a trace gives none."""
    place_traced(order)
    command, reply = ("ce_causationid", b"o-1:reservation:do:1"), said("reservation.reserved", "r-1")
    value = b'{"order_id":"o-1","reservation_id":"r"}'
    outs = order.receive("reservation.replies", order.record(value, *reply, command, ("traceparent", OTHER)))
    assert traces(outs) == [{"traceparent": OTHER}]
    assert traces(order.reply("payment.declined", "o-1:payment:do:1", reason="no")) == [{"traceparent": PARENT}]
    other = Order("o-2", FakeKeyState(), order_processor())
    other.place()
    assert traces(other.fire_timer(other.due_ms)) == [{}]


def test_a_command_that_waited_names_the_message_that_led_to_it(order: Order) -> None:
    """As if it had been sent at once: first attempts and undos after any message, and an operator's retry."""
    slots = order.key_state.counts.in_flight
    slots["reservation"] = slots["payment"] = 10
    place_traced(order)
    sent = order.free_slot("reservation")
    order.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    slots["reservation"] = slots["payment"] = 10
    sent += order.free_slot("payment")
    slots["reservation"] = slots["payment"] = 10
    order.reply("payment.declined", "o-1:payment:do:1", reason="no")
    sent += order.free_slot("reservation")
    assert cause_ids(sent) == ["p-1", "o-1:reservation:do:1:r", "o-1:payment:do:1:r"]
    assert traces(sent) == [{"traceparent": PARENT}] * 3


def test_a_command_that_waited_after_a_timeout_names_the_attempt_before(order: Order) -> None:
    """No message led to it."""
    order.place()
    order.key_state.counts.in_flight["reservation"] = 10
    order.fire_timer(order.due_ms)
    assert isinstance(order.state.active_steps[0], Queued)
    assert cause_ids(order.free_slot("reservation")) == ["o-1:reservation:do:1"]
