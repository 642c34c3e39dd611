"""The largest possible saga: neither its state nor any of its outputs is too large for a topic."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from app.engine.processor import SagaProcessor
from app.engine.state.store import Document
from app.saga.definition import Command, Saga, Step
from app.saga.soundness import LONGEST_NAME, MOST_STEPS
from app.saga.state import Running, Stuck
from app.saga.versions import Versions
from app.wire.fields import MAX_LINES, MAX_MINOR, MAX_QUANTITY, MAX_TEXT
from app.wire.state_codec import encode
from app.wire.strict_json import MAX_BYTES
from app.wire.writer import OutputRecord
from tests.fuzz.harness import Result
from tests.fuzz.judge import LARGEST, Judge, wire_bytes
from tests.fuzz.sagas import (
    NOW,
    PARTITIONS,
    FixedAdmission,
    InputMessage,
    order_message,
    record,
    replies,
    requests_and_operations,
)
from tests.slot import Slot
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

LONG = "\0" * MAX_TEXT
"""A text whose characters each take six bytes of JSON, the maximum."""
ID = "o" * 128
MONEY = {"currency": "EUR", "minor": MAX_MINOR}
FIELDS = ("customer_id", "lines", "total")


def largest_order() -> dict[str, Any]:
    """The maximum number of lines, with texts that fill the allowed size to the byte."""
    lines = [{"sku": "", "quantity": MAX_QUANTITY, "unit_price": MONEY} for _ in range(MAX_LINES)]
    order: dict[str, Any] = {"customer_id": LONG, "total": MONEY, "lines": lines}
    room = MAX_BYTES - len(orjson.dumps({"order_id": ID, **order}))
    for line in lines:
        escaped = min(room // 6, MAX_TEXT)
        plain = min(room % 6, MAX_TEXT - escaped) if escaped < MAX_TEXT else 0
        line["sku"] = "\0" * escaped + "x" * plain
        room -= 6 * escaped + plain
    return order


def with_longest_texts(message: InputMessage) -> InputMessage:
    """The message with all its texts as long as allowed."""
    if message.type == "order.place":
        return message._replace(fields=largest_order())
    longest = {name: LONG if isinstance(text, str) else text for name, text in message.fields.items()}
    return message._replace(fields=longest)


@dataclass(slots=True)
class LargestSaga:
    """A saga that gets only the largest messages, and the largest sizes (bytes) that it reached."""

    saga: Saga
    key_state: Slot
    processor: SagaProcessor
    largest_state: int = 0
    largest_record: int = 0

    def process(self, message: InputMessage) -> Result:
        """Processes the message with the longest texts and headers."""
        one = record(ID, with_longest_texts(message))
        headers = [*(one.headers or ())[1:], ("ce_id", LONG.encode())]
        one = replace(one, headers=[*headers, ("traceparent", PARENT), ("tracestate", b"a=" + b"x" * 500)])
        before = self.key_state.progress
        outs = self.processor.on_record(message.topic, one, self.key_state, NOW)
        self.note_sizes(outs)
        state: list[Document] = [] if self.key_state.progress is before else [(ID.encode(), self.document())]
        return Result(message.topic, one, before, outs, state, admission_touched=False)

    def process_replies(self, wanted: Callable[[InputMessage], bool]) -> None:
        """Processes the wanted ones among all possible replies."""
        assert self.key_state.progress is not None
        for message in [message for message in replies(self.saga, ID, self.key_state.progress) if wanted(message)]:
            self.process(message)

    def note_sizes(self, outs: list[OutputRecord]) -> None:
        """Notes the sizes of outputs and state."""
        assert outs[0].topic == "saga.events"
        self.largest_record = max(self.largest_record, *map(wire_bytes, outs))
        self.largest_state = max(self.largest_state, len(ID) + len(self.document()) + 128)

    def document(self) -> bytes:
        """The state's document, as in the changelog."""
        assert self.key_state.progress is not None
        return encode(self.key_state.progress)

    @property
    def state(self) -> Any:
        """The state of the saga."""
        assert self.key_state.progress is not None
        return self.key_state.progress.state


PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def start_saga(saga: Saga) -> LargestSaga:
    """A saga started by the largest order."""
    largest = LargestSaga(saga, Slot(FixedAdmission(free=True)), SagaProcessor(Versions((saga,)), PARTITIONS))
    largest.process(order_message())
    return largest


def is_success(message: InputMessage, saga: Saga) -> bool:
    """Whether it is a success reply."""
    return message.type in {step.succeeded for step in saga.steps}


def complete_saga(saga: Saga) -> LargestSaga:
    """A saga whose steps all succeeded."""
    largest = start_saga(saga)
    while isinstance(largest.state, Running):
        largest.process_replies(lambda message: is_success(message, saga))
    return largest


def all_steps_stuck(saga: Saga) -> LargestSaga:
    """A saga whose last refusable step was refused after all others had succeeded, and whose undos all fail."""
    largest, last = start_saga(saga), next(step for step in reversed(saga.steps) if step.refused)
    while isinstance(largest.state, Running):
        others = [active.step for active in largest.state.active_steps if active.step != last.name]
        topics = [f"{name}.replies" for name in others]
        largest.process_replies(_success_on(topics, saga))
        if not others:
            largest.process_replies(lambda message: message.type == last.refused)
    largest.process_replies(lambda message: message.fields.get("retryable") is False)
    return largest


def _success_on(topics: list[str], saga: Saga) -> Callable[[InputMessage], bool]:
    return lambda message: message.topic in topics and is_success(message, saga)


def padded_name(kind: str, number: int, length: int) -> str:
    """A name of that length."""
    return f"{kind}{number}".ljust(length, "x")


def widest_saga(after: tuple[str, ...] | None) -> Saga:
    """The maximum number of steps, each with the longest names, and commands with all fields and results."""
    steps: list[Step] = []
    for number in range(MOST_STEPS):
        results = tuple(step.result for step in steps) if after is None else ()
        words = ("do", "undo", "yes", "no", "undone", "failed", "result")
        names = [padded_name(word, number, LONGEST_NAME) for word in words]
        do, undo, yes, no, undone, failed, result = names
        steps.append(
            Step(
                padded_name("step", number, 64),
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


SAGAS = {"order": ORDER, "shipped": SHIPPED_ORDER, "wide": widest_saga(()), "long": widest_saga(None)}


def test_the_largest_order_is_the_largest() -> None:
    """It has the maximum number of lines and bytes, and is accepted."""
    value = orjson.dumps({"order_id": ID, **largest_order()})
    assert (len(value), value.count(b'"sku"')) == (MAX_BYTES, MAX_LINES)
    assert isinstance(start_saga(ORDER).state, Running)


@pytest.mark.parametrize("name", SAGAS)
def test_nothing_is_too_large_to_be_written(name: str) -> None:
    """The saga of the largest order with the longest texts: completed, with all steps stuck, or cancelled."""
    saga = SAGAS[name]
    runs = [complete_saga(saga), all_steps_stuck(saga), start_saga(saga)]
    cancel, retry, *_ = requests_and_operations()
    runs[1].process(retry)
    runs[2].process(cancel)
    assert max(run.largest_record for run in runs) < LARGEST
    assert max(run.largest_state for run in runs) < LARGEST
    assert max(run.largest_record for run in runs) > MAX_BYTES


def test_sentences_about_many_steps_are_valid_by_their_schema() -> None:
    """However many steps are stuck, the sentences about them stay within the length of a text."""
    largest = all_steps_stuck(SAGAS["wide"])
    judge, (_, _, skip, compensate) = Judge(largest.saga), requests_and_operations()
    assert sum(isinstance(active, Stuck) for active in largest.state.active_steps) == MOST_STEPS - 1
    first = largest.saga.steps[0]
    foreign = InputMessage(f"{first.name}.replies", first.succeeded, "nobody", {first.result: "r"})
    for message in (skip, compensate, foreign):
        assert judge.judge(largest.process(message)) == "decided"
