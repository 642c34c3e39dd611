"""One record or one due time, from its bytes to all that it leads to."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from app.engine.census import NOBODY, Census, Counts, counts_of
from app.engine.gate import Gate
from app.engine.turn import Record, Turns
from app.saga.definition import Saga, with_policy
from app.saga.state import Compensating, Completed, Facts, Pausing, Progress, RolledBack, Running, Waiting, due_ms
from app.saga.versions import Versions
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, Headers
from app.wire.partition import partition_of
from app.wire.writer import ERRORS, Origin, Out
from tests.broker.pods import placed, said
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

NOW = 1_700_000_000_000
PARTITIONS = 4
REPLIES = {"reservation": "reservation.replies", "payment": "payment.replies"}


class Memory:
    """The state of one key, how often it was written, and the gate of its partition."""

    def __init__(self, progress: Progress | None = None, limit: int = 10) -> None:
        self.progress = progress
        self.writes = 0
        self.census = Census()
        self.gate = Gate(limit, self.census.asked, self.census.waiting)

    def get(self) -> Progress | None:
        """What is stored."""
        return self.progress

    def set(self, progress: Progress) -> None:
        """Stores it."""
        self.census.change(self._counts(), counts_of(progress.state))
        self.gate.counted()
        self.progress = progress
        self.writes += 1

    def forget(self) -> None:
        """Deletes it."""
        self.census.change(self._counts(), NOBODY)
        self.progress = None
        self.writes += 1

    def _counts(self) -> Counts:
        return NOBODY if self.progress is None else counts_of(self.progress.state)


@dataclass(slots=True)
class Key:
    """One order's turns, one after the other."""

    id: str
    memory: Memory
    turns: Turns
    offset: int = 0

    def take(self, topic: str, record: Record, at_ms: int = NOW) -> list[Out]:
        """The next record of its partition."""
        self.offset += 1
        return self.turns.take(topic, record, self.memory, at_ms)

    def place(self, value: bytes | None = None) -> list[Out]:
        """Its order."""
        return self.take("order.requests", self.record(value or placed(self.id), *said("order.place", "p-1")))

    def reply(self, type: str, command: str, **fields: object) -> list[Out]:
        """An answer to a command of its own."""
        headers = (*said(type, f"{command}:r"), ("ce_causationid", command.encode()))
        value = orjson.dumps({"order_id": self.id, **fields})
        return self.take(REPLIES[type.partition(".")[0]], self.record(value, *headers))

    def record(self, value: bytes | None, *headers: tuple[str, bytes | None]) -> Record:
        """A record of its own."""
        home = partition_of(self.id.encode(), PARTITIONS)
        origin = Origin("p.order.requests", home, self.offset, NOW - 5)
        return Record(origin, self.id.encode(), value, headers)

    def expire(self, due_ms: int, at_ms: int | None = None) -> list[Out]:
        """A due time that has come."""
        return self.turns.expire(self.id, due_ms, self.memory, at_ms or due_ms)

    def admit(self, step: str, at_ms: int = NOW) -> list[Out]:
        """Room for a step."""
        return self.turns.admit(self.id, step, self.memory, at_ms)

    @property
    def due_ms(self) -> int:
        """When it waits to be told of the time."""
        return due_ms(self.state) or 0

    @property
    def state(self) -> Any:
        """Where its saga is."""
        assert self.memory.progress is not None
        return self.memory.progress.state


@pytest.fixture
def key() -> Key:
    """An order that nobody placed yet; a step is asked for twice, with a second for its answer."""
    return Key("o-1", Memory(), turns())


def turns() -> Turns:
    """Those of the order saga, with little patience."""
    return Turns(Versions((with_policy(ORDER, 1000, 2),)), PARTITIONS)


def topics(outs: list[Out]) -> list[str]:
    """Where it all goes."""
    return [out.topic for out in outs]


def event(out: Out) -> Any:
    """A decision, read back."""
    assert out.value is not None
    return orjson.loads(out.value)


