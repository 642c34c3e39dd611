"""The largest that a saga can get: neither its state nor anything that it writes is too large to be written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from app.engine.store import Document
from app.engine.turn import Turns
from app.saga.definition import Command, Saga, Step
from app.saga.soundness import LONGEST_NAME, MOST_STEPS
from app.saga.state import Running, Stuck
from app.saga.versions import Versions
from app.wire.fields import MAX_LINES, MAX_MINOR, MAX_QUANTITY, MAX_TEXT
from app.wire.statedoc import encode
from app.wire.strict import MAX_BYTES
from app.wire.writer import Out
from tests.fuzz.judge import LARGEST, Judge, wire_bytes
from tests.fuzz.sagas import NOW, PARTITIONS, Participants, Said, placed, record, replies, wishes
from tests.fuzz.world import Taken
from tests.slot import Slot
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

LONG = "\0" * MAX_TEXT
"""A text of which each character is six bytes of JSON: none has more."""
ID = "o" * 128
MONEY = {"currency": "EUR", "minor": MAX_MINOR}
FIELDS = ("customer_id", "lines", "total")


def largest_order() -> dict[str, Any]:
    """As many lines as there may be, and texts as long as there is room for, to the byte."""
    lines = [{"sku": "", "quantity": MAX_QUANTITY, "unit_price": MONEY} for _ in range(MAX_LINES)]
    order: dict[str, Any] = {"customer_id": LONG, "total": MONEY, "lines": lines}
    room = MAX_BYTES - len(orjson.dumps({"order_id": ID, **order}))
    for line in lines:
        escaped = min(room // 6, MAX_TEXT)
        plain = min(room % 6, MAX_TEXT - escaped) if escaped < MAX_TEXT else 0
        line["sku"] = "\0" * escaped + "x" * plain
        room -= 6 * escaped + plain
    return order


def large(said: Said) -> Said:
    """The same message with all its texts as long as they may be."""
    if said.type == "order.place":
        return said._replace(fields=largest_order())
    return said._replace(fields={name: LONG if isinstance(text, str) else text for name, text in said.fields.items()})


@dataclass(slots=True)
class Life:
    """A saga that is told nothing but the largest messages, and all that it wrote."""

    saga: Saga
    kept: Slot
    turns: Turns
    largest_state: int = 0
    largest_record: int = 0

    def tell(self, said: Said) -> Taken:
        """One message more."""
        one = record(ID, large(said))
        headers = [*(one.headers or ())[1:], ("ce_id", LONG.encode())]
        one = replace(one, headers=[*headers, ("traceparent", PARENT), ("tracestate", b"a=" + b"x" * 500)])
        before = self.kept.progress
        outs = self.turns.take(said.topic, one, self.kept, NOW)
        self.note(outs)
        state: list[Document] = [] if self.kept.progress is before else [(ID.encode(), self.document())]
        return Taken(said.topic, one, before, outs, state, gates_touched=False)

    def tell_each(self, wanted: Callable[[Said], bool]) -> None:
        """All that fits of what participants can say now, of each step once."""
        assert self.kept.progress is not None
        for said in [said for said in replies(self.saga, ID, self.kept.progress) if wanted(said)]:
            self.tell(said)

    def note(self, outs: list[Out]) -> None:
        """How large it got."""
        assert outs[0].topic == "saga.events"
        self.largest_record = max(self.largest_record, *map(wire_bytes, outs))
        self.largest_state = max(self.largest_state, len(ID) + len(self.document()) + 128)

    def document(self) -> bytes:
        """The state as it is kept."""
        assert self.kept.progress is not None
        return encode(self.kept.progress)

    @property
    def state(self) -> Any:
        """Where it is."""
        assert self.kept.progress is not None
        return self.kept.progress.state


PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def begun(saga: Saga) -> Life:
    """A saga of the largest order."""
    life = Life(saga, Slot(Participants(bear=True)), Turns(Versions((saga,)), PARTITIONS))
    life.tell(placed())
    return life


def done(said: Said, saga: Saga) -> bool:
    """Whether a participant says that it did its part."""
    return said.type in {step.succeeded for step in saga.steps}


def completed(saga: Saga) -> Life:
    """Everything was done."""
    life = begun(saga)
    while isinstance(life.state, Running):
        life.tell_each(lambda said: done(said, saga))
    return life


def all_stuck(saga: Saga) -> Life:
    """All was done but for the last that can be refused, and nothing can be undone."""
    life, last = begun(saga), next(step for step in reversed(saga.steps) if step.refused)
    while isinstance(life.state, Running):
        others = [leg.step for leg in life.state.legs if leg.step != last.name]
        topics = [f"{name}.replies" for name in others]
        life.tell_each(_done_by(topics, saga))
        if not others:
            life.tell_each(lambda said: said.type == last.refused)
    life.tell_each(lambda said: said.fields.get("retryable") is False)
    return life


def _done_by(topics: list[str], saga: Saga) -> Callable[[Said], bool]:
    return lambda said: said.topic in topics and done(said, saga)


def name(kind: str, number: int, length: int) -> str:
    """A name of that length."""
    return f"{kind}{number}".ljust(length, "x")


def widest(after: tuple[str, ...] | None) -> Saga:
    """As many steps as there may be, each with names of the longest, which carries all that it can."""
    steps: list[Step] = []
    for number in range(MOST_STEPS):
        results = tuple(step.result for step in steps) if after is None else ()
        words = [name(word, number, LONGEST_NAME) for word in ("do", "undo", "yes", "no", "undone", "failed", "result")]
        do, undo, yes, no, undone, failed, result = words
        steps.append(
            Step(
                name("step", number, 64),
                Command(do, FIELDS, results),
                yes,
                failed,
                result,
                Command(undo, FIELDS, (*results, result)),
                undone,
                no,
                after=after,
            )
        )
    return Saga("s" * 64, 2**31 - 1, tuple(steps))


SAGAS = {"order": ORDER, "shipped": SHIPPED_ORDER, "wide": widest(()), "long": widest(None)}


def test_the_largest_order_is_the_largest() -> None:
    """It has as many lines and bytes as an order may have, and is taken in."""
    value = orjson.dumps({"order_id": ID, **largest_order()})
    assert (len(value), value.count(b'"sku"')) == (MAX_BYTES, MAX_LINES)
    assert isinstance(begun(ORDER).state, Running)


@pytest.mark.parametrize("which", SAGAS)
def test_nothing_is_too_large_to_be_written(which: str) -> None:
    """Of the saga of the largest order, with the longest texts: it completes, or all of it is stuck, or cancelled."""
    saga = SAGAS[which]
    ways = [completed(saga), all_stuck(saga), begun(saga)]
    cancel, retry, *_ = wishes()
    ways[1].tell(retry)
    ways[2].tell(cancel)
    assert max(way.largest_record for way in ways) < LARGEST
    assert max(way.largest_state for way in ways) < LARGEST
    assert max(way.largest_record for way in ways) > MAX_BYTES


def test_what_is_said_of_many_steps_is_as_its_schema_says() -> None:
    """However many steps are stuck at once, the sentences about them are no longer than a text may be."""
    life = all_stuck(SAGAS["wide"])
    judge, (_, _, skip, compensate) = Judge(life.saga), wishes()
    assert sum(isinstance(leg, Stuck) for leg in life.state.legs) == MOST_STEPS - 1
    foreign = Said(
        f"{life.saga.steps[0].name}.replies", life.saga.steps[0].succeeded, "nobody", {life.saga.steps[0].result: "r"}
    )
    for said in (skip, compensate, foreign):
        assert judge.judge(life.tell(said)) == "decided"
