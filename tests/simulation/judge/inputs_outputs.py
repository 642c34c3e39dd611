"""Each input has one outcome, and each decision has its outputs, once and in the right partition."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, OUTCOMES, TopicPartitionKey
from app.wire.writer import ERRORS
from tests.simulation.judge.history import History
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Message, SimulatedKafka
from tests.simulation.plan import Plan

_FINAL = (b"order.completed", b"order.rejected", b"order.cancelled")


def inputs(kafka: SimulatedKafka, history: History) -> Iterator[Violation]:
    """Every input below the committed offsets led to one decision or one dead letter, or was a duplicate."""
    for dead_letter in kafka.records_of(DEAD_LETTERS.name):
        headers = {name: value or b"" for name, value in dead_letter.headers() or () if name.startswith(ERRORS)}
        tp = (headers[f"{ERRORS}topic"].decode(), int(headers[f"{ERRORS}partition"]))
        history.outcomes[tp][int(headers[f"{ERRORS}offset"])] += 1
    rerouted = _rerouted(kafka)
    for tp, counts in history.outcomes.items():
        records = kafka.logs[tp].records
        if kafka.committed.get(tp) != len(records):
            yield Violation("inputs", None, f"{tp[0]}[{tp[1]}] was not read to its end")
        for message in records:
            if message is not None and counts[message.offset()] != 1:
                yield from _check_outcome(message, counts[message.offset()], tp, rerouted, history, kafka)
    for key, value in +rerouted:
        yield Violation("inputs", _name(key), f"a record was sent on that was not misrouted: {value!r:.60}")


def _rerouted(kafka: SimulatedKafka) -> Counter[tuple[bytes | None, bytes | None]]:
    """The records that pods wrote to inputs: copies of misrouted records, for the partitions of their keys."""
    records = (message for tp in kafka.inputs for message in kafka.logs[tp].read() if message.commit is not None)
    return Counter((message.key(), message.value()) for message in records)


def _check_outcome(
    message: Message, count: int, tp: TopicPartitionKey, rerouted: Counter[Any], history: History, kafka: SimulatedKafka
) -> Iterator[Violation]:
    key, coordinates = message.key() or b"", f"{tp[0]}[{tp[1]}]@{message.offset()}"
    if count > 1:
        yield Violation("inputs", _name(key), f"{coordinates} has {count} outcomes")
    elif partition_of(key, kafka.partitions) != tp[1]:
        if not rerouted[key, message.value()]:
            yield Violation("inputs", _name(key), f"{coordinates} was misrouted, and is lost")
        rerouted[key, message.value()] -= 1
    elif not _is_duplicate(message, tp, history, kafka):
        yield Violation("inputs", _name(key), f"{coordinates} has no outcome")


def _is_duplicate(message: Message, tp: TopicPartitionKey, history: History, kafka: SimulatedKafka) -> bool:
    """Whether it repeats an order that was placed before."""
    order = history.orders.get(message.key() or b"")
    causes = order.causes if order is not None else []
    placed = (kafka.logs[topic, tp[1]].records[offset] for topic, offset in causes)
    return any(first is not None and first.value() == message.value() for first in placed)


def outputs(kafka: SimulatedKafka, plan: Plan, history: History) -> Iterator[Violation]:
    """Each command was sent as often as decided, with one value per effect; each end of a saga has one outcome."""
    sent: Counter[str] = Counter()
    commands: dict[bytes, bytes | None] = {}
    for step in plan.versions.steps:
        for message in kafka.records_of(step.commands_topic):
            headers = dict(message.headers() or ())
            sent[(headers["ce_id"] or b"").decode()] += 1
            yield from _check_partition(message, kafka)
            effect, key = headers["ce_idempotencykey"] or b"", message.key() or b""
            first = commands.setdefault(effect, message.value())
            if first != message.value() and history.orders[key].sagas_started == 1:
                yield Violation("commands", _name(key), f"attempts of {effect.decode()} have different values")
    for command in sorted((sent - history.requested) | (history.requested - sent)):
        times = f"{sent[command]} times, and decided {history.requested[command]} times"
        yield Violation("commands", command.partition(":")[0], f"{command} was sent {times}")
    for command, count in history.requested.items():
        id = command.partition(":")[0]
        if count > history.orders[id.encode()].sagas_started:
            yield Violation("commands", id, f"{command} was sent {count} times")
    yield from _check_outcomes(kafka, history)


def _check_outcomes(kafka: SimulatedKafka, history: History) -> Iterator[Violation]:
    final_outcomes: Counter[bytes] = Counter()
    for message in kafka.records_of(OUTCOMES.name):
        yield from _check_partition(message, kafka)
        if dict(message.headers() or ())["ce_type"] in _FINAL:
            final_outcomes[message.key() or b""] += 1
    for key, order in history.orders.items():
        if final_outcomes[key] != order.sagas_ended:
            ended = f"it ended {order.sagas_ended} times, with {final_outcomes[key]} final outcomes"
            yield Violation("outcomes", _name(key), ended)


def _check_partition(message: Message, kafka: SimulatedKafka) -> Iterator[Violation]:
    key = message.key() or b""
    if partition_of(key, kafka.partitions) != message.partition():
        yield Violation("outputs", _name(key), f"{message.topic()}[{message.partition()}] is not its partition")


def placed_order(kafka: SimulatedKafka, tp: TopicPartitionKey, offset: int) -> Any:
    """The order in a request."""
    message = kafka.logs[tp].records[offset]
    return orjson.loads(message.value() or b"{}") if message is not None else {}


def _name(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")