def errors(out: Out) -> dict[str, str]:
    """What a dead letter says."""
    assert out.topic == "saga.dead-letters"
    marks = [(name, value) for name, value in out.headers if name.startswith(ERRORS)]
    return {name.removeprefix(ERRORS): (value or b"").decode() for name, value in marks}


def causes(outs: list[Out]) -> list[str]:
    """What the messages beside the decisions name as their cause."""
    return [(dict(out.headers)["ce_causationid"] or b"").decode() for out in outs if out.topic != "saga.events"]


def test_a_good_order_starts_its_saga(key: Key) -> None:
    """A decision and a first command, keyed by the order; partitions are left to the record's own."""
    outs = key.place()
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert {(out.key, out.partition) for out in outs} == {(b"o-1", None)}
    assert event(outs[0])["cause"] == {
        "topic": "p.order.requests",
        "partition": partition_of(b"o-1", PARTITIONS),
        "offset": 0,
        "id": "p-1",
        "type": "order.place",
    }
    assert isinstance(key.state, Running)
    assert key.memory.writes == 1


def test_the_same_order_again_changes_nothing(key: Key) -> None:
    """A duplicate leaves no record and writes no state."""
    key.place()
    assert key.place() == []
    assert key.memory.writes == 1


def test_another_order_of_the_same_id_is_a_dead_letter(key: Key) -> None:
    """The first saga is untouched."""
    key.place()
    before = key.memory.progress
    outs = key.place(placed(key.id).replace(b'"quantity":1', b'"quantity":2'))
    assert [errors(out)["reason"] for out in outs] == ["conflict"]
    assert (key.memory.progress, key.memory.writes) == (before, 1)


def test_a_whole_saga(key: Key) -> None:
    """Order, reservation, payment, outcome; each decision with the next number."""
    outs = key.place() + key.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    outs += key.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert topics(outs) == [
        "saga.events", "reservation.commands", "saga.events", "payment.commands", "saga.events", "order.outcomes",
    ]  # fmt: skip
    assert [event(out)["seq"] for out in outs if out.topic == "saga.events"] == [1, 2, 3]
    assert isinstance(key.state, Completed)


