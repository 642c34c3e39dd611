"""The stock peer decides as the contract says, so it is measured doing the same work."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from quixstreams.context import set_message_context
from quixstreams.models.messagecontext import MessageContext

from tests.benchmarks.messages import Orders, Phase, phases
from tests.benchmarks.stock_saga import Output, encoded, process

COUNT = 40


class Memory:
    """The state of all keys, each as JSON; `key` is the current key."""

    def __init__(self) -> None:
        self._documents: dict[str, str] = {}
        self.key = ""

    def get(self, _: str) -> Any:
        """The document of the current key."""
        document = self._documents.get(self.key)
        return None if document is None else json.loads(document)

    def set(self, _: str, value: Any) -> None:
        """Stores the document of the current key."""
        self._documents[self.key] = json.dumps(value)


@contextmanager
def at(topic: str) -> Iterator[None]:
    """Sets the message context of a record of the topic for the block."""
    set_message_context(MessageContext(topic=topic, partition=0, offset=7, size=0))
    yield
    set_message_context(None)


def play(memory: Memory, phase: Phase) -> list[Output]:
    """All output records that the records of a phase lead to."""
    out = []
    for record in phase.records:
        memory.key = record.key.decode()
        with at(record.topic):
            out += process(json.loads(record.value), memory.key, 0, record.headers, memory)  # type: ignore[arg-type]
    return out


def types(out: list[Output]) -> list[str]:
    """The message types; events have none."""
    return [str(dict(message.headers)["ce_type"]) for message in out if message.headers]


def test_each_phase_leads_to_what_is_expected() -> None:
    """The phases of a drain, one after another, bring every order to its end."""
    memory = Memory()
    for phase in phases(Orders("r1", 30), COUNT):
        found = types(play(memory, phase))
        assert {type: found.count(type) for type in set(found)} == phase.expected


def test_every_decision_is_numbered() -> None:
    """`seq` counts from 1 in each saga, each decision names its cause, and each command has its event."""
    memory = Memory()
    out = [message for phase in phases(Orders("r1", 30), COUNT) for message in play(memory, phase)]
    decisions = [json.loads(encoded(message)) for message in out if message.topic == "saga.events"]
    for order_id in {decision["saga_id"] for decision in decisions}:
        own = [decision for decision in decisions if decision["saga_id"] == order_id]
        assert [decision["seq"] for decision in own] == list(range(1, len(own) + 1))
    requested = [event for each in decisions for event in each["events"] if event["type"].endswith(".requested")]
    assert len(requested) == sum(message.topic.endswith(".commands") for message in out)
    assert decisions[0]["cause"]["offset"] == 7


def test_a_duplicate_changes_nothing() -> None:
    """The same order again leads to nothing; the same reply again is recorded as ignored."""
    memory = Memory()
    orders, replies, *_ = phases(Orders("r1", 0), 1)
    assert types(play(memory, orders)) == ["reservation.reserve"]
    assert play(memory, orders) == []
    assert types(play(memory, replies)) == ["payment.charge"]
    (ignored,) = play(memory, replies)
    assert json.loads(encoded(ignored))["events"][0]["type"] == "saga.reply.ignored"


@pytest.mark.parametrize(
    ("change", "code"),
    (
        ({"order_id": "other"}, "wrong_key"),
        ({"lines": []}, "invalid"),
        ({"customer_id": "other"}, "conflict"),
    ),
)
def test_an_invalid_record_is_a_dead_letter(change: dict[str, Any], code: str) -> None:
    """A wrong key, an order without lines, and another order of the same id."""
    memory = Memory()
    orders = phases(Orders("r1", 0), 1)[0]
    if code == "conflict":
        play(memory, orders)
    record = orders.records[0]
    changed = record._replace(value=json.dumps({**json.loads(record.value), **change}).encode())
    (letter,) = play(memory, Phase("orders", [changed], {}))
    assert letter.topic == "saga.dead-letters"
    assert dict(letter.headers)["__saga.errors.reason"] == code
