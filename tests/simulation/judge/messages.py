"""Each input has one outcome, each decision its messages, once and in the right place."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from app.engine.offsets import Place
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, OUTCOMES
from app.wire.writer import ERRORS
from tests.simulation.judge.history import History
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Kafka, Message
from tests.simulation.plan import Plan

_FINAL = (b"order.completed", b"order.rejected", b"order.cancelled")


def inputs(kafka: Kafka, history: History) -> Iterator[Violation]:
    """Every input below the committed offsets led to one decision, or one dead letter, or is known to lead to none."""
    for letter in kafka.of_topic(DEAD_LETTERS.name):
        marks = {name: value or b"" for name, value in letter.headers() or () if name.startswith(ERRORS)}
        place = (marks[f"{ERRORS}topic"].decode(), int(marks[f"{ERRORS}partition"]))
        history.outcomes[place][int(marks[f"{ERRORS}offset"])] += 1
    sent_on = _sent_on(kafka)
    for place, counts in history.outcomes.items():
        records = kafka.logs[place].records
        if kafka.committed.get(place) != len(records):
            yield Violation("inputs", None, f"{place[0]}[{place[1]}] was not read to its end")
        for message in records:
            if message is not None and counts[message.offset()] != 1:
                yield from _outcome(message, counts[message.offset()], place, sent_on, history, kafka)
    for key, value in +sent_on:
        yield Violation("inputs", _name(key), f"a record was sent on that was not astray: {value!r:.60}")


def _sent_on(kafka: Kafka) -> Counter[tuple[bytes | None, bytes | None]]:
    """What pods wrote to inputs: copies of records that were in a wrong partition."""
    records = (message for place in kafka.inputs for message in kafka.logs[place].read() if message.commit is not None)
    return Counter((message.key(), message.value()) for message in records)


def _outcome(
    message: Message, count: int, place: Place, sent_on: Counter[Any], history: History, kafka: Kafka
) -> Iterator[Violation]:
    key, where = message.key() or b"", f"{place[0]}[{place[1]}]@{message.offset()}"
    if count > 1:
        yield Violation("inputs", _name(key), f"{where} has {count} outcomes")
    elif partition_of(key, kafka.partitions) != place[1]:
        if not sent_on[key, message.value()]:
            yield Violation("inputs", _name(key), f"{where} was astray, and is lost")
        sent_on[key, message.value()] -= 1
    elif not _is_twin(message, place, history, kafka):
        yield Violation("inputs", _name(key), f"{where} has no outcome")


def _is_twin(message: Message, place: Place, history: History, kafka: Kafka) -> bool:
    """Whether it is an order that was placed before, by the same words."""
    tale = history.tales.get(message.key() or b"")
    causes = tale.causes if tale is not None else []
    firsts = (kafka.logs[topic, place[1]].records[offset] for topic, offset in causes)
    return any(first is not None and first.value() == message.value() for first in firsts)


def outputs(kafka: Kafka, plan: Plan, history: History) -> Iterator[Violation]:
    """Each command that was decided was sent once; attempts of one effect ask for the same; ends are told once."""
    sent: Counter[str] = Counter()
    asked: dict[bytes, bytes | None] = {}
    for step in plan.versions.steps:
        for message in kafka.of_topic(step.commands_topic):
            headers = dict(message.headers() or ())
            sent[(headers["ce_id"] or b"").decode()] += 1
            yield from _in_place(message, kafka)
            effect, key = headers["ce_idempotencykey"] or b"", message.key() or b""
            if asked.setdefault(effect, message.value()) != message.value() and history.tales[key].lives == 1:
                yield Violation("commands", _name(key), f"attempts of {effect.decode()} ask for different things")
    for command in sorted((sent - history.requested) | (history.requested - sent)):
        times = f"{sent[command]} times, and decided {history.requested[command]} times"
        yield Violation("commands", command.partition(":")[0], f"{command} was sent {times}")
    for command, count in history.requested.items():
        id = command.partition(":")[0]
        if count > history.tales[id.encode()].lives:
            yield Violation("commands", id, f"{command} was sent {count} times")
    yield from _ends(kafka, history)


def _ends(kafka: Kafka, history: History) -> Iterator[Violation]:
    told: Counter[bytes] = Counter()
    for message in kafka.of_topic(OUTCOMES.name):
        yield from _in_place(message, kafka)
        if dict(message.headers() or ())["ce_type"] in _FINAL:
            told[message.key() or b""] += 1
    for key, tale in history.tales.items():
        if told[key] != tale.ends:
            yield Violation("outcomes", _name(key), f"it ended {tale.ends} times, its shop heard of {told[key]}")


def _in_place(message: Message, kafka: Kafka) -> Iterator[Violation]:
    key = message.key() or b""
    if partition_of(key, kafka.partitions) != message.partition():
        yield Violation("outputs", _name(key), f"{message.topic()}[{message.partition()}] is not its partition")


def order_of(kafka: Kafka, place: Place, offset: int) -> Any:
    """The order that a record places."""
    message = kafka.logs[place].records[offset]
    return orjson.loads(message.value() or b"{}") if message is not None else {}


def _name(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")