BAD: tuple[tuple[str, str, bytes | None, Headers], ...] = (
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


@pytest.mark.parametrize(("code", "topic", "value", "headers"), BAD)
def test_a_bad_record_is_one_dead_letter(
    key: Key, code: str, topic: str, value: bytes | None, headers: Headers
) -> None:
    """It names the record's coordinates and time, goes to the record's own partition, and touches no state."""
    record = replace(key.record(value), headers=headers)
    (out,) = key.take(topic, record)
    told = errors(out)
    assert told["reason"] == code
    assert told["message"]
    assert (told["topic"], told["partition"], told["offset"], told["timestamp"]) == (
        record.origin.topic,
        str(record.origin.partition),
        str(record.origin.offset),
        str(record.origin.timestamp_ms),
    )
    assert (out.key, out.value, out.partition) == (record.key, value, record.origin.partition)
    assert ("truncated" in told) == (headers is UNREADABLE)
    assert key.memory.writes == 0


def test_a_key_that_is_missing_is_wrong(key: Key) -> None:
    """It is no order's."""
    (out,) = key.take("order.requests", replace(key.record(placed("o-1"), *said("order.place", "1")), key=None))
    assert errors(out)["reason"] == "wrong_key"


def astray(id: str, *more: tuple[str, bytes | None]) -> Record:
    """An order in a partition that is not its key's."""
    wrong = (partition_of(id.encode(), PARTITIONS) + 1) % PARTITIONS
    return Record(Origin("order.requests", wrong, 7, NOW), id.encode(), placed(id), (*said("order.place", "1"), *more))


def test_a_stray_is_sent_on_as_it_is(key: Key) -> None:
    """To the same topic and its key's partition, headers and all; nothing is decided."""
    record = astray("o-1", ("traceparent", b"00-1"), ("x", None))
    (out,) = key.take("order.requests", record)
    home = partition_of(b"o-1", PARTITIONS)
    assert out == Out("order.requests", b"o-1", record.value, record.headers or (), home)
    assert key.memory.writes == 0


def test_a_stray_is_sent_on_once(key: Key) -> None:
    """Where it arrives it is at home, and decided."""
    (out,) = key.take("order.requests", astray("o-1"))
    assert out.partition is not None
    there = Record(Origin("order.requests", out.partition, 0, NOW), out.key, out.value, out.headers)
    assert topics(key.take("order.requests", there)) == ["saga.events", "reservation.commands"]


def test_a_record_of_a_saga_that_is_here_is_not_sent_on(key: Key) -> None:
    """Whatever the partitioner says: the state says where a saga is."""
    key.place()
    command = ("ce_causationid", b"o-1:reservation:do:1")
    value = b'{"order_id":"o-1","reservation_id":"r"}'
    wrong = replace(astray("o-1"), value=value, headers=(*said("reservation.reserved", "2"), command))
    assert topics(key.take("reservation.replies", wrong)) == ["saga.events", "payment.commands"]


def test_a_stray_with_more_headers_than_can_be_sent_is_a_dead_letter(key: Key) -> None:
    """Its headers are cut, and it says so."""
    (out,) = key.take("order.requests", astray("o-1", ("x", b"y" * MAX_HEADER_BYTES)))
    told = errors(out)
    assert (told["reason"], told["truncated"]) == ("too_large", "true")
    assert all(name != "x" for name, _ in out.headers)


def test_a_bad_stray_is_a_dead_letter_where_it_is(key: Key) -> None:
    """What can't be read is not sent around."""
    (out,) = key.take("order.requests", replace(astray("o-1"), value=b"{"))
    assert errors(out)["reason"] == "malformed"


def test_a_timer_is_its_decisions_cause(key: Key) -> None:
    """It is called after the attempt that it followed; the next command names that attempt as its cause."""
    key.place()
    outs = key.expire(NOW + 1000)
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert event(outs[0])["cause"] == {"timer": "reservation:do:1:timeout", "due": "2023-11-14T22:13:21.000Z"}
    assert dict(outs[1].headers)["ce_causationid"] == b"o-1:reservation:do:1"
    assert dict(outs[1].headers)["ce_id"] == b"o-1:reservation:do:2"


def test_timers_are_called_after_what_they_end(key: Key) -> None:
    """A time-out or a pause, of a step or of its undoing."""
    key.place()
    key.reply("reservation.failed", "o-1:reservation:do:1", reason="busy", retryable=True)
    assert isinstance(key.state.legs[0], Pausing)
    names = [event(key.expire(key.due_ms)[0])["cause"]["timer"] for _ in range(2)]
    assert isinstance(key.state, Compensating)
    names.append(event(key.expire(key.due_ms)[0])["cause"]["timer"])
    key.reply("reservation.failed", "o-1:reservation:undo:2", reason="busy", retryable=True)
    assert names == ["reservation:do:1:pause", "reservation:do:2:timeout", "reservation:undo:1:timeout"]


def test_a_stale_timer_comes_to_nothing(key: Key) -> None:
    """A time that the saga waits for no more, or never did, decides nothing and writes nothing."""
    assert key.expire(NOW) == []
    key.place()
    due = key.due_ms
    assert key.expire(due - 1) == []
    key.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    writes = key.memory.writes
    assert key.expire(due - 1, due + 10**6) == []
    key.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert key.expire(due, due + 10**6) == []
    assert key.memory.writes == writes + 1


def test_a_timer_fires_once(key: Key) -> None:
    """The same due time a second time is stale."""
    key.place()
    due = key.due_ms
    assert key.expire(due) != []
    assert key.expire(due) == []


def test_the_end_of_a_memory_leaves_no_record(key: Key) -> None:
    """An ended saga is forgotten in silence; what comes for it then is of an unknown order."""
    key.place()
    key.reply("reservation.rejected", "o-1:reservation:do:1", reason="sold out")
    assert key.expire(key.due_ms) == []
    assert key.memory.progress is None
    (out,) = key.reply("reservation.rejected", "o-1:reservation:do:1", reason="sold out")
    assert errors(out)["reason"] == "unknown_order"


def test_a_step_without_room_waits_to_be_let_in() -> None:
    """The decision has no command; room is a cause of its own, and names the attempt before."""
    other = Key("o-2", Memory(limit=1), turns())
    assert topics(other.place()) == ["saga.events", "reservation.commands"]
    key = Key("o-1", Memory(limit=1), turns())
    key.memory.census, key.memory.gate = other.memory.census, other.memory.gate
    assert topics(key.place()) == ["saga.events"]
    assert isinstance(key.state.legs[0], Waiting)
    outs = key.admit("reservation")
    assert topics(outs) == ["saga.events", "reservation.commands"]
    assert event(outs[0])["cause"] == {"timer": "reservation:do:0:room", "due": "2023-11-14T22:13:20.000Z"}
    assert causes(outs) == ["o-1"]  # no attempt came before: the order itself is what led here
    assert key.admit("reservation") == []
    assert key.admit("payment") == []


def test_trouble_narrows_the_gate_and_answers_widen_it(key: Key) -> None:
    """Time-outs and passing failures tell of a participant in trouble, any final answer of one that works."""
    key.place()
    key.expire(key.due_ms)
    assert key.memory.gate.sizes() == {"reservation": 5}
    key.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    assert key.memory.gate.sizes()["reservation"] == 6
    key.reply("payment.failed", "o-1:payment:do:1", reason="busy", retryable=True)
    assert key.memory.gate.sizes()["payment"] == 5
    key.reply("payment.failed", "o-1:payment:do:1", reason="no such card", retryable=False)
    assert key.memory.gate.sizes()["payment"] == 6


def in_a_hurry(saga: Saga = ORDER, limit: int = 10) -> Key:
    """An order that has half a second, while a step's answer is awaited for a whole one."""
    return Key("o-1", Memory(limit=limit), Turns(Versions((with_policy(saga, 1000, 2, deadline_ms=500),)), PARTITIONS))


def test_a_deadline_is_a_cause_of_its_own() -> None:
    """It follows the last command that was asked for: of steps in parallel, that of the last one."""
    for saga, command in ((ORDER, "o-1:reservation:do:1"), (SHIPPED_ORDER, "o-1:payment:do:1")):
        key = in_a_hurry(saga)
        key.place()
        outs = key.expire(NOW + 500)
        assert event(outs[0])["cause"] == {"timer": "deadline", "due": "2023-11-14T22:13:20.500Z"}
        assert set(causes(outs)) == {command}
        assert isinstance(key.state, Compensating)


def test_a_deadline_of_an_order_for_which_nothing_was_asked_follows_the_order() -> None:
    """It still waited for room: nothing is to be undone, and the shop is told at once."""
    key = in_a_hurry(limit=1)
    key.memory.census.asked["reservation"] = 1
    assert topics(key.place()) == ["saga.events"]
    outs = key.expire(NOW + 500)
    assert topics(outs) == ["saga.events", "order.outcomes"]
    assert event(outs[0])["cause"]["timer"] == "deadline"
    assert causes(outs) == ["o-1"]
    assert isinstance(key.state, RolledBack)


def test_a_deadline_tells_nothing_of_participants() -> None:
    """It is the order that is late; who was asked still has time, so nobody's room gets narrower."""
    key = in_a_hurry(SHIPPED_ORDER)
    key.place()
    outs = key.expire(NOW + 500)
    assert [each["type"] for each in event(outs[0])["events"]].count("saga.step.timed_out") == 2
    assert key.memory.gate.sizes() == {"reservation": 10, "payment": 10}


def test_an_ended_saga_of_a_version_that_is_gone_is_still_known() -> None:
    """A late reply to it is told as one, and in the end it is forgotten."""
    key = Key("o-1", Memory(Progress(3, Completed(Facts("order", 9, "d", NOW, {}, {}), NOW + 1000))), turns())
    (out,) = key.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert [each["type"] for each in event(out)["events"]] == ["saga.reply.ignored"]
    assert key.expire(NOW + 1000) == []
    assert key.memory.progress is None
